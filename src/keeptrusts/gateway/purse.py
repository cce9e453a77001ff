"""The node's money: leases of team wallets, spent in memory without a round trip. Reserve before a call, close after it.

One event loop is the only spender, so every step between two waits is atomic. What the store must know goes through the
journal; ``purse_refill.py`` fetches more money and decides who has to be refused.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from keeptrusts.core.ledger.grant import GrantRequest, WalletView
from keeptrusts.core.ledger.records import CloseLease, Return, encode_record
from keeptrusts.core.refusal import Reason, Refused


class Journalist(Protocol):
    """Where the purse writes what it does."""

    def append(self, record: bytes) -> None:
        """Adds a record to the next write."""


class Lease:
    """A slice of one team's wallet. ``free + held + settled + returned == granted`` at every moment; nano-USD.

    ``free`` may be negative after a provider billed more than its hold: the next grant fills it up. ``ends`` is the timer
    of its period's end.
    """

    __slots__ = ("draining", "ends", "free", "granted", "held", "lease_id", "returned", "settled", "team_id")

    def __init__(self, lease_id: str, team_id: str) -> None:
        self.lease_id = lease_id
        self.team_id = team_id
        self.granted = 0
        self.free = 0
        self.held = 0
        self.settled = 0
        self.returned = 0
        self.draining = False
        self.ends: asyncio.TimerHandle | None = None


class Waiter:
    """A call that waits for money. ``tighten`` finds a smaller hold for the same call, once, if there is one."""

    __slots__ = ("future", "hold_nanos", "tighten")

    def __init__(self, hold_nanos: int, tighten: Callable[[], int] | None, future: "asyncio.Future[Lease]") -> None:
        self.hold_nanos = hold_nanos
        self.tighten = tighten
        self.future = future


class Account:
    """What the node holds of the budgets that some calls share, and who waits for it: those of a team, and those that
    ``also`` names (``project:search``). One lease debits all of them.

    ``short``: the store has no more; ``away``: it can't say, and why. Either is believed until ``ask_again_at``.
    ``question`` is what the store was asked and may have answered without being heard; ``asked_hold`` the hold of the call that
    was first in line then.
    """

    __slots__ = (
        "again",
        "also",
        "answered_at",
        "ask_again_at",
        "asked_hold",
        "asking",
        "away",
        "draining",
        "in_flight",
        "last_slice",
        "lease",
        "question",
        "short",
        "team_id",
        "touched",
        "view",
        "waiters",
    )

    def __init__(self, team_id: str, also: tuple[str, ...] = ()) -> None:
        self.team_id = team_id
        self.also = also
        self.lease: Lease | None = None
        self.draining: dict[str, Lease] = {}
        self.waiters: deque[Waiter] = deque()
        self.asked_hold = 0
        self.asking = False
        self.question: GrantRequest | None = None
        self.answered_at = 0.0
        self.ask_again_at = 0.0
        self.again: asyncio.TimerHandle | None = None
        self.short = False
        self.away: str | None = None
        self.view: WalletView | None = None
        self.last_slice = 0
        self.in_flight = 0
        self.touched = False

    def concerns(self, wallet_id: str, name: str) -> bool:
        """Whether a wallet is one that these calls spend from, as far as the store has said or its name tells."""
        known = self.view is not None and wallet_id in self.view.wallet_ids
        return known or name == f"team:{self.team_id}" or name in self.also

    def escalates(self, refused: Refused) -> bool:
        """Whether a call that is refused for want of money is held for an approver instead."""
        return refused.reason is Reason.INSUFFICIENT_BALANCE and self.view is not None and self.view.escalates

    @property
    def held_nanos(self) -> int:
        """The holds of live calls."""
        held = sum(lease.held for lease in self.draining.values())
        return held if self.lease is None else held + self.lease.held

    @property
    def spent_nanos(self) -> int:
        """The tightest budget's spend: what the store has posted, and what this node settled since and has not shipped."""
        if self.view is None:
            return 0
        settled = self.lease.settled if self.lease is not None else 0
        return self.view.spent + max(0, settled - self.view.lease_settled)


class Purse:
    """All accounts of the node. ``refill`` is called when an account runs low or a call waits for it."""

    def __init__(self, journal: Journalist, refill: Callable[[Account], None]) -> None:
        self._journal = journal
        self._refill = refill
        self.accounts: dict[tuple[str, tuple[str, ...]], Account] = {}

    def account(self, team_id: str, also: tuple[str, ...] = ()) -> Account:
        """The account of a team's calls that spend from these further budgets too, empty at first."""
        account = self.accounts.get((team_id, also))
        if account is None:
            account = self.accounts[team_id, also] = Account(team_id, also)
        return account

    def take(self, account: Account, hold_nanos: int) -> Lease | None:
        """Holds money for a call at once, or None when it has to wait: too little, or others wait already."""
        lease = account.lease
        if lease is None or lease.free < hold_nanos or account.waiters:
            return None
        lease.free -= hold_nanos
        lease.held += hold_nanos
        account.in_flight += 1
        account.touched = True
        if lease.free * 5 < account.last_slice * 2 and not (account.asking or account.short or account.away):
            self._refill(account)
        return lease

    def close(self, account: Account, lease: Lease, hold_nanos: int, cost_nanos: int) -> None:
        """The call's hold becomes its cost (0: nothing was billed); what is over serves those who wait."""
        lease.held -= hold_nanos
        lease.settled += cost_nanos
        lease.free += hold_nanos - cost_nanos
        account.in_flight -= 1
        if lease.draining:
            self._return_free(account, lease)
        elif account.waiters:
            self.serve(account)
        if account.waiters:
            self._refill(account)

    def serve(self, account: Account) -> None:
        """Gives money to those who wait, first come first served, while it lasts."""
        lease = account.lease
        while account.waiters and lease is not None:
            waiter = account.waiters[0]
            if waiter.future.done():
                account.waiters.popleft()
                continue
            if waiter.hold_nanos > lease.free:
                return
            account.waiters.popleft()
            lease.free -= waiter.hold_nanos
            lease.held += waiter.hold_nanos
            account.in_flight += 1
            waiter.future.set_result(lease)

    def drain(self, account: Account) -> None:
        """Stops spending from the lease at hand: what is free goes back now, the rest when its calls have settled."""
        lease, account.lease = account.lease, None
        if lease is None:
            return
        lease.draining = True
        if lease.ends is not None:
            lease.ends.cancel()
        account.draining[lease.lease_id] = lease
        self._return_free(account, lease)

    def _return_free(self, account: Account, lease: Lease) -> None:
        """What a draining lease has free goes back, journaled first; with its last hold the lease ends."""
        if lease.held == 0:
            del account.draining[lease.lease_id]
            self._journal.append(encode_record(CloseLease(lease.lease_id, lease.team_id)))
        elif lease.free > 0:
            self._journal.append(encode_record(Return(lease.lease_id, lease.free)))
            lease.returned += lease.free
            lease.free = 0

    def open_leases(self) -> list[Lease]:
        """Every lease that the store must still hear the end of."""
        accounts = self.accounts.values()
        return [lease for a in accounts for lease in (*a.draining.values(), a.lease) if lease is not None]

    def held_nanos(self) -> dict[str, int]:
        """The holds of live calls, by wallet id: what ``reserved`` shows."""
        held: dict[str, int] = {}
        for account in self.accounts.values():
            if account.view is not None and (nanos := account.held_nanos):
                for wallet_id in account.view.wallet_ids:
                    held[wallet_id] = held.get(wallet_id, 0) + nanos
        return held
