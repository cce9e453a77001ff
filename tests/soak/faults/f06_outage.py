"""F6 and F10: the store goes away for a while, or a node sleeps past the age up to which its rules may be used."""

import signal
import time
from collections.abc import Iterator

from tests.journeys.policy_files import Policy, enforcing
from tests.journeys.processes import until
from tests.soak.checker import check, close_books
from tests.soak.fault_proxy import HEALTHY, Fault
from tests.soak.load import Load, all_at_once
from tests.soak.scenario import Ground, Scenario
from tests.soak.site import Account, Shape, Site, running_site
from tests.soak.trial import Trial

CALL_NANOS = 17_100
DRAINED_WITHIN_S = 60.0
MAX_STALE_S = 3


def store_away(ground: Ground) -> Iterator[Trial]:
    """The store can't be asked for some seconds, in each way in which that happens: calls go on while leases last, then 503,
    never more than the budget; afterwards every row arrives."""
    shape = Shape(ground.engine, ground.nodes, frozenset({"link"}))
    with running_site(ground.directory, shape) as site:
        for number in range(ground.trials):
            yield _outage(site, ground, number)
        yield close_books(site)


def _outage(site: Site, ground: Ground, number: int) -> Trial:
    account = site.account(CALL_NANOS * ground.draw.choice((30, 400, 4_000)))
    ways = (["server"] if site.store is not None else []) + ["killed", "frozen", "hole", "refused"]
    way = ways[number % len(ways)]
    problems = []
    with Load(site, account, 8, seed=ground.draw.getrandbits(32), pause_s=0.02):
        until(lambda: site.served_to(account), "a call is served", 20.0)
        before = dict(account.statuses)
        _take_away(site, way)
        time.sleep(ground.draw.uniform(1.0, 4.0))
        unknown = set(account.statuses) - set(before) - {200, 402, 503}
        if unknown:
            problems.append(f"without the store calls were answered with {sorted(unknown)}")
        began = time.monotonic()
        _bring_back(site, way)
        served = len(site.served_to(account))
        until(
            lambda: len(site.served_to(account)) > served or account.statuses.get(402, 0) > before.get(402, 0),
            "served again, or at the end of the budget",
            30.0,
        )
    trial = check(site, account, problems=problems, within_s=DRAINED_WITHIN_S)
    return trial.after(time.monotonic() - began)


def _take_away(site: Site, way: str) -> None:
    if way == "killed":
        site.api.kill()
    elif way == "frozen":
        site.api.send(signal.SIGSTOP)
    elif way == "hole":
        site.proxies["link"].set(Fault(black_hole=True))
    elif way == "refused":
        site.proxies["link"].set(Fault(refuse=True))
    elif site.store is not None:
        site.store.kill()


def _bring_back(site: Site, way: str) -> None:
    if way == "killed":
        site.start_api()
    elif way == "frozen":
        site.api.send(signal.SIGCONT)
    elif way in ("hole", "refused"):
        site.proxies["link"].set(HEALTHY)
    elif site.store is not None:
        site.store.start()


def short_memory(provider_url: str, api_url: str) -> Policy:
    """Rules and keys are good for three seconds only."""
    return {**enforcing(provider_url, api_url), "gateway": {"max_stale_s": MAX_STALE_S}}


def sleeping_node(ground: Ground) -> Iterator[Trial]:
    """A node is stopped for longer than its rules are good for; meanwhile its key is revoked, and callers queue up at its
    door. After it wakes nothing may be sent under that key."""
    with running_site(ground.directory, Shape(ground.engine, ground.nodes, policy=short_memory)) as site:
        for _ in range(ground.trials):
            yield _sleep(site, ground)
        yield close_books(site)


def _sleep(site: Site, ground: Ground) -> Trial:
    sleeper = ground.draw.choice(site.gateways)
    account = site.account(CALL_NANOS * 4_000)
    all_at_once(site, account, 4 * len(site.gateways), ["Say a word. [[out=3]]"])
    sleeper.signal(signal.SIGSTOP)
    try:
        # The news that is on its way when it falls asleep may be older than this, and is then all it knows on waking.
        time.sleep(ground.draw.uniform(0.0, MAX_STALE_S / 2))
        site.admin("DELETE", f"/v1/tokens/{account.key.id}")
        with _queue_at(site, account, sleeper.port, ground.draw.getrandbits(32)) as load:
            time.sleep(MAX_STALE_S + ground.draw.uniform(0.5, 2.0))
            before = len(site.served_to(account))
            woke = time.monotonic()
            sleeper.signal(signal.SIGCONT)
            load.stop()
    finally:
        sleeper.signal(signal.SIGCONT)
    after = len(site.served_to(account))
    problems = [f"{after - before} calls were sent under a key revoked long ago"] if after > before else []
    sleeper.wait_ready()
    return check(site, account, problems=problems, recovery_s=time.monotonic() - woke)


def _queue_at(site: Site, account: Account, port: int, seed: int) -> Load:
    return Load(
        site, account, callers=6, calls_max=account.named + 6, prompts=["Wake up. [[out=3]]"], seed=seed, ports=[port]
    )


SCENARIOS = (
    Scenario("F6", "store away", store_away, full=10),
    Scenario("F10", "node asleep beyond max_stale_s", sleeping_node, full=8),
)
