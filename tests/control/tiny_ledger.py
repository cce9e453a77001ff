"""The ledger in fifty lines: what each wallet's account in each period must say after whatever happened, and no more than that."""

from collections.abc import Sequence
from dataclasses import dataclass, field

Account = tuple[str, str, int]
"""A wallet's name, a kind of period and the period's start."""


@dataclass
class Sums:
    """One account, in nano-USD."""

    budget: int
    posted: int = 0
    leased: int = 0
    suspense: int = 0

    @property
    def used(self) -> int:
        return self.posted + self.leased + self.suspense


@dataclass
class Lease:
    """Which accounts it debits, and what is left of it."""

    lines: Sequence[Account]
    left: int = 0
    open: bool = True


@dataclass
class TinyLedger:
    """``standing`` are the budgets that a period opens with, by wallet and kind."""

    standing: dict[tuple[str, str], int] = field(default_factory=dict)
    accounts: dict[Account, Sums] = field(default_factory=dict)
    leases: dict[str, Lease] = field(default_factory=dict)

    def open(self, account: Account) -> Sums:
        """The account, which begins with the standing budget."""
        return self.accounts.setdefault(account, Sums(self.standing[account[:2]]))

    def grant(self, lease_id: str, lines: Sequence[Account], nanos: int) -> None:
        """Money goes into a lease, out of all its accounts at once."""
        lease = self.leases.setdefault(lease_id, Lease(lines))
        lease.left += nanos
        self._move(lease, leased=nanos)

    def settle(self, lease_id: str, nanos: int) -> None:
        """A call cost that much."""
        self._take(lease_id, nanos, posted=nanos)

    def give_back(self, lease_id: str, nanos: int) -> None:
        """Unused money of the lease can be leased again."""
        self._take(lease_id, nanos)

    def close(self, lease_id: str, to_suspense: bool) -> None:
        """The lease ends; the rest goes back, or nobody knows."""
        lease = self.leases[lease_id]
        lease.open = False
        self._take(lease_id, lease.left, suspense=lease.left if to_suspense else 0)

    def _take(self, lease_id: str, nanos: int, **into: int) -> None:
        lease = self.leases[lease_id]
        lease.left -= nanos
        self._move(lease, leased=-nanos, **into)

    def _move(self, lease: Lease, **by: int) -> None:
        for line in lease.lines:
            for name, nanos in by.items():
                setattr(self.accounts[line], name, getattr(self.accounts[line], name) + nanos)
