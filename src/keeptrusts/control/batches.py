"""Applying a piece of a node's journal: events, leases, wallets, statements, alerts and key use, all in one transaction.

A well-formed record is never refused: whatever the budgets say, what was spent is posted.
"""

import logging
from collections.abc import Iterable
from datetime import datetime

from keeptrusts.clock import NANOS_PER_MS, instant_at
from keeptrusts.control.accounts import Accounts, open_accounts
from keeptrusts.control.alerts import raise_alerts
from keeptrusts.control.context import NodeTerms, Tools
from keeptrusts.control.event_rows import call_row
from keeptrusts.control.journal_reading import Batch, Placed, read_batch, set_aside
from keeptrusts.control.statement import Statement
from keeptrusts.core.ledger.posting import (
    LeaseBook,
    LeaseMovement,
    PeriodMovement,
    lease_movements,
    move_lease,
    settled_attempts,
)
from keeptrusts.core.ledger.records import Close, Event, encode_record
from keeptrusts.core.ledger.standing import PeriodKey, key_of, strictest
from keeptrusts.core.ledger.wallet import Wallet, WalletPeriod
from keeptrusts.store.contracts import Ledger, LedgerStore

log = logging.getLogger("keeptrusts::api")

SHORT_MS = 10_000
"""How long after a refusal a node is told at once that money came back."""


async def apply_batch(
    store: LedgerStore, tools: Tools, terms: NodeTerms, data: bytes, first_seq: int, previous_chain: bytes
) -> int:
    """Applies what is new in ``data`` (whole journal groups) and returns the last applied sequence number.

    Raises JournalGap, JournalFork or DamagedJournal, and then nothing is changed.
    """
    async with store.ledger() as ledger:
        batch = read_batch(data, first_seq, previous_chain, await ledger.journals.position(terms.node_id))
        if not batch.records and not batch.unfit:
            return batch.last_seq
        await _set_doubles_aside(ledger, batch)
        posting = _Posting(ledger, tools, terms)
        await posting.load(batch.records)
        posting.work_out(batch.records)
        await posting.write()
        for unfit in batch.unfit:
            log.error("Record %d of node %s goes to quarantine: %s", unfit.seq, terms.node_id, unfit.reason)
            await ledger.journals.quarantine(terms.node_id, unfit.seq, unfit.data, unfit.reason, tools.now_ms())
        await ledger.journals.advance(terms.node_id, batch.last_seq, batch.chain)
        return batch.last_seq


async def _set_doubles_aside(ledger: Ledger, batch: Batch) -> None:
    """One event per call: a second one is kept whole in quarantine, and moves no money."""
    seen = await ledger.events.known([p.record.call_id for p in batch.records if isinstance(p.record, Event)])

    def double(placed: Placed) -> str | None:
        if not isinstance(placed.record, Event):
            return None
        if placed.record.call_id in seen:
            return f"call {placed.record.call_id} has an event already"
        seen.add(placed.record.call_id)
        return None

    set_aside(batch, double, encode_record)


class _Posting:
    """One batch on its way into the books: what it touches, loaded; what it changes, worked out; then written."""

    def __init__(self, ledger: Ledger, tools: Tools, terms: NodeTerms) -> None:
        self._ledger = ledger
        self._tools = tools
        self._terms = terms
        self._now_ns = tools.clock.unix_ns()
        self._leases: dict[str | None, LeaseBook] = {}
        self._movements: dict[str, LeaseMovement] = {}
        self._lines: dict[str | None, list[PeriodKey]] = {}
        self._wallets: dict[str, Wallet | None] = {}
        self._accounts: dict[str, list[Accounts]] = {}
        self._periods: dict[PeriodKey, WalletPeriod] = {}
        self._moved: dict[PeriodKey, PeriodMovement] = {}
        self._unleased: dict[PeriodKey, int] = {}
        self._after: list[LeaseBook] = []
        self._freed: set[str] = set()
        self._events: list[tuple[Placed, str | None]] = []
        self._key_use: dict[str, int] = {}
        self._statement = Statement(terms.node_id, self._now_ns)

    async def load(self, records: Iterable[Placed]) -> None:
        """Everything that the records speak of: their leases, those leases' periods, and wallets spent from without one."""
        records = list(records)
        self._movements = lease_movements(placed.record for placed in records)
        for lease_id in sorted(self._movements):
            lease = await self._ledger.leases.find(lease_id)
            lines = await self._ledger.leases.lines(lease_id)
            # Another node's lease is none of this node's business, whatever its journal says; one without periods was
            # closed before it was granted: what a journal says it spent is posted outside of any lease.
            if lease is not None and lease.node_id == self._terms.node_id and lines:
                self._leases[lease_id] = lease
                self._lines[lease_id] = lines
        for placed in records:
            if isinstance(placed.record, Event) and self._unheld_nanos(placed.record):
                await self._load_accounts(placed.record)
        for movement in self._movements.values():
            if movement.closed and movement.team_id is not None:
                await self._wallet(movement.team_id)
        wanted = {line for lines in self._lines.values() for line in lines}
        wanted |= {key_of(p) for found in self._accounts.values() for accounts in found for p in accounts.periods}
        for key in sorted(wanted):
            period = await self._ledger.wallets.period(key)
            assert period is not None, "a lease's periods exist, and so do those just opened"
            self._periods[key] = period

    async def _load_accounts(self, event: Event) -> None:
        wallet = await self._wallet(event.attribution.team or "")
        at = instant_at(event.at_ns)
        if wallet is not None and self._accounts_at(wallet, at) is None:
            opened = await open_accounts(self._ledger, wallet, at, self._terms.alive | {self._terms.node_id})
            self._accounts.setdefault(wallet.wallet_id, []).append(opened)

    async def _wallet(self, team_id: str) -> Wallet | None:
        if team_id not in self._wallets:
            self._wallets[team_id] = await self._ledger.wallets.find("team", team_id)
        return self._wallets[team_id]

    def _accounts_at(self, wallet: Wallet, at: datetime) -> Accounts | None:
        return next((a for a in self._accounts.get(wallet.wallet_id, ()) if a.covers(at)), None)

    def _unheld_nanos(self, event: Event) -> int:
        """What the call cost outside of any lease that this node holds."""
        return sum(a.cost_nanos for a in event.attempts if a.lease_id not in self._leases)

    def work_out(self, records: Iterable[Placed]) -> None:
        """Decides everything, from what was loaded, in the journal's order."""
        for placed in records:
            record = placed.record
            if isinstance(record, Close | Event):
                for attempt in settled_attempts(record):
                    if attempt.lease_id in self._leases:
                        lines = self._lines[attempt.lease_id]
                        self._statement.settle([self._periods[line] for line in lines], record.call_id, attempt)
            if isinstance(record, Event):
                self._record_event(placed, record)
        for lease_id, movement in sorted(self._movements.items()):
            if lease_id in self._leases:
                after, moved = move_lease(self._leases[lease_id], movement)
                self._after.append(after)
                for line in self._lines[lease_id]:
                    self._move(line, moved)
                if moved.leased + moved.posted + moved.suspense < 0:
                    self._freed.add(after.wallet_id)

    def _record_event(self, placed: Placed, event: Event) -> None:
        if event.key_id is not None:
            self._key_use[event.key_id] = max(event.at_ns, self._key_use.get(event.key_id, 0))
        period_key = None
        for attempt in event.attempts:
            if attempt.lease_id in self._leases and self._lines[attempt.lease_id]:
                period_key = self._statement.period_key([self._periods[line] for line in self._lines[attempt.lease_id]])
        unheld = self._unheld_nanos(event)
        wallet = self._wallets.get(event.attribution.team or "") if unheld else None
        accounts = self._accounts_at(wallet, instant_at(event.at_ns)) if wallet is not None else None
        if accounts is not None and accounts.periods:
            keys = [key_of(period) for period in accounts.periods]
            for key in keys:
                self._unleased[key] = self._unleased.get(key, 0) + unheld
            periods = [self._periods[key] for key in keys]
            self._statement.spend(periods, event.call_id, unheld)
            period_key = period_key or self._statement.period_key(periods)
        self._events.append((placed, period_key))

    def _move(self, key: PeriodKey, by: PeriodMovement) -> None:
        was = self._moved.get(key, PeriodMovement(0, 0, 0))
        self._moved[key] = PeriodMovement(
            was.leased + by.leased, was.posted + by.posted, was.overrun + by.overrun, was.suspense + by.suspense
        )

    async def write(self) -> None:
        """Writes what was decided; wallet periods in their one order, so that two batches never wait for each other."""
        ledger = self._ledger
        node_id = self._terms.node_id
        await ledger.events.add_all(
            [call_row(p.record, node_id, p.seq, key) for p, key in self._events if isinstance(p.record, Event)]
        )
        for lease in self._after:
            await ledger.leases.update(lease)
        for lease_id, movement in sorted(self._movements.items()):
            if movement.closed and await ledger.leases.find(lease_id) is None:
                # Closed before the store ever heard of it: a grant that arrives late must find it closed.
                wallet = self._wallets.get(movement.team_id or "")
                tombstone = LeaseBook(lease_id, node_id, wallet.wallet_id if wallet else "", 0, 0, 0, closed=True)
                await ledger.leases.add(tombstone, [], self._now_ns // NANOS_PER_MS)
        for key in sorted({*self._moved, *self._unleased}):
            movement_of_key = self._moved.get(key, PeriodMovement(0, 0, 0))
            await ledger.wallets.post(key, movement_of_key, self._unleased.get(key, 0))
            await self._alert(key)
        await ledger.entries.add_all(self._statement.entries)
        if self._key_use:
            await ledger.key_use.mark_used(self._key_use)
        for wallet_id in sorted(self._freed):
            await self._tell_who_waits(wallet_id)

    async def _alert(self, key: PeriodKey) -> None:
        period = await self._ledger.wallets.period(key)
        wallet = await self._ledger.wallets.by_id(key.wallet_id)
        if period is None or wallet is None:
            return
        live = self._terms.alive | {self._terms.node_id}
        caps = strictest(c for node, c in await self._ledger.wallets.caps(key.wallet_id) if node in live)
        await raise_alerts(self._ledger, self._tools, self._terms, wallet.scope_id, period, caps.get(key.kind))

    async def _tell_who_waits(self, wallet_id: str) -> None:
        """Money came back to a wallet that a node lately found empty: it may ask again now."""
        if self._now_ns // NANOS_PER_MS - await self._ledger.wallets.short_since(wallet_id) > SHORT_MS:
            return
        wallet = await self._ledger.wallets.by_id(wallet_id)
        if wallet is None:
            return
        await self._ledger.wallets.set_short(wallet_id, 0)
        version = await self._ledger.wallets.next_version(wallet_id)
        await self._ledger.changes.add("wallet", wallet.scope_id, version, recall=False)
