"""Leases in memory."""

from collections.abc import Sequence

from keeptrusts.core.ledger.posting import LeaseBook
from keeptrusts.core.ledger.standing import PeriodKey
from keeptrusts.store.memory.state import BrokenRule, State, not_negative


class MemoryLeases:
    """See contracts.Leases."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def find(self, lease_id: str) -> LeaseBook | None:
        """The lease as it stands."""
        return self._state.leases.get(lease_id)

    async def lines(self, lease_id: str) -> list[PeriodKey]:
        """See contracts.Leases."""
        return sorted(self._state.lines.get(lease_id, ()))

    async def add(self, lease: LeaseBook, lines: Sequence[PeriodKey], at_ms: int) -> None:
        """See contracts.Leases."""
        if lease.lease_id in self._state.leases:
            raise BrokenRule(f"lease {lease.lease_id} is there already")
        if any(line not in self._state.periods for line in lines):
            raise BrokenRule("a lease debits periods that exist")
        self._put(lease)
        self._state.lines[lease.lease_id] = tuple(lines)

    async def update(self, lease: LeaseBook) -> None:
        """See contracts.Leases."""
        self._put(lease)

    async def open_of(self, node_id: str) -> list[LeaseBook]:
        """See contracts.Leases."""
        leases = self._state.leases.items()
        return [lease for _, lease in sorted(leases) if lease.node_id == node_id and not lease.closed]

    async def granted(self, grant_id: str) -> tuple[str, int] | None:
        """See contracts.Leases."""
        return self._state.grants.get(grant_id)

    async def add_grant(self, grant_id: str, lease_id: str, nanos: int, at_ms: int) -> None:
        """See contracts.Leases."""
        if grant_id in self._state.grants or lease_id not in self._state.leases or nanos <= 0:
            raise BrokenRule(f"grant {grant_id} is there already, has no lease or moves nothing")
        self._state.grants[grant_id] = (lease_id, nanos)

    def _put(self, lease: LeaseBook) -> None:
        for amount in (lease.granted, lease.settled, lease.returned, lease.remainder, lease.suspended, lease.resolved):
            not_negative(amount)
        self._state.leases[lease.lease_id] = lease
