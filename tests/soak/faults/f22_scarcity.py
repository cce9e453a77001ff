"""F22 and F23: too few descriptors, far too many callers, hardly any processor; and two processes where one may be."""

import resource
import signal
import time
from collections.abc import Iterator

from keeptrusts.gateway.journal import Journal, JournalBusy
from tests.journeys.processes import KT, free_port
from tests.soak.checker import check, close_books
from tests.soak.load import Load
from tests.soak.scenario import Ground, Scenario
from tests.soak.site import Shape, Site, running_site
from tests.soak.trial import Trial

BUDGET_NANOS = 17_100 * 300
FEW_DESCRIPTORS = 64
ENOUGH_DESCRIPTORS = 4_096
CROWD = 400
STARVED_S = 2.0
TURN_ON_S, TURN_OFF_S = 0.02, 0.18


def scarcity(ground: Ground) -> Iterator[Trial]:
    """By turns: 64 descriptors for a node, a crowd of callers, a node that runs a tenth of the time."""
    kinds = (_few_descriptors, _crowd, _starved)
    with running_site(ground.directory, Shape(ground.engine, ground.nodes)) as site:
        for number in range(ground.trials):
            account = site.account(BUDGET_NANOS)
            with Load(site, account, 1, seed=ground.draw.getrandbits(32)) as load:
                load.wait_served(1)
            with Load(
                site, account, CROWD if number % 3 < 2 else 16, calls_max=3_000, seed=ground.draw.getrandbits(32)
            ):
                kinds[number % len(kinds)](site)
            began = time.monotonic()
            with Load(site, account, 1, calls_max=account.named + 50, seed=1) as load:
                load.wait_served(0, enough=lambda account=account: sum(account.statuses.values()) > 0)  # type: ignore[misc]
            yield check(site, account, recovery_s=time.monotonic() - began)
        yield close_books(site)


def _few_descriptors(site: Site) -> None:
    pid = site.gateways[0].program.pid
    hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (FEW_DESCRIPTORS, hard))
    time.sleep(STARVED_S)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (min(hard, ENOUGH_DESCRIPTORS), hard))


def _crowd(site: Site) -> None:
    time.sleep(STARVED_S)


def _starved(site: Site) -> None:
    victim = site.gateways[0]
    ends = time.monotonic() + STARVED_S
    while time.monotonic() < ends:
        victim.signal(signal.SIGSTOP)
        time.sleep(TURN_OFF_S)
        victim.signal(signal.SIGCONT)
        time.sleep(TURN_ON_S)


def two_processes(ground: Ground) -> Iterator[Trial]:
    """A second process on a living node's journal, and a second API on its data directory: both are refused, and a second
    gateway on the same directory leaves the first one's journal alone."""
    with running_site(ground.directory, Shape(ground.engine, ground.nodes)) as site:
        for _ in range(ground.trials):
            account = site.account(BUDGET_NANOS)
            with Load(site, account, 4, seed=ground.draw.getrandbits(32), pause_s=0.02) as load:
                load.wait_served(5)
                problems = [*_second_on_journals(site), *_second_gateway(site), *_second_api(site)]
            yield check(site, account, problems=problems)
        yield close_books(site)


def _second_on_journals(site: Site) -> list[str]:
    problems = []
    for gateway in site.gateways:
        living = [journal for journal in gateway.journals if not (journal / "retired").exists()]
        for directory in living:
            try:
                Journal(directory, directory.name).close()
                problems.append("a living node's journal could be opened by another process")
            except JournalBusy:
                pass
    return problems


def _second_gateway(site: Site) -> list[str]:
    node = site.gateways[0]
    command = [KT, "gateway", "run", "--policy-config", str(site.policy_file), "--port", str(free_port())]
    second = site.run([*command, "--data-dir", str(node.data_dir)], "second-gateway.log")
    try:
        second.wait_for_line("Gateway ready", 60)
        return ["the second gateway recovered a living node"] if "Recovering node" in second.output else []
    finally:
        second.send(signal.SIGTERM)
        second.wait(60)


def _second_api(site: Site) -> list[str]:
    if site.store is not None:
        return []  # several API processes may share one PostgreSQL
    command = [KT, "api", "run", "--port", str(free_port()), "--data-dir", str(site.data_dir)]
    second = site.run(command, "second-api.log")
    return ["a second API opened the same ledger"] if second.wait(60) == 0 or "in use" not in second.output else []


SCENARIOS = (
    Scenario("F22", "too little of everything", scarcity, full=9, small=3),
    Scenario("F23", "two processes", two_processes, full=15, small=1, nodes=(1,)),
)
