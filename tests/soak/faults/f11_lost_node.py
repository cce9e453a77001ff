"""F11: a node dies and its disk is gone. What it had leased stays counted, until somebody gives the node up and says what
it really spent."""

import shutil
import time
from collections.abc import Iterator

from keeptrusts.api.routes import ROUTES
from tests.journeys.books import balance, events, nanos
from tests.journeys.processes import until
from tests.soak.checker import close_books
from tests.soak.load import Load
from tests.soak.scenario import Ground, Scenario
from tests.soak.site import Account, Shape, Site, running_site, usd
from tests.soak.trial import Trial

CALL_NANOS = 17_100
SETTLED_S = 1.0
"""How long after the last call the other nodes may take to ship."""


def lost_node(ground: Ground) -> Iterator[Trial]:
    """The journal is deleted with its node; the leases go to suspense and are resolved by the provider's bill."""
    with running_site(ground.directory, Shape(ground.engine, ground.nodes)) as site:
        for _ in range(ground.trials):
            account = site.account(CALL_NANOS * ground.draw.choice((60, 400)))
            victim = ground.draw.choice(site.gateways)
            [journal] = [j for j in victim.journals if not (j / "retired").exists()]
            with Load(site, account, 8, seed=ground.draw.getrandbits(32)) as load:
                load.wait_served(ground.draw.randint(10, 40))
                victim.program.kill()
                shutil.rmtree(journal)
                began = time.monotonic()
                victim.start()
                load.wait_served(len(site.served_to(account)) + 1, enough=lambda a=account: bool(a.statuses.get(402)))  # type: ignore[misc]
            yield _accounted_for(site, account, journal.name).after(time.monotonic() - began)
        yield close_books(site)


def _accounted_for(site: Site, account: Account, node_id: str) -> Trial:
    """Rows that went down with the disk are not counted as lost, if what they cost is in suspense to the last nano-USD."""
    problems = []
    answer = site.admin("POST", f"/v1/gateways/{node_id}/retire", {"force": True})
    if answer.status != 200:
        problems.append(f"the node can't be retired: {answer.status}")
    time.sleep(SETTLED_S)
    truth: dict[str, int] = {}
    for served in site.served_to(account):
        truth[served.request_id] = truth.get(served.request_id, 0) + served.cost_nanos
    until(lambda: nanos(balance(site, account.team)["reserved"]) == 0, "nothing held", 20.0)
    rows = {row["request_id"]: nanos(row["cost_usd"]) for row in events(site, team_id=account.team)}
    gone = sum(cost for name, cost in truth.items() if name not in rows)
    doubts = [
        item
        for item in site.admin("GET", "/v1/ledger/suspense").json["data"]
        if any(wallet["scope_id"] == account.team for wallet in item["wallets"])
    ]
    suspense = sum(nanos(item["amount"]) for item in doubts)
    if nanos(balance(site, account.team)["suspense"]) != suspense:
        problems.append("the balance and the list of doubts disagree")
    if gone > suspense:
        problems.append(f"{gone} nano-USD went down with the disk, {suspense} are in suspense: the rest was given away")
    left = gone
    for item in doubts:
        spent = min(left, nanos(item["amount"]))
        left -= spent
        path = f"/v1/ledger/suspense/{item['lease_id']}/resolve"
        if site.admin("POST", path, {"spent": usd(spent)}).status != 200:
            problems.append("a doubt can't be resolved")
    after = balance(site, account.team)
    if nanos(after["spent"]) != sum(rows.values()) + gone:
        problems.append(f"spent {after['spent']}, but rows and what was resolved make {usd(sum(rows.values()) + gone)}")
    return Trial(
        calls=account.named,
        overspend_nanos=max(0, sum(truth.values()) - account.budget_nanos),
        holds_left_nanos=nanos(after["suspense"]),
        problems=tuple(problems),
    )


def _retiring() -> str:
    known = any(route.path.endswith("/retire") for route in ROUTES)
    return "" if known else "a lost journal's leases need a way to retire its node, which this release does not have"


SCENARIOS = (Scenario("F11", "node and its disk gone", lost_node, full=8, unavailable=_retiring),)
