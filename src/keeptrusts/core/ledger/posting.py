"""What a batch of journal records does to wallets and leases: pure sums, so that every store applies them alike."""

from collections.abc import Iterable

from msgspec import Struct

from keeptrusts.core.ledger.records import Attempt, Close, CloseLease, Event, Record, Return


class LeaseMovement(Struct):
    """What one batch does to one lease, in nano-USD: spend to post, money that goes back, and whether it ends."""

    settled: int = 0
    returned: int = 0
    closed: bool = False
    suspended: bool = False
    team_id: str | None = None


class LeaseBook(Struct, frozen=True):
    """A lease as the store keeps it: everything still leased under it is ``granted - settled - returned``."""

    lease_id: str
    node_id: str
    wallet_id: str
    granted: int
    settled: int
    returned: int
    closed: bool

    @property
    def remainder(self) -> int:
        """Nano-USD that the wallet's periods still count as leased because of this lease."""
        return self.granted - self.settled - self.returned


class PeriodMovement(Struct, frozen=True):
    """How one lease's movement changes each wallet period that it bounds."""

    leased: int
    posted: int
    overrun: int
    suspense: int = 0


def settled_attempts(record: Record) -> tuple[Attempt, ...]:
    """The attempts whose hold this record turns into a cost."""
    if isinstance(record, Close):
        return (record.attempt,)
    if isinstance(record, Event) and record.settles:
        return record.attempts[-record.settles :]
    return ()


def lease_movements(records: Iterable[Record]) -> dict[str, LeaseMovement]:
    """The sum of what ``records`` do to each lease, by lease id."""
    movements: dict[str, LeaseMovement] = {}
    for record in records:
        for attempt in settled_attempts(record):
            if attempt.lease_id is not None:
                movements.setdefault(attempt.lease_id, LeaseMovement()).settled += attempt.cost_nanos
        if isinstance(record, Return):
            movements.setdefault(record.lease_id, LeaseMovement()).returned += record.nanos
        elif isinstance(record, CloseLease):
            movement = movements.setdefault(record.lease_id, LeaseMovement())
            movement.closed = True
            movement.suspended = movement.suspended or record.to_suspense
            movement.team_id = record.team_id
    return movements


def move_lease(lease: LeaseBook, movement: LeaseMovement) -> tuple[LeaseBook, PeriodMovement]:
    """The lease after the movement, and what each of its wallet periods must add.

    Truth is never refused: spend beyond what the lease still has is posted as ``overrun``. A return cannot exceed what is
    left; closing frees the rest, or moves it to suspense.
    """
    covered = min(movement.settled, lease.remainder)
    overrun = movement.settled - covered
    left = lease.remainder - covered
    returned = left if movement.closed else min(movement.returned, left)
    after = LeaseBook(
        lease_id=lease.lease_id,
        node_id=lease.node_id,
        wallet_id=lease.wallet_id,
        granted=lease.granted,
        settled=lease.settled + covered,
        returned=lease.returned + returned,
        closed=lease.closed or movement.closed,
    )
    suspense = returned if movement.suspended else 0
    return after, PeriodMovement(leased=-(covered + returned), posted=covered, overrun=overrun, suspense=suspense)
