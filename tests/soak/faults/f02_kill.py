"""F2 and F3: ``kill -9`` of one node, or of everything at once, at random moments and at named places in the code."""

import signal
import time
from collections.abc import Iterator

from tests.soak.checker import check, close_books
from tests.soak.failpoints import API_FAILPOINTS, GATEWAY_FAILPOINTS, TORN
from tests.soak.load import MAX_TOKENS, Load
from tests.soak.scenario import Ground, Scenario
from tests.soak.site import Shape, Site, running_site
from tests.soak.trial import Trial

CALLERS = 16
CALL_NANOS = 14 * 150 + MAX_TOKENS * 600
PATIENCE_S = 3.0
"""How long a failpoint may take to be reached before the node is killed wherever it is."""

SIDES = ("before", "after")
PLACES = [f"{point}:{side}" for point in GATEWAY_FAILPOINTS for side in SIDES] + [f"{TORN}:before"]
API_PLACES = [f"{point}:{side}" for point in API_FAILPOINTS for side in SIDES]


def kill_nodes(ground: Ground) -> Iterator[Trial]:
    """Each trial kills one node once: by turns at the next named place, and at a random moment. The others go on."""
    with running_site(ground.directory, Shape(ground.engine, ground.nodes)) as site:
        for number in range(ground.trials):
            place = PLACES[number // 2 % len(PLACES)] if number % 2 == 0 else ""
            yield kill_one(site, ground, place)
        yield close_books(site)


def kill_one(site: Site, ground: Ground, place: str) -> Trial:
    """A kill under load, and the restart. ``place`` is a failpoint with its side; empty: a random moment."""
    draw = ground.draw
    account = site.account(int(CALL_NANOS * draw.choice((60, 200, 2_000))))
    victim = draw.choice(site.gateways)
    if place:
        point = place.partition(":")[0]
        rare = point in GATEWAY_FAILPOINTS and GATEWAY_FAILPOINTS[point].rare
        nth = 1 if rare else draw.randint(1, 30)
        victim.program.kill()
        victim.start(["--die-at", f"{place}:{nth}", "--segment-bytes", "20000"], ready=False)
    with Load(site, account, CALLERS, seed=draw.getrandbits(32)) as load:
        if place:
            ends = time.monotonic() + PATIENCE_S
            while victim.program.ended is None and time.monotonic() < ends:
                time.sleep(0.02)
        else:
            load.wait_served(draw.randint(1, 40))
            time.sleep(draw.random() * 0.1)
        victim.program.kill()
        recovery_s = victim.start()
        load.wait_served(len(site.served_to(account)) + 1, enough=lambda: bool(account.statuses.get(402)))
    return check(site, account, recovery_s=recovery_s)


def kill_all(ground: Ground) -> Iterator[Trial]:
    """All nodes, the API, and the store's server, in one moment; then everything is started again."""
    with running_site(ground.directory, Shape(ground.engine, ground.nodes)) as site:
        for _ in range(ground.trials):
            account = site.account(int(CALL_NANOS * ground.draw.choice((60, 200, 2_000))))
            with Load(site, account, CALLERS, seed=ground.draw.getrandbits(32)) as load:
                load.wait_served(ground.draw.randint(1, 60))
                everything_dies(site)
                recovery_s = everything_starts(site)
                load.wait_served(len(site.served_to(account)) + 1, enough=lambda a=account: bool(a.statuses.get(402)))  # type: ignore[misc]
            yield check(site, account, recovery_s=recovery_s)
        yield close_books(site)


def everything_dies(site: Site) -> None:
    if site.store is not None:
        site.store.kill()
    for program in [site.api, *(gateway.program for gateway in site.gateways)]:
        program.send(signal.SIGKILL)
    for program in [site.api, *(gateway.program for gateway in site.gateways)]:
        program.kill()


def everything_starts(site: Site) -> float:
    """Starts it all; returns how long until every node serves."""
    began = time.monotonic()
    if site.store is not None:
        site.store.start()
    site.start_api()
    for gateway in site.gateways:
        gateway.start(ready=False)
    for gateway in site.gateways:
        gateway.wait_ready()
    return time.monotonic() - began


def kill_api(ground: Ground) -> Iterator[Trial]:
    """The API dies at a named place, before or after its transaction, while nodes wait for its answer."""
    with running_site(ground.directory, Shape(ground.engine, ground.nodes)) as site:
        for number in range(ground.trials):
            place = API_PLACES[number % len(API_PLACES)]
            rare = API_FAILPOINTS[place.partition(":")[0]].rare
            account = site.account(int(CALL_NANOS * ground.draw.choice((60, 200))))
            site.api.kill()
            site.start_api_to_die(f"{place}:{1 if rare else ground.draw.randint(1, 4)}")
            with Load(site, account, CALLERS, seed=ground.draw.getrandbits(32)):
                ends = time.monotonic() + PATIENCE_S
                while site.api.ended is None and time.monotonic() < ends:
                    time.sleep(0.02)
                site.api.kill()
                began = time.monotonic()
                site.start_api()
            yield check(site, account).after(time.monotonic() - began)
        yield close_books(site)


SCENARIOS = (
    Scenario("F2", "kill -9 of a node", kill_nodes, full=76, small=3),
    Scenario("F3", "kill -9 of everything", kill_all, full=10, small=1),
    Scenario("F3", "kill -9 of the API in a transaction", kill_api, full=10, small=1),
)
