"""The ledger in memory: dictionaries, copied when a unit of work begins and kept when it ends well. For tests and simulation."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields

import msgspec

from keeptrusts.core.ledger.entry import Entry, NumberedEntry
from keeptrusts.core.ledger.posting import LeaseBook, PeriodMovement
from keeptrusts.core.ledger.standing import Cap, PeriodKey, key_of
from keeptrusts.core.ledger.wallet import Wallet, WalletPeriod
from keeptrusts.core.metering.event_row import EventRow
from keeptrusts.core.periods import PeriodKind


class BrokenRule(Exception):
    """What was asked would break a rule that every store keeps: a double id, a negative amount, a row without its parent."""


@dataclass(slots=True)
class State:
    """Everything that the store remembers. Values are immutable, so that a copy of the dictionaries is a snapshot."""

    wallets: dict[str, Wallet] = field(default_factory=dict)
    budgets: dict[tuple[str, PeriodKind], int] = field(default_factory=dict)
    caps: dict[tuple[str, str, PeriodKind], Cap] = field(default_factory=dict)
    periods: dict[PeriodKey, WalletPeriod] = field(default_factory=dict)
    short_at_ms: dict[str, int] = field(default_factory=dict)
    recalled_at_ms: dict[str, int] = field(default_factory=dict)
    leases: dict[str, LeaseBook] = field(default_factory=dict)
    lines: dict[str, tuple[PeriodKey, ...]] = field(default_factory=dict)
    grants: dict[str, tuple[str, int]] = field(default_factory=dict)
    journals: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    quarantine: dict[tuple[str, int], tuple[bytes, str]] = field(default_factory=dict)
    entries: dict[int, Entry] = field(default_factory=dict)
    events: dict[str, EventRow] = field(default_factory=dict)
    alerts: dict[tuple[PeriodKey, str], str] = field(default_factory=dict)
    changes: dict[int, tuple[str, str, int, bool, str | None]] = field(default_factory=dict)
    used_at_ns: dict[str, int] = field(default_factory=dict)

    def copy(self) -> "State":
        """A snapshot that changes without this one."""
        return State(**{each.name: dict(getattr(self, each.name)) for each in fields(self)})


class MemoryWallets:
    """See contracts.Wallets."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def find(self, scope: str, scope_id: str) -> Wallet | None:
        """The wallet of a scope and its id."""
        return next((w for w in self._state.wallets.values() if (w.scope, w.scope_id) == (scope, scope_id)), None)

    async def by_id(self, wallet_id: str) -> Wallet | None:
        """The wallet of this id."""
        return self._state.wallets.get(wallet_id)

    async def add(self, wallet: Wallet, at_ms: int) -> None:
        """See contracts.Wallets."""
        if wallet.wallet_id in self._state.wallets or await self.find(wallet.scope, wallet.scope_id):
            raise BrokenRule(f"wallet {wallet.wallet_id} or its scope is there already")
        self._state.wallets[wallet.wallet_id] = wallet

    async def budgets(self, wallet_id: str) -> dict[PeriodKind, int]:
        """See contracts.Wallets."""
        return {kind: amount for (wallet, kind), amount in self._state.budgets.items() if wallet == wallet_id}

    async def set_budget(self, wallet_id: str, kind: PeriodKind, amount_nanos: int) -> None:
        """See contracts.Wallets."""
        self._must_exist(wallet_id)
        self._state.budgets[wallet_id, kind] = _not_negative(amount_nanos)

    async def caps(self, wallet_id: str) -> list[tuple[str, Cap]]:
        """See contracts.Wallets."""
        found = [(kind, node, cap) for (wallet, node, kind), cap in self._state.caps.items() if wallet == wallet_id]
        return [(node, cap) for _, node, cap in sorted(found, key=lambda each: each[:2])]

    async def add_cap(self, wallet_id: str, node_id: str, cap: Cap) -> None:
        """See contracts.Wallets."""
        self._must_exist(wallet_id)
        if (wallet_id, node_id, cap.kind) in self._state.caps:
            raise BrokenRule("a node has one spend control per wallet and period")
        self._state.caps[wallet_id, node_id, cap.kind] = cap

    async def period(self, key: PeriodKey) -> WalletPeriod | None:
        """See contracts.Wallets."""
        return self._state.periods.get(key)

    async def add_period(self, period: WalletPeriod) -> None:
        """See contracts.Wallets."""
        self._must_exist(period.wallet_id)
        if key_of(period) in self._state.periods:
            raise BrokenRule(f"period {key_of(period)} is there already")
        self._put(period)

    async def set_period_budget(self, key: PeriodKey, budget_nanos: int) -> None:
        """See contracts.Wallets."""
        self._put(msgspec.structs.replace(self._state.periods[key], budget=budget_nanos))

    async def lease_out(self, key: PeriodKey, nanos: int, limit_nanos: int | None) -> bool:
        """See contracts.Wallets."""
        period = self._state.periods.get(key)
        if period is None:
            return False
        used = period.spent + period.suspense + period.leased + nanos
        if limit_nanos is not None and used > limit_nanos:
            return False
        self._put(msgspec.structs.replace(period, leased=period.leased + nanos))
        return True

    async def post(self, key: PeriodKey, movement: PeriodMovement, unleased_nanos: int = 0) -> None:
        """See contracts.Wallets."""
        period = self._state.periods[key]
        self._put(
            msgspec.structs.replace(
                period,
                leased=period.leased + movement.leased,
                posted=period.posted + movement.posted,
                overrun=period.overrun + movement.overrun,
                suspense=period.suspense + movement.suspense,
                unleased=period.unleased + unleased_nanos,
            )
        )

    async def next_version(self, wallet_id: str) -> int:
        """See contracts.Wallets."""
        wallet = self._state.wallets[wallet_id]
        self._state.wallets[wallet_id] = msgspec.structs.replace(wallet, version=wallet.version + 1)
        return wallet.version + 1

    async def set_short(self, wallet_id: str, at_ms: int) -> None:
        """See contracts.Wallets."""
        self._state.short_at_ms[wallet_id] = at_ms

    async def short_since(self, wallet_id: str) -> int:
        """See contracts.Wallets."""
        return self._state.short_at_ms.get(wallet_id, 0)

    async def claim_recall(self, wallet_id: str, now_ms: int, unless_since_ms: int) -> bool:
        """See contracts.Wallets."""
        if self._state.recalled_at_ms.get(wallet_id, 0) > unless_since_ms:
            return False
        self._state.recalled_at_ms[wallet_id] = now_ms
        return True

    def _must_exist(self, wallet_id: str) -> None:
        if wallet_id not in self._state.wallets:
            raise BrokenRule(f"there is no wallet {wallet_id}")

    def _put(self, period: WalletPeriod) -> None:
        for amount in (period.budget, period.posted, period.leased, period.suspense, period.overrun, period.unleased):
            _not_negative(amount)
        self._state.periods[key_of(period)] = period


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

    async def remainder_of_others(self, wallet_id: str, node_id: str) -> int:
        """See contracts.Leases."""
        leases = self._state.leases.values()
        return sum(o.remainder for o in leases if o.wallet_id == wallet_id and o.node_id != node_id and not o.closed)

    async def granted(self, grant_id: str) -> tuple[str, int] | None:
        """See contracts.Leases."""
        return self._state.grants.get(grant_id)

    async def add_grant(self, grant_id: str, lease_id: str, nanos: int, at_ms: int) -> None:
        """See contracts.Leases."""
        if grant_id in self._state.grants or lease_id not in self._state.leases or nanos <= 0:
            raise BrokenRule(f"grant {grant_id} is there already, has no lease or moves nothing")
        self._state.grants[grant_id] = (lease_id, nanos)

    def _put(self, lease: LeaseBook) -> None:
        for amount in (lease.granted, lease.settled, lease.returned, lease.remainder):
            _not_negative(amount)
        self._state.leases[lease.lease_id] = lease


class MemoryJournals:
    """See contracts.Journals."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def position(self, node_id: str) -> tuple[int, bytes] | None:
        """See contracts.Journals."""
        return self._state.journals.get(node_id)

    async def advance(self, node_id: str, last_seq: int, chain: bytes) -> None:
        """See contracts.Journals."""
        self._state.journals[node_id] = (last_seq, chain)

    async def quarantine(self, node_id: str, seq: int, record: bytes, reason: str, at_ms: int) -> None:
        """See contracts.Journals."""
        if (node_id, seq) in self._state.quarantine:
            raise BrokenRule(f"record {seq} of {node_id} is in quarantine already")
        self._state.quarantine[node_id, seq] = (record, reason)


class MemoryEntries:
    """See contracts.Entries."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def add_all(self, entries: Sequence[Entry]) -> None:
        """See contracts.Entries."""
        for entry in entries:
            self._state.entries[len(self._state.entries) + 1] = entry

    async def latest(
        self, wallet_id: str, before_number: int | None, since_ns: int, until_ns: int, limit: int
    ) -> list[NumberedEntry]:
        """See contracts.Entries."""
        found = [
            NumberedEntry(number, entry)
            for number, entry in self._state.entries.items()
            if entry.wallet_id == wallet_id
            and (before_number is None or number < before_number)
            and since_ns <= entry.at_ns < until_ns
        ]
        return found[::-1][:limit]


class MemoryEvents:
    """See contracts.Events."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def known(self, event_ids: Sequence[str]) -> set[str]:
        """See contracts.Events."""
        return {event_id for event_id in event_ids if event_id in self._state.events}

    async def add_all(self, rows: Sequence[EventRow]) -> None:
        """See contracts.Events."""
        for row in rows:
            if row.event_id in self._state.events:
                raise BrokenRule(f"event {row.event_id} is there already")
            self._state.events[row.event_id] = row


class MemoryAlerts:
    """See contracts.Alerts."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def fired(self, key: PeriodKey) -> frozenset[str]:
        """See contracts.Alerts."""
        return frozenset(threshold for period, threshold in self._state.alerts if period == key)

    async def add(self, key: PeriodKey, threshold: str, event_id: str, at_ns: int) -> None:
        """See contracts.Alerts."""
        if (key, threshold) in self._state.alerts:
            raise BrokenRule(f"threshold {threshold} has fired already")
        self._state.alerts[key, threshold] = event_id


class MemoryChanges:
    """See contracts.Changes."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def add(
        self, kind: str, subject_id: str, version: int = 0, recall: bool = False, except_node_id: str | None = None
    ) -> None:
        """See contracts.Changes."""
        self._state.changes[await self.last_seq() + 1] = (kind, subject_id, version, recall, except_node_id)

    async def last_seq(self) -> int:
        """The number of the newest change, 0 before the first."""
        return len(self._state.changes)


class MemoryKeyUse:
    """See contracts.KeyUse."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def mark_used(self, at_ns_by_key: dict[str, int]) -> None:
        """See contracts.KeyUse."""
        for key_id, at_ns in at_ns_by_key.items():
            self._state.used_at_ns[key_id] = max(at_ns, self._state.used_at_ns.get(key_id, 0))


class MemoryLedger:
    """The nouns over one state; satisfies contracts.Ledger."""

    def __init__(self, state: State) -> None:
        self.wallets = MemoryWallets(state)
        self.leases = MemoryLeases(state)
        self.journals = MemoryJournals(state)
        self.entries = MemoryEntries(state)
        self.events = MemoryEvents(state)
        self.alerts = MemoryAlerts(state)
        self.changes = MemoryChanges(state)
        self.key_use = MemoryKeyUse(state)


class MemoryStore:
    """Satisfies contracts.LedgerStore; ``state`` is what is committed."""

    def __init__(self) -> None:
        self.state = State()
        self._writing = asyncio.Lock()

    @asynccontextmanager
    async def ledger(self) -> AsyncIterator[MemoryLedger]:
        """See contracts.LedgerStore."""
        async with self._writing:
            work = self.state.copy()
            yield MemoryLedger(work)
            self.state = work


def _not_negative(amount: int) -> int:
    if amount < 0:
        raise BrokenRule(f"{amount} is negative")
    return amount
