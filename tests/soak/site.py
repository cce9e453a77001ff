"""The product with several nodes, on either engine, with proxies in its wires: what faults are injected into."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.journeys.books import allocate
from tests.journeys.policy_files import Policy, enforcing, write_policy
from tests.journeys.processes import KT, ROOT, Program, free_port, until
from tests.journeys.product import ADMIN_TOKEN, PRICES, Key, Product
from tests.journeys.web import answers_ready, ask
from tests.providers.truth import Served, TruthTail
from tests.soak.engines import StoreServer, store_server
from tests.soak.fault_proxy import FaultProxy

READY_S = 60.0
AFFLICTED = (sys.executable, "-m", "tests.soak.afflicted")


@dataclass(frozen=True, slots=True)
class Shape:
    """How a site is built. ``wires`` are the proxies wanted: ``link`` (gateways to API), ``provider``, ``store``."""

    engine: str = "sqlite"
    nodes: int = 1
    wires: frozenset[str] = frozenset()
    policy: Callable[[str, str], Policy] = enforcing
    afflictions: tuple[str, ...] = ()
    seed: int = 0


class Gateway:
    """One gateway process of a site; its port and data directory outlive it. ``through`` is put before its command."""

    def __init__(self, site: "Site", number: int) -> None:
        self._site = site
        self.number = number
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.data_dir = site.directory / f"node-{number}"
        self.program: Program

    @property
    def journals(self) -> list[Path]:
        """The directories of its journals, retired ones too."""
        return sorted((self.data_dir / "gateway" / "journals").glob("nod_*"))

    def start(self, afflictions: Sequence[str] = (), through: Sequence[str] = (), ready: bool = True) -> float:
        """Starts it and waits until it is ready; returns how long that took, in seconds."""
        began = time.monotonic()
        words = [*self._site.shape.afflictions, *afflictions]
        kt = [*AFFLICTED, *words, "--"] if words else [KT]
        command = [*through, *kt, "gateway", "run", "--policy-config", str(self._site.policy_file)]
        command += ["--port", str(self.port), "--data-dir", str(self.data_dir)]
        self.program = self._site.run(command, f"node-{self.number}.log")
        if ready:
            self.wait_ready()
        return time.monotonic() - began

    def wait_ready(self) -> None:
        self.program.wait_for(lambda: answers_ready(self.url), f"node {self.number} ready", READY_S)

    def restart_if_dead(self) -> bool:
        """Starts it again when its process has ended; whether that was needed."""
        if self.program.ended is None:
            return False
        self.start()
        return True

    def signal(self, number: signal.Signals) -> None:
        self.program.send(number)


@dataclass
class Account:
    """A team of one trial: its key, the largest budget that stood, and how many calls were given names in it."""

    team: str
    key: Key
    budget_nanos: int
    named: int = 0
    answered: set[str] = field(default_factory=set)
    statuses: dict[int, int] = field(default_factory=dict)

    def next_id(self) -> str:
        """The request id of its next call: the provider's log and the ledger name the call by it."""
        self.named += 1
        return f"{self.team}.{self.named}"

    def heard(self, request_id: str, status: int) -> None:
        """A caller saw the whole answer of this call."""
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if status == 200:
            self.answered.add(request_id)


class Site(Product):
    """``start`` before use; ``close`` ends every process that is left. Teams are made fresh for each trial."""

    def __init__(self, directory: Path, shape: Shape) -> None:
        super().__init__(directory, shape.policy)
        self.shape = shape
        self.accounts: list[Account] = []
        self.proxies: dict[str, FaultProxy] = {}
        self.env["PYTHONPATH"] = str(ROOT)
        self._around = ExitStack()
        self._teams = 0
        self.store: StoreServer | None = None
        self.gateways = [Gateway(self, number) for number in range(shape.nodes)]
        self.gateway_port, self.gateway_url = self.gateways[0].port, self.gateways[0].url

    def start(self) -> None:
        """Store, provider, API and every node, all ready."""
        self.store = self._around.enter_context(store_server(self.shape.engine))
        if self.store is not None:
            wire = self._wire("store", self.store.port) if "store" in self.shape.wires else self.store.port
            self.env["KEEPTRUSTS_DATABASE_URL"] = self.store.url(wire)
        self.start_provider()
        self.start_api()
        for price in PRICES:
            assert self.admin("POST", "/v1/model-pricing", {"provider": "openai", **price}).status in (200, 201)
        provider_url, api_url = self.provider_url, self.api_url
        if "provider" in self.shape.wires:
            provider_url = f"http://127.0.0.1:{self._wire('provider', int(provider_url.rpartition(':')[2]))}"
        if "link" in self.shape.wires:
            api_url = f"http://127.0.0.1:{self._wire('link', self.api_port)}"
        self.policy_file = write_policy(self.shape.policy(provider_url, api_url), self.directory / "policy.yaml")
        self.truth_tail = TruthTail(self.truth_log)
        for gateway in self.gateways:
            gateway.start(ready=False)
        for gateway in self.gateways:
            gateway.wait_ready()

    def start_api(self) -> None:
        command = [KT] if not self.shape.afflictions else [*AFFLICTED, *self.shape.afflictions, "--"]
        command += ["api", "run", "--port", str(self.api_port), "--data-dir", str(self.data_dir)]
        self.api = self.run(command, "api.log")
        self.api.wait_for(lambda: answers_ready(self.api_url), "the API ready", READY_S)

    def start_api_to_die(self, die_at: str) -> None:
        """Starts the API so that it kills itself at a failpoint."""
        command = [*AFFLICTED, "--die-at", die_at, "--", "api", "run", "--port", str(self.api_port)]
        self.api = self.run([*command, "--data-dir", str(self.data_dir)], "api.log")
        self.api.wait_for(lambda: answers_ready(self.api_url), "the API ready", READY_S)

    def _wire(self, name: str, target: int | str) -> int:
        proxy = self.proxies[name] = self._around.enter_context(FaultProxy(target, self.shape.seed))
        return proxy.port

    def run(self, command: list[str], log: str) -> Program:
        """A process that ends with the site at the latest."""
        return self._start(command, log)

    @property
    def pids(self) -> list[int]:
        """The nodes' processes."""
        return [gateway.program.pid for gateway in self.gateways]

    @property
    def ports(self) -> list[int]:
        return [gateway.port for gateway in self.gateways]

    def account(self, budget_nanos: int, **fields: object) -> Account:
        """A team that nobody used before, with money, and a key that every node knows."""
        self._teams += 1
        team = f"team_{self._teams}x{os.urandom(3).hex()}"
        allocate(self, team, usd(budget_nanos))
        return self.account_of(team, budget_nanos, **fields)

    def account_of(self, team: str, budget_nanos: int, **fields: object) -> Account:
        """A team with a key that every node knows; its money is the caller's concern."""
        body = {"token_type": "gateway", "name": f"key of {team}", "team_id": team, **fields}
        answer = self.admin("POST", "/v1/tokens", body)
        assert answer.status == 201, answer.body
        account = Account(team, Key(answer.json["id"], answer.json["token"]), budget_nanos)
        for gateway in self.gateways:
            url = f"{gateway.url}/v1/models"
            known = lambda url=url: ask("GET", url, headers=account.key.headers).status == 200  # noqa: E731
            until(known, f"node {gateway.number} knows the key", 10.0)
        self.accounts.append(account)
        return account

    def served_to(self, account: Account) -> list[Served]:
        """What the provider says it has served to this team."""
        return self.truth_tail.of(account.team)

    def stop_nodes(self) -> list[str]:
        """Stops every node in good order; what was wrong with that."""
        for gateway in self.gateways:
            if gateway.program.ended is None:
                gateway.signal(signal.SIGTERM)
        codes = {gateway.number: gateway.program.wait(60) for gateway in self.gateways}
        return [f"node {number} ended with {code}" for number, code in codes.items() if code not in (0, -9)]

    def close(self) -> None:
        super().close()
        self._around.close()


def usd(nanos: int) -> str:
    """Nano-USD as an amount of the API."""
    return f"{nanos // 1_000_000_000}.{nanos % 1_000_000_000:09d}"


@contextmanager
def running_site(directory: Path, shape: Shape) -> Iterator[Site]:
    """A started site that is gone after the block."""
    directory.mkdir(parents=True, exist_ok=True)
    site = Site(directory, shape)
    try:
        site.start()
        yield site
    finally:
        site.close()


__all__ = ["ADMIN_TOKEN", "Account", "Gateway", "Shape", "Site", "replace", "running_site", "usd"]
