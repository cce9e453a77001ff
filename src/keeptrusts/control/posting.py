"""One batch on its way into the books: what it touches, loaded; what it changes, worked out; then written."""

from collections.abc import Iterable
from datetime import datetime

from keeptrusts.clock import NANOS_PER_MS, instant_at
from keeptrusts.control.accounts import carry_on
from keeptrusts.control.alerts import raise_alerts
from keeptrusts.control.context import NodeTerms, Tools
from keeptrusts.control.event_rows import call_row
from keeptrusts.control.journal_reading import Placed
from keeptrusts.control.statement import Statement
from keeptrusts.control.ways import Way, entered_at, open_way, statement_wallets, wallets_of_way
from keeptrusts.core.ledger.posting import (
    LeaseBook,
    LeaseMovement,
    PeriodMovement,
    lease_movements,
    move_lease,
    settled_attempts,
)
from keeptrusts.core.ledger.records import Attempt, Close, Event
from keeptrusts.core.ledger.standing import PeriodKey, leading, strictest
from keeptrusts.core.ledger.wallet import Wallet, WalletPeriod, further_scopes
from keeptrusts.store.contracts import Ledger

SHORT_MS = 10_000
"""How long after a refusal a node is told at once that money came back."""

Spender = tuple[str | None, tuple[str, ...]]
"""A team, and the further scopes that a call belongs to."""


class Posting:
    """``load``, ``work_out``, ``write``, in this order, inside one transaction."""

    def __init__(self, ledger: Ledger, tools: Tools, terms: NodeTerms) -> None:
        self._ledger = ledger
        self._tools = tools
        self._terms = terms
        self._now_ns = tools.clock.unix_ns()
        self._leases: dict[str | None, LeaseBook] = {}
        self._movements: dict[str, LeaseMovement] = {}
        self._lines: dict[str | None, list[PeriodKey]] = {}
        self._wallets: dict[str, Wallet] = {}
        self._ways: dict[Spender, list[Way]] = {}
        self._spenders: dict[Spender, list[Wallet]] = {}
        self._periods: dict[PeriodKey, WalletPeriod] = {}
        self._listed: dict[str | None, list[tuple[Wallet, WalletPeriod]]] = {}
        self._moved: dict[PeriodKey, PeriodMovement] = {}
        self._after: list[LeaseBook] = []
        self._tombstones: list[LeaseBook] = []
        self._freed: set[PeriodKey] = set()
        self._events: list[tuple[Placed, str | None]] = []
        self._key_use: dict[str, int] = {}
        self._statement = Statement(terms.node_id, self._now_ns)

    async def load(self, records: Iterable[Placed]) -> None:
        """Everything that the records speak of: their leases, those leases' periods, and wallets spent from without one."""
        records = list(records)
        self._movements = lease_movements(placed.record for placed in records)
        for lease_id in sorted(self._movements.keys() | _leases_of_events(records)):
            await self._load_lease(lease_id)
        for placed in records:
            if isinstance(placed.record, Event) and self._unheld_nanos(placed.record):
                await self._load_way(placed.record)
        wanted = {line for lines in self._lines.values() for line in lines}
        wanted |= {line for ways in self._ways.values() for way in ways for line in way.lines}
        for key in sorted(wanted):
            period = await self._ledger.wallets.period(key)
            assert period is not None, "a lease's periods exist, and so do those just opened"
            self._periods[key] = period
        for wallet_id in sorted({key.wallet_id for key in wanted}):
            if wallet_id not in self._wallets:
                wallet = await self._ledger.wallets.by_id(wallet_id)
                assert wallet is not None, "a period's wallet exists"
                self._wallets[wallet_id] = wallet
        for held_id, lease in self._leases.items():
            self._listed[held_id] = self._listed_in(self._lines[held_id], lease.wallet_id)

    async def _load_lease(self, lease_id: str) -> None:
        lease = await self._ledger.leases.find(lease_id)
        movement = self._movements.get(lease_id)
        if lease is None:
            if movement is not None and movement.closed:
                # Closed before the store ever heard of it: a grant that arrives late must find it closed.
                await self._mark(lease_id, movement.team_id)
            return
        lines = await self._ledger.leases.lines(lease_id)
        # Another node's lease is none of this node's business, whatever its journal says; one without periods was
        # closed before it was granted: what a journal says it spent is posted outside of any lease.
        if lease.node_id == self._terms.node_id and lines:
            self._leases[lease_id] = lease
            self._lines[lease_id] = lines

    async def _mark(self, lease_id: str, team_id: str | None) -> None:
        wallet = await self._ledger.wallets.find("team", team_id or "")
        wallet_id = "" if wallet is None else wallet.wallet_id
        self._tombstones.append(LeaseBook(lease_id, self._terms.node_id, wallet_id, 0, 0, 0, closed=True))

    async def _load_way(self, event: Event) -> None:
        spender = _spender(event)
        if spender not in self._spenders:
            self._spenders[spender] = await wallets_of_way(self._ledger.wallets, *spender)
            self._wallets.update((wallet.wallet_id, wallet) for wallet in self._spenders[spender])
        at = instant_at(event.at_ns)
        if self._way_at(spender, at) is None:
            alive = self._terms.alive | {self._terms.node_id}
            opened = await open_way(self._ledger, self._spenders[spender], at, alive)
            self._ways.setdefault(spender, []).append(opened)

    def _way_at(self, spender: Spender, at: datetime) -> Way | None:
        return next((way for way in self._ways.get(spender, ()) if way.covers(at)), None)

    def _listed_in(self, lines: Iterable[PeriodKey], entered_id: str) -> list[tuple[Wallet, WalletPeriod]]:
        """The statements that list a call on these lines: the wallet that it entered at first, each with its leading period."""
        periods: dict[str, list[WalletPeriod]] = {}
        for line in lines:
            periods.setdefault(line.wallet_id, []).append(self._periods[line])
        found = statement_wallets((self._wallets[wallet_id] for wallet_id in periods), entered_id)
        found.sort(key=lambda wallet: wallet.wallet_id != entered_id)
        return [(wallet, leading(periods[wallet.wallet_id])) for wallet in found]

    def _unheld_nanos(self, event: Event) -> int:
        """What the call cost outside of any lease that this node holds."""
        return sum(a.cost_nanos for a in event.attempts if a.lease_id not in self._leases)

    def work_out(self, records: Iterable[Placed]) -> None:
        """Decides everything, from what was loaded, in the journal's order."""
        for placed in records:
            record = placed.record
            if isinstance(record, Close | Event):
                for attempt in settled_attempts(record):
                    self._settle(record.call_id, attempt)
            if isinstance(record, Event):
                self._record_event(placed, record)
        for lease_id, movement in sorted(self._movements.items()):
            if lease_id in self._leases:
                after, moved = move_lease(self._leases[lease_id], movement)
                self._after.append(after)
                for line in self._lines[lease_id]:
                    self._move(line, moved)
                    if moved.freed:
                        self._freed.add(line)

    def _settle(self, call_id: str, attempt: Attempt) -> None:
        for wallet, period in self._listed.get(attempt.lease_id, ()):
            self._statement.settle(wallet, period, call_id, attempt)

    def _record_event(self, placed: Placed, event: Event) -> None:
        if event.key_id is not None:
            self._key_use[event.key_id] = max(event.at_ns, self._key_use.get(event.key_id, 0))
        period_key = None
        for attempt in event.attempts:
            if listed := self._listed.get(attempt.lease_id):
                period_key = self._statement.period_key(*listed[0])
        unheld = self._unheld_nanos(event)
        way = self._way_at(_spender(event), instant_at(event.at_ns)) if unheld else None
        if way is not None and way.lines:
            for line in way.lines:
                self._move(line, PeriodMovement(unleased=unheld))
            entered = entered_at([a.wallet for a in way.accounts if a.periods])
            listed = self._listed_in(way.lines, "" if entered is None else entered.wallet_id)
            for wallet, period in listed:
                self._statement.spend(wallet, period, event.call_id, unheld)
            if listed and period_key is None:
                period_key = self._statement.period_key(*listed[0])
        self._events.append((placed, period_key))

    def _move(self, key: PeriodKey, by: PeriodMovement) -> None:
        was = self._moved.get(key)
        self._moved[key] = by if was is None else was + by

    async def write(self) -> None:
        """Writes what was decided; wallet periods in their one order, so that two batches never wait for each other."""
        ledger = self._ledger
        node_id = self._terms.node_id
        await ledger.events.add_all(
            [call_row(p.record, node_id, p.seq, key) for p, key in self._events if isinstance(p.record, Event)]
        )
        for lease in self._after:
            await ledger.leases.update(lease)
        for tombstone in self._tombstones:
            await ledger.leases.add(tombstone, [], self._now_ns // NANOS_PER_MS)
        for key in sorted(self._moved):
            await ledger.wallets.post(key, self._moved[key])
        for key in sorted(self._moved):
            await self._look_at(key)
        await ledger.entries.add_all(self._statement.entries)
        if self._key_use:
            await ledger.key_use.mark_used(self._key_use)
        for wallet_id in sorted({key.wallet_id for key in self._freed}):
            await self._tell_who_waits(wallet_id)

    async def _look_at(self, key: PeriodKey) -> None:
        """What follows from an account as it stands now: alerts, and what carries over."""
        period = await self._ledger.wallets.period(key)
        assert period is not None, "it was posted to"
        wallet = self._wallets[key.wallet_id]
        live = self._terms.alive | {self._terms.node_id}
        caps = strictest(c for node, c in await self._ledger.wallets.caps(key.wallet_id) if node in live)
        await raise_alerts(self._ledger, self._tools, self._terms, wallet, period, caps.get(key.kind))
        if key in self._freed:
            await carry_on(self._ledger, wallet, period, instant_at(self._now_ns))

    async def _tell_who_waits(self, wallet_id: str) -> None:
        """Money came back to a wallet that a node lately found empty: it may ask again now."""
        if self._now_ns // NANOS_PER_MS - await self._ledger.wallets.short_since(wallet_id) > SHORT_MS:
            return
        await self._ledger.wallets.set_short(wallet_id, 0)
        version = await self._ledger.wallets.next_version(wallet_id)
        await self._ledger.changes.add("wallet", wallet_id, version, recall=False)


def _leases_of_events(records: Iterable[Placed]) -> set[str]:
    """The leases that paid for all attempts of the events: of earlier attempts the ends may have come in earlier batches."""
    events = (placed.record for placed in records if isinstance(placed.record, Event))
    return {a.lease_id for event in events for a in event.attempts if a.lease_id is not None}


def _spender(event: Event) -> Spender:
    return event.attribution.team, further_scopes(event.attribution, event.key_id)
