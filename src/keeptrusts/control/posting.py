"""One batch on its way into the books: what it touches, loaded; what it changes, worked out; then written."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from msgspec import Struct

from keeptrusts.clock import NANOS_PER_MS, instant_at
from keeptrusts.control.accounts import carry_on
from keeptrusts.control.alerts import raise_alerts
from keeptrusts.control.context import NodeTerms, Tools
from keeptrusts.control.event_rows import call_row
from keeptrusts.control.journal_reading import Placed
from keeptrusts.control.statement import RunningBalance, Statement
from keeptrusts.control.unheld import Spender, UnheldWays
from keeptrusts.control.ways import Way, entered_at, statement_wallets
from keeptrusts.core.ledger.posting import (
    LeaseBook,
    LeaseMovement,
    PeriodMovement,
    in_doubt_since,
    lease_movements,
    move_lease,
    moved,
    settled_attempts,
)
from keeptrusts.core.ledger.records import Attempt, Close, Event
from keeptrusts.core.ledger.standing import PeriodKey, leading, strictest
from keeptrusts.core.ledger.wallet import Wallet, WalletPeriod, further_scopes
from keeptrusts.core.metering.event_row import EventRow
from keeptrusts.core.refusal import Reason
from keeptrusts.store.contracts import Ledger

SHORT_MS = 10_000
"""How long after a refusal a node is told at once that money came back."""

UNPROVEN = "its machine was restarted, and the last writes of its journal may be lost"
"""Why a recovery sends leases to suspense (decision 0007)."""


class _Call(Struct, frozen=True):
    """A call whose event is in the batch, and what of its cost no lease of this node held, in nano-USD."""

    seq: int
    event: Event
    unheld: int


class _Outside(Struct, frozen=True):
    """Where a call spent that no lease held: the wallet periods of its way, and the statements that list it."""

    lines: list[PeriodKey]
    listed: list[RunningBalance]


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
        self._unheld = UnheldWays(ledger, terms.alive | {terms.node_id})
        self._calls: list[_Call] = []
        self._outside: dict[Way, _Outside] = {}
        self._periods: dict[PeriodKey, WalletPeriod] = {}
        self._listed: dict[str | None, list[RunningBalance]] = {}
        self._moved: dict[PeriodKey, PeriodMovement] = {}
        self._after: list[LeaseBook] = []
        self._tombstones: list[LeaseBook] = []
        self._freed: set[PeriodKey] = set()
        self._key_use: dict[str, int] = {}
        self._short_keys: dict[str, int] = {}
        self._statement = Statement(terms.node_id, self._now_ns)

    async def load(self, records: Sequence[Placed]) -> None:
        """Everything that the records speak of: their leases, those leases' periods, and wallets spent from without one.

        The periods come last, since other nodes' batches wait for them from here on: rows of events, which need none of
        their amounts, are made before.
        """
        events = [(placed.seq, placed.record) for placed in records if isinstance(placed.record, Event)]
        self._movements = lease_movements([placed.record for placed in records])
        paying = {a.lease_id for _, event in events for a in event.attempts if a.lease_id is not None}
        await self._load_leases(sorted(self._movements.keys() | paying))
        self._calls = [_Call(seq, event, self._unheld_nanos(event)) for seq, event in events]
        await self._unheld.load(
            [(_spender(call.event), self._spent_at(call.event)) for call in self._calls if call.unheld]
        )
        held = {line for lines in self._lines.values() for line in lines}
        wanted = held.union(line for way in self._unheld.ways for line in way.lines)
        await self._load_wallets({key.wallet_id for key in wanted})
        await self._ledger.events.add_all([self._row(call) for call in self._calls])
        await self._unheld.open(beside=held)
        self._periods = await self._ledger.many.periods(sorted(wanted))
        assert len(self._periods) == len(wanted), "a lease's periods exist, and so do those just opened"
        # What people may have changed meanwhile, such as what carries over, counts as it is now.
        self._wallets |= await self._ledger.many.wallets(sorted(self._wallets))

    async def _load_wallets(self, wallet_ids: set[str]) -> None:
        self._wallets = self._unheld.wallets
        self._wallets |= await self._ledger.many.wallets(sorted(wallet_ids - self._wallets.keys()))
        assert wallet_ids <= self._wallets.keys(), "a period's wallet exists"
        for held_id, lease in self._leases.items():
            self._listed[held_id] = self._listed_in(self._lines[held_id], lease.wallet_id)

    def _row(self, call: _Call) -> EventRow:
        """The call's row; it names the period that its last paid attempt was paid from."""
        period_key = None
        for attempt in call.event.attempts:
            if listed := self._listed.get(attempt.lease_id):
                period_key = listed[0].period_key
        if period_key is None and call.unheld and (listed := self._outside_of(call.event).listed):
            period_key = listed[0].period_key
        return call_row(call.event, self._terms.node_id, call.seq, period_key)

    async def _load_leases(self, lease_ids: Sequence[str]) -> None:
        found = await self._ledger.many.leases(lease_ids)
        ours = [lease_id for lease_id, lease in found.items() if lease.node_id == self._terms.node_id]
        lines = await self._ledger.many.lines(ours)
        # Another node's lease is none of this node's business, whatever its journal says; one without periods was
        # closed before it was granted: what a journal says it spent is posted outside of any lease.
        self._leases.update((lease_id, found[lease_id]) for lease_id in ours if lease_id in lines)
        self._lines.update(lines)
        for lease_id, movement in sorted(self._movements.items()):
            if lease_id not in found and movement.closed:
                # Closed before the store ever heard of it: a grant that arrives late must find it closed.
                await self._mark(lease_id, movement.team_id)

    async def _mark(self, lease_id: str, team_id: str | None) -> None:
        wallet = await self._ledger.wallets.find("team", team_id or "")
        wallet_id = "" if wallet is None else wallet.wallet_id
        self._tombstones.append(LeaseBook(lease_id, self._terms.node_id, wallet_id, 0, 0, 0, closed=True))

    def _spent_at(self, event: Event) -> datetime:
        """When the call took place; now at the latest, so that a node's fast clock opens no period that has not begun."""
        return instant_at(min(event.at_ns, self._now_ns))

    def _listed_in(self, lines: Iterable[PeriodKey], entered_id: str) -> list[RunningBalance]:
        """The statements that list a call on these lines: the wallet that it entered at first, each with its leading period."""
        periods: dict[str, list[PeriodKey]] = {}
        for line in lines:
            periods.setdefault(line.wallet_id, []).append(line)
        found = statement_wallets((self._wallets[wallet_id] for wallet_id in periods), entered_id)
        found.sort(key=lambda wallet: wallet.wallet_id != entered_id)
        return [self._statement.balance_of(wallet, leading(periods[wallet.wallet_id])) for wallet in found]

    def _outside_of(self, event: Event) -> _Outside:
        way = self._unheld.at(_spender(event), self._spent_at(event))
        assert way is not None, "it was loaded"
        outside = self._outside.get(way)
        if outside is None:
            entered = entered_at([a.wallet for a in way.accounts if a.periods])
            listed = self._listed_in(way.lines, "" if entered is None else entered.wallet_id)
            outside = self._outside[way] = _Outside(way.lines, listed)
        return outside

    def _unheld_nanos(self, event: Event) -> int:
        """What the call cost outside of any lease that this node holds."""
        nanos = 0
        for attempt in event.attempts:
            if attempt.lease_id not in self._leases:
                nanos += attempt.cost_nanos
        return nanos

    def work_out(self, records: Iterable[Placed]) -> None:
        """Decides everything, from what was loaded, in the journal's order."""
        self._statement.begin(self._periods)
        calls = iter(self._calls)
        for placed in records:
            record = placed.record
            if isinstance(record, Event):
                for attempt in settled_attempts(record):
                    self._settle(record.call_id, attempt)
                self._record_event(next(calls))
            elif isinstance(record, Close):
                self._settle(record.call_id, record.attempt)
        for lease_id, movement in sorted(self._movements.items()):
            if lease_id in self._leases:
                after, movement_of_periods = move_lease(self._leases[lease_id], movement)
                if after.suspended > self._leases[lease_id].suspended:
                    after = in_doubt_since(after, self._now_ns // NANOS_PER_MS, UNPROVEN)
                self._after.append(after)
                for line in self._lines[lease_id]:
                    self._move(line, movement_of_periods)
                    if movement_of_periods.freed:
                        self._freed.add(line)

    def _settle(self, call_id: str, attempt: Attempt) -> None:
        for balance in self._listed.get(attempt.lease_id, ()):
            self._statement.settle(balance, call_id, attempt)

    def _record_event(self, call: _Call) -> None:
        event = call.event
        if event.key_id is not None and event.at_ns > self._key_use.get(event.key_id, -1):
            self._key_use[event.key_id] = event.at_ns
        if event.reason == Reason.INSUFFICIENT_BALANCE and event.key_id is not None:
            self._short_keys[event.key_id] = self._now_ns
        if call.unheld:
            outside = self._outside_of(event)
            for line in outside.lines:
                self._move(line, PeriodMovement(unleased=call.unheld))
            for balance in outside.listed:
                self._statement.spend(balance, event.call_id, call.unheld)

    def _move(self, key: PeriodKey, by: PeriodMovement) -> None:
        was = self._moved.get(key)
        self._moved[key] = by if was is None else was + by

    async def write(self) -> None:
        """Writes what was decided; wallet periods in their one order, so that two batches never wait for each other."""
        ledger = self._ledger
        await ledger.many.update_leases(self._after)
        for tombstone in self._tombstones:
            await ledger.leases.add(tombstone, [], self._now_ns // NANOS_PER_MS)
        keys = sorted(self._moved)
        await ledger.many.post({key: self._moved[key] for key in keys})
        await self._look_at(keys)
        await ledger.entries.add_all(self._statement.entries)
        if self._key_use:
            await ledger.key_use.mark_used(self._key_use)
        if self._short_keys:
            await ledger.key_use.mark_short(self._short_keys)
        await self._tell_who_waits(sorted({key.wallet_id for key in self._freed}))

    async def _look_at(self, keys: Iterable[PeriodKey]) -> None:
        """What follows from the accounts as they stand now: alerts, and what carries over."""
        ledger = self._ledger
        live = self._terms.alive | {self._terms.node_id}
        caps = await ledger.many.caps(sorted({key.wallet_id for key in keys}))
        for key in keys:
            wallet = self._wallets[key.wallet_id]
            period: WalletPeriod | None = moved(self._periods[key], self._moved[key])
            if wallet.carry_over:
                # What an earlier period of this wallet just passed on is in it too.
                period = await ledger.wallets.period(key)
            assert period is not None, "it was posted to"
            cap = strictest(c for node, c in caps.get(key.wallet_id, ()) if node in live).get(key.kind)
            await raise_alerts(ledger, self._tools, self._terms, wallet, period, cap)
            if key in self._freed:
                await carry_on(ledger, wallet, period, instant_at(self._now_ns))

    async def _tell_who_waits(self, wallet_ids: Sequence[str]) -> None:
        """Money came back to wallets that a node lately found empty: it may ask again now."""
        since_ms = await self._ledger.many.waiting_since(wallet_ids)
        for wallet_id in wallet_ids:
            if self._now_ns // NANOS_PER_MS - since_ms.get(wallet_id, 0) <= SHORT_MS:
                await self._ledger.wallets.set_short(wallet_id, 0)
                version = await self._ledger.wallets.next_version(wallet_id)
                await self._ledger.changes.add("wallet", wallet_id, version, recall=False)


def _spender(event: Event) -> Spender:
    return event.attribution.team, further_scopes(event.attribution, event.key_id)
