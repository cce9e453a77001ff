"""What a batch of journal records does to wallets and leases: pure sums, so that every store applies them alike."""

from collections import defaultdict
from collections.abc import Iterable

import msgspec
from msgspec import Struct

from keeptrusts.core.ledger.records import Attempt, Close, CloseLease, Event, Record, Return, StoredRecord
from keeptrusts.core.ledger.wallet import WalletPeriod


class LeaseMovement(Struct):
    """What one batch does to one lease, in nano-USD: spend to post, money that goes back, and whether it ends."""

    settled: int = 0
    returned: int = 0
    closed: bool = False
    suspended: bool = False
    team_id: str | None = None


class LeaseBook(Struct, frozen=True):
    """A lease as the store keeps it: everything still leased under it is ``granted - settled - returned``.

    ``wallet_id`` is the wallet of the tree that it spends from directly. ``ticket_id``: it pays for one approved call, and
    what that does not use is not approved any more. ``suspended``: what of ``returned`` went to suspense, when last and why;
    ``resolved``: how much of that is accounted for since, by people or by records that came late.
    """

    lease_id: str
    node_id: str
    wallet_id: str
    granted: int
    settled: int
    returned: int
    closed: bool
    ticket_id: str | None = None
    suspended: int = 0
    resolved: int = 0
    suspended_at_ms: int = 0
    suspended_why: str | None = None

    @property
    def in_doubt(self) -> int:
        """Nano-USD that the wallet's periods count as suspense because of this lease."""
        return self.suspended - self.resolved

    @property
    def remainder(self) -> int:
        """Nano-USD that the wallet's periods still count as leased because of this lease."""
        return self.granted - self.settled - self.returned


class PeriodMovement(Struct, frozen=True):
    """How a movement changes a wallet period: what to add to each of its amounts, in nano-USD."""

    leased: int = 0
    posted: int = 0
    overrun: int = 0
    suspense: int = 0
    unleased: int = 0
    approved: int = 0

    def __add__(self, other: "PeriodMovement") -> "PeriodMovement":
        """Both movements as one."""
        return PeriodMovement(
            self.leased + other.leased,
            self.posted + other.posted,
            self.overrun + other.overrun,
            self.suspense + other.suspense,
            self.unleased + other.unleased,
            self.approved + other.approved,
        )

    @property
    def freed(self) -> bool:
        """Whether money came back that others may lease now."""
        return self.leased + self.posted + self.suspense < self.approved


def moved(period: WalletPeriod, by: PeriodMovement) -> WalletPeriod:
    """The account after the movement."""
    return msgspec.structs.replace(
        period,
        leased=period.leased + by.leased,
        posted=period.posted + by.posted,
        overrun=period.overrun + by.overrun,
        suspense=period.suspense + by.suspense,
        unleased=period.unleased + by.unleased,
        approved=period.approved + by.approved,
    )


def settled_attempts(event: Event) -> tuple[Attempt, ...]:
    """The attempts whose hold this event turns into a cost: those before had a Close of their own."""
    return event.attempts[-event.settles :] if event.settles else ()


def lease_movements(records: Iterable[Record | StoredRecord]) -> dict[str, LeaseMovement]:
    """The sum of what ``records`` do to each lease, by lease id."""
    movements: defaultdict[str, LeaseMovement] = defaultdict(LeaseMovement)
    for record in records:
        if isinstance(record, Event):
            for attempt in settled_attempts(record):
                if attempt.lease_id is not None:
                    movements[attempt.lease_id].settled += attempt.cost_nanos
        elif isinstance(record, Close):
            if record.attempt.lease_id is not None:
                movements[record.attempt.lease_id].settled += record.attempt.cost_nanos
        elif isinstance(record, Return):
            movements[record.lease_id].returned += record.nanos
        elif isinstance(record, CloseLease):
            movement = movements[record.lease_id]
            movement.closed = True
            movement.suspended = movement.suspended or record.to_suspense
            movement.team_id = record.team_id
    return dict(movements)


def move_lease(lease: LeaseBook, movement: LeaseMovement) -> tuple[LeaseBook, PeriodMovement]:
    """The lease after the movement, and what each of its wallet periods must add.

    Truth is never refused: spend beyond what the lease still has comes out of what is in doubt of it, and beyond that is
    posted as ``overrun``. A return cannot exceed what is left; closing frees the rest, or moves it to suspense.
    """
    covered = min(movement.settled, lease.remainder)
    proven = min(movement.settled - covered, lease.in_doubt)
    overrun = movement.settled - covered - proven
    left = lease.remainder - covered
    returned = left if movement.closed else min(movement.returned, left)
    suspense = returned if movement.suspended else 0
    after = msgspec.structs.replace(
        lease,
        settled=lease.settled + covered,
        returned=lease.returned + returned,
        closed=lease.closed or movement.closed,
        suspended=lease.suspended + suspense,
        resolved=lease.resolved + proven,
    )
    unused = 0 if lease.ticket_id is None else returned - suspense
    return after, PeriodMovement(
        leased=-(covered + returned),
        posted=covered + proven,
        overrun=overrun,
        suspense=suspense - proven,
        approved=-unused,
    )


def in_doubt_since(lease: LeaseBook, at_ms: int, why: str) -> LeaseBook:
    """The lease with a note of when and why money of it went to suspense."""
    return msgspec.structs.replace(lease, suspended_at_ms=at_ms, suspended_why=why)


def resolve_lease(lease: LeaseBook, spent_nanos: int) -> tuple[LeaseBook, PeriodMovement]:
    """The lease once everything in doubt of it is accounted for, and what each of its wallet periods must add: what was
    spent (at most what is in doubt) is posted, the rest is free."""
    assert 0 <= spent_nanos <= lease.in_doubt
    unused = 0 if lease.ticket_id is None else lease.in_doubt - spent_nanos
    after = msgspec.structs.replace(lease, resolved=lease.suspended)
    return after, PeriodMovement(posted=spent_nanos, suspense=-lease.in_doubt, approved=-unused)
