"""L1 and L2: what wallet periods say, against the sums of their leases and of the events that spent from those."""

from collections.abc import Collection, Iterable, Iterator, Mapping

from msgspec import Struct

from keeptrusts.core.ledger.invariants.findings import Finding
from keeptrusts.core.ledger.invariants.rows import AccountRow, LeaseRow, Line, named


class Sums(Struct):
    """Everything that the leases of one wallet period add up to. ``billed`` is what events say was spent from them;
    ``moving``: a node that may still ship records holds one of them. ``watched``: one belongs to a node that no wallet
    binds."""

    leased: int = 0
    settled: int = 0
    suspense: int = 0
    resolved: int = 0
    billed: int = 0
    moving: bool = False
    watched: bool = False


NOTHING = Sums()


def add_lease(sums: dict[Line, Sums], lease: LeaseRow, billed: int, moving: bool, watched: bool) -> None:
    """Counts a lease into each wallet period that it debits."""
    for line in lease.lines:
        into = sums.get(line)
        if into is None:
            into = sums[line] = Sums()
        into.leased += lease.remainder
        into.settled += lease.settled
        into.suspense += lease.suspended - lease.resolved
        into.resolved += lease.resolved
        into.billed += billed
        into.moving |= moving
        into.watched |= watched


def conservation(account: AccountRow, sums: Sums) -> Iterator[Finding]:
    """L1 of one wallet period. Of money that people resolved from suspense any part may have been posted.

    A batch applies an attempt's end at the latest with its
    event, so that events can never say more than was posted; less only while a call goes on whose first attempts have
    ended, and that a node which has ended has none of.
    """
    subject = named(account.line)
    if account.leased != sums.leased:
        yield Finding("L1", subject, "leased, by its open leases", sums.leased, account.leased)
    if account.suspense != sums.suspense:
        yield Finding("L1", subject, "suspense, by its leases", sums.suspense, account.suspense)
    if not sums.settled <= account.posted <= sums.settled + sums.resolved:
        yield Finding("L1", subject, "posted, by what its leases settled", sums.settled, account.posted)
    applied = sums.settled + account.overrun
    if sums.billed > applied + sums.resolved or (sums.billed < applied and not sums.moving):
        yield Finding("L1", subject, "posted and overrun, by the events of its leases", sums.billed, applied)


def orphans(sums: Mapping[Line, Sums], accounts: Collection[Line]) -> Iterator[Finding]:
    """L1: wallet periods that leases debit and that are not there."""
    for line in sums.keys() - accounts:
        yield Finding("L1", named(line), "a wallet period that leases debit is missing")


def carried(accounts: Iterable[AccountRow]) -> Iterator[Finding]:
    """L1: in each wallet and kind, what periods took over is what earlier ones gave."""
    taken: dict[tuple[str, str], list[int]] = {}
    for account in accounts:
        both = taken.setdefault((account.wallet_id, account.kind), [0, 0])
        both[0] += account.carried_out
        both[1] += account.carried
    for (wallet_id, kind), (given, received) in taken.items():
        if given != received:
            yield Finding("L1", f"{wallet_id} {kind}", "carried over, by what earlier periods gave", given, received)


def within_budget(account: AccountRow, sums: Sums, highest: int) -> Iterator[Finding]:
    """L2 of one wallet period, as far as rows can tell.

    ``highest`` is the highest budget that this period may ever have had, by its statement, its standing budget and its
    spend controls: a budget lowered later leaves more behind, legitimately. What was granted can't exceed that, what was
    carried over, and what people approved; spend without a lease and overruns are outside of grants. That each grant
    fitted the budget of its own moment is the conditional update's to enforce; the rows of a moment can't prove it.
    A period that some node uses unbound by wallets has no limit to hold.
    """
    granted = account.posted + account.leased + account.suspense
    most = highest + account.carried + account.approved
    if granted > most and not sums.watched:
        yield Finding("L2", named(account.line), "granted, by the highest budget it had", f"at most {most}", granted)
