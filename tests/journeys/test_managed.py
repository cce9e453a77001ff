"""Gateways that go by a configuration at the API: it reaches them by itself, and the API may be away when they start."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.processes import KT, until
from tests.journeys.product import Product

pytestmark = pytest.mark.xdist_group("journeys-managed")

TEXT = """\
version: '1'
providers: {targets: [{id: made-up, provider: simulated}]}
consumer_groups: [{name: staff}]
cost_tracking: {enabled: true}
"""
OWN = "consumer_groups: [{name: staff, api_key: kt_cg_the_staffs_own_key_123}]\n"
STAFF = {"X-Consumer-Group": "kt_cg_the_staffs_own_key_123"}
CALL = {"model": "m", "messages": [{"role": "user", "content": "Hello."}]}


class Managed(Product):
    """A product whose gateway has no policy file but for its group's key."""

    def start(self) -> None:
        self.start_api()
        (self.directory / "own.yaml").write_text(OWN)
        self.push(TEXT)
        self.start_gateway()

    def push(self, text: str) -> str:
        file = self.directory / "pushed.yaml"
        file.write_text(text)
        return self.kt("policy", "push", str(file))

    def start_gateway(self, *more: str) -> None:
        command = [KT, "gateway", "run", "--managed", "--policy-config", str(self.directory / "own.yaml"), *more]
        command += ["--port", str(self.gateway_port), "--data-dir", str(self.data_dir)]
        self.gateway = self._start(command, "gateway.log")
        self.gateway.wait_for(lambda: self.network.ready(self.gateway_url), "the gateway ready")

    def status(self) -> int:
        return self.post_chat(CALL, STAFF).status


@pytest.fixture
def managed(tmp_path: Path) -> Iterator[Managed]:
    product = Managed(tmp_path)
    try:
        product.start()
        yield product
    finally:
        product.close()


def test_what_is_pushed_is_in_force_and_reported_and_can_be_taken_back(managed: Managed):
    assert managed.status() == 200
    assert "model_allowlist" in managed.push(TEXT + "model_allowlist: [other]\n")
    until(lambda: managed.status() == 403, "the new version holds")
    until(lambda: "version 2" in managed.kt("ledger", "node", "list"), "the gateway says which it goes by")
    managed.kt("policy", "rollback", "1")
    until(lambda: managed.status() == 200, "the version before holds again")
    managed.push(TEXT.replace("enabled: true", "wallet_enforcement: true"))
    until(lambda: managed.status() == 402, "budgets are enforced, though nobody said where the API is")
    (managed.directory / "bad.yaml").write_text("providers: {}")
    code, said = managed.kt_ends("policy", "push", str(managed.directory / "bad.yaml"))
    assert code == 2
    assert "`version` is missing" in said


def test_it_starts_without_the_api_on_what_worked_last(managed: Managed):
    until(lambda: any((managed.data_dir / "gateway" / "last-good").glob("*.json")), "it is kept")
    assert managed.gateway.stop() == 0
    managed.api.kill()
    managed.start_gateway()
    assert "starting with the last good configuration" in managed.gateway.output
    assert managed.status() == 200
    managed.start_api()
    managed.push(TEXT + "model_allowlist: [other]\n")
    until(lambda: managed.status() == 403, "what was pushed since holds", 20.0)
