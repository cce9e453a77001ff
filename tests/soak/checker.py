"""Holds the provider's truth, the event rows and the wallets against each other: the one judge of every scenario."""

import subprocess
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from tests.journeys.books import Event, balance, events, nanos
from tests.journeys.processes import KT, until
from tests.soak.site import Account, Site
from tests.soak.trial import Trial

ROWS_WITHIN_S = 20.0
GUESSES = ("worst_case", "counted")
BROKEN = ("recovered", "interrupted", "upstream_error")


def check(
    site: Site,
    account: Account,
    *,
    count: int = 1,
    exhausts: bool = False,
    recovery_s: float | None = None,
    problems: Sequence[str] = (),
    suspense_expected: bool = False,
    within_s: float = ROWS_WITHIN_S,
    price_factors: tuple[int, ...] = (1,),
    one_period: bool = True,
) -> Trial:
    """The trial's result, as soon as every call that must have a row has one, or ``within_s`` has passed.

    ``exhausts``: the calls asked for more than the budget, so that how much of it was used means something.
    ``price_factors``: what our price may be of the provider's. ``one_period`` False: the balance shows only a part of it.
    """
    truth, rows = _bills(site, account), list[Event]()
    while True:
        must = truth.keys() | account.answered
        rows = rows_of(site, account, must, within_s)
        # Somebody whose client has left may be served only now. A row's bill is in the log before the row is.
        before, truth = truth, _bills(site, account)
        if truth == before:
            break
    found = list(problems)
    by_request = Counter(row["request_id"] for row in rows)
    cost = {row["request_id"]: nanos(row["cost_usd"]) for row in rows}
    found += _wrong_costs(rows, truth, account, price_factors)
    spent, held, suspense = at_rest(site, account)
    if suspense and not suspense_expected:
        found.append(f"{suspense} nano-USD hang in suspense")
    booked = sum(nanos(row["cost_usd"]) for row in rows)
    if one_period and spent != booked:
        found.append(f"the wallet has {spent} nano-USD spent, its rows cost {booked}")
    return Trial(
        count=count,
        calls=account.named,
        overspend_nanos=max(0, sum(truth.values()) - account.budget_nanos),
        rows_lost=len(must - cost.keys()),
        rows_doubled=sum(times - 1 for times in by_request.values()),
        holds_left_nanos=held,
        used=min(1.0, spent / account.budget_nanos) if exhausts else None,
        recovery_s=recovery_s,
        problems=tuple(found),
    )


def _bills(site: Site, account: Account) -> Counter[str]:
    """What the provider billed for each call, in nano-USD, by its own log."""
    bills: Counter[str] = Counter()
    for served in site.served_to(account):
        bills[served.request_id] += served.cost_nanos
    return bills


def rows_of(site: Site, account: Account, must: set[str], within_s: float = ROWS_WITHIN_S) -> list[Event]:
    """The team's rows, once these calls are among them or the time is up."""
    seen: list[Event] = []

    def complete() -> bool:
        seen[:] = events(site, team_id=account.team)
        return must <= {row["request_id"] for row in seen}

    with suppress(AssertionError):  # what is missing is counted as lost
        until(complete, "every call has its row", within_s)
    return seen


def _wrong_costs(
    rows: Sequence[Event], truth: Counter[str], account: Account, price_factors: tuple[int, ...]
) -> list[str]:
    found = []
    for row in rows:
        name, booked = row["request_id"], nanos(row["cost_usd"])
        billed = truth.get(name, 0)
        guessed = any(attempt["outcome"] == "indeterminate" for attempt in row["attempts"])
        flagged = guessed or row["status"] in BROKEN or row["usage_source"] in GUESSES
        if booked < billed:
            found.append(f"a row is booked at less than the provider's bill ({row['status']}: {booked} < {billed})")
        elif booked not in {billed * factor for factor in price_factors} and not flagged:
            found.append(f"a row differs from the bill and is not flagged ({row['status']}: {booked}, not {billed})")
        if name in account.answered and row["status"] == "recovered":
            found.append("a call that was answered to its end was recovered: its end was not journaled first")
        held = sum(nanos(attempt["hold"]) for attempt in row["attempts"])
        if booked > held:
            found.append(f"a row costs more than was held for it ({booked} > {held})")
    return found


def at_rest(site: Site, account: Account, within_s: float = 10.0) -> tuple[int, int, int]:
    """Spent, held and in suspense, in nano-USD, once nothing is held any more or the time is up."""
    latest: dict[str, Any] = {}

    def quiet() -> bool:
        latest.update(balance(site, account.team))
        return nanos(latest["reserved"]) == 0

    with suppress(AssertionError):  # what is held is reported
        until(quiet, "no hold is left", within_s)
    return nanos(latest["spent"]), nanos(latest["reserved"]), nanos(latest["suspense"])


def close_books(site: Site, at_rest: bool = True) -> Trial:
    """Stops the nodes and looks at what may only be left then: leases, and what ``kt ledger verify`` finds.

    It counts as no trial of its own; what it finds fails the line. ``at_rest`` False: leases of journals that nobody could
    read stay open.
    """
    problems = site.stop_nodes()
    left = 0
    for account in site.accounts:
        try:
            until(lambda account=account: nanos(balance(site, account.team)["leased"]) == 0, "leases back", 10.0)  # type: ignore[misc]
        except AssertionError:
            left += nanos(balance(site, account.team)["leased"])
    problems += verify(site, at_rest)
    return Trial(count=0, holds_left_nanos=left, problems=tuple(problems))


def verify(site: Site, at_rest: bool) -> list[str]:
    """What ``kt ledger verify`` says against the ledger, when every node has stopped."""
    where = (
        ["--data-dir", str(site.data_dir)] if site.store is None else ["--database", site.store.url(site.store.port)]
    )
    said = subprocess.run(
        [KT, "ledger", "verify", *(["--at-rest"] if at_rest else []), *where],
        env=site.env,
        cwd=site.directory,
        capture_output=True,
        timeout=300,
        check=False,
        text=True,
    )
    return [] if said.returncode == 0 else [f"kt ledger verify: {(said.stdout + said.stderr).strip()[-400:]}"]
