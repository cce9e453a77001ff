"""A control plane in memory: the ledger's own rules over dictionaries, behind the Link that gateways speak."""

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec

from keeptrusts.core.identity.gateway_key import KeyRecord
from keeptrusts.core.ledger.grant import GrantAnswer, GrantRequest, WalletView, grant_size
from keeptrusts.core.ledger.journal_format import GENESIS, read_groups
from keeptrusts.core.ledger.posting import LeaseBook, LeaseMovement, lease_movements, move_lease
from keeptrusts.core.ledger.records import Event, Record, decode_record
from keeptrusts.core.ledger.ticket import EscalationRequest, TicketAnswer, TicketLeft, TicketStatus
from keeptrusts.core.ledger.wallet import WalletPeriod
from keeptrusts.core.link import Changes, Heartbeat, Lost, Registered, Registration, Shipped, Snapshot, WalletChange
from keeptrusts.core.pricing.price import Price, Rates
from keeptrusts.gateway.link import LinkDown, LinkRefused, SequenceGap

START = datetime(2026, 4, 1, tzinfo=UTC)
PERIOD = timedelta(30)
HEARTBEAT_WAIT_S = 1.0
MINI = Price("prc_mini", "openai", "gpt-4o-mini", Rates(150_000, 600_000), max_output_tokens=16_384)
BIG = Price("prc_big", "openai", "gpt-4o", Rates(2_500_000, 10_000_000), max_output_tokens=16_384)


class FakeTicket:
    """What is known of a call that policies leave to a person."""

    def __init__(self, request: EscalationRequest) -> None:
        self.request = request
        self.status: TicketStatus = "waiting"
        self.used_by: str | None = None


class FakeControl:
    """All nodes' control plane. ``down`` makes it unreachable; ``changes_due`` is what the next heartbeat answers.

    ``periods`` are the teams' present periods, ``past`` the ended ones. ``called_back`` are the teams whose leases a short
    grant wants back from the other nodes; ``freed`` those that money came back to.
    """

    def __init__(self, prices: tuple[Price, ...] = (MINI, BIG), keys: tuple[KeyRecord, ...] = ()) -> None:
        self.prices = prices
        self.keys = keys
        self.periods: dict[str, WalletPeriod] = {}
        self.past: list[WalletPeriod] = []
        self.leases: dict[str, LeaseBook] = {}
        self.period_of: dict[str, datetime] = {}
        self.grants: dict[str, int] = {}
        self.applied: dict[str, tuple[int, bytes]] = {}
        self.events: list[Event] = []
        self.records: list[Record] = []
        self.registered: list[str] = []
        self.introduced: list[Registration] = []
        self.shipments: list[tuple[str, int]] = []
        self.called_back: list[str] = []
        self.freed: list[str] = []
        self.lost: dict[str, str] = {}
        self.tickets: dict[str, FakeTicket] = {}
        self.live_nodes = 1
        self.ends_in_s = 1e6
        self.down = False
        self.refuses_ships = False
        self.asked = 0
        self.seq = 0
        self.changes_due = Changes(0)
        self.news = asyncio.Event()

    def allocate(self, team_id: str, nanos: int) -> None:
        """Sets the team's budget, and recalls its leases when that is lower."""
        old = self.periods.get(team_id)
        if old is None:
            self.periods[team_id] = WalletPeriod(f"wal_{team_id}", "monthly", START, START + PERIOD, nanos)
            return
        self.periods[team_id] = msgspec.structs.replace(old, budget=nanos)
        self.tell(WalletChange(f"wal_{team_id}", f"team:{team_id}", self.seq + 1, nanos < old.budget))

    def tell(self, change: WalletChange) -> None:
        """The next heartbeat brings this."""
        self.seq += 1
        self.changes_due = Changes(self.seq, wallets=(change,))
        self.news.set()

    def decide(self, ticket_id: str, status: TicketStatus) -> None:
        """An approver speaks, and the next heartbeat brings it."""
        self.tickets[ticket_id].status = status
        self.seq += 1
        self.changes_due = Changes(self.seq, tickets=(ticket_id,))
        self.news.set()

    def escalation(self, request: EscalationRequest) -> TicketAnswer:
        """As control/escalations.py answers."""
        again = (t for t in self.tickets.values() if t.request.idempotency_digest == request.idempotency_digest)
        retried = (
            None if request.idempotency_digest is None else next((t for t in again if t.status != "redeemed"), None)
        )
        ticket = self.tickets.get(request.ticket_id) or retried
        if ticket is None:
            ticket = self.tickets[request.ticket_id] = FakeTicket(request)
        if ticket.status == "approved":
            ticket.status, ticket.used_by = "redeemed", request.call_id
        elif ticket.status == "open":
            ticket.status = "waiting"
        mine = ticket.status == "redeemed" and ticket.used_by == request.call_id
        return TicketAnswer(ticket.request.ticket_id, "approved" if mine else ticket.status, 0)

    def next_period(self, team_id: str) -> None:
        """The team's present period ends, and another with the same budget begins."""
        old = self.periods[team_id]
        self.past.append(old)
        self.periods[team_id] = WalletPeriod(old.wallet_id, old.kind, old.end, old.end + PERIOD, old.budget)

    def spent(self, team_id: str) -> int:
        """What the ledger says the team has spent, in nano-USD."""
        return self.periods[team_id].spent

    def leased(self, team_id: str) -> int:
        """What gateways have at hand, in nano-USD."""
        return self.periods[team_id].leased

    def grant(self, node_id: str, request: GrantRequest) -> GrantAnswer:
        """One conditional step, idempotent by grant id."""
        self.asked += 1
        assert 0 <= request.need_nanos <= request.want_nanos < 2**63
        period = self.periods.get(request.team_id)
        lease = self.leases.get(request.lease_id)
        if period is None:
            return GrantAnswer(0, 0.0, WalletView(request.team_id, 0, 0, 0, 0, 0, 0, False))
        if lease is not None and (lease.closed or self.period_of[lease.lease_id] != period.start):
            return GrantAnswer(0, 0.0, self._view(request.team_id, None))
        known = self.grants.get(request.grant_id)
        if known is not None:
            return GrantAnswer(known, self.ends_in_s, self._view(request.team_id, lease))
        amount = grant_size(max(0, period.available), request.need_nanos, request.want_nanos, self.live_nodes)
        if amount:
            lease = lease or LeaseBook(request.lease_id, node_id, period.wallet_id, 0, 0, 0, False)
            lease = self.leases[lease.lease_id] = msgspec.structs.replace(lease, granted=lease.granted + amount)
            self.period_of[lease.lease_id] = period.start
            self.grants[request.grant_id] = amount
            period = self.periods[request.team_id] = msgspec.structs.replace(period, leased=period.leased + amount)
            assert period.available >= 0, "leased past the budget"
        view = self._view(request.team_id, lease)
        if amount < request.need_nanos and view.leased_elsewhere > 0:
            self.called_back.append(request.team_id)
        return GrantAnswer(amount, self.ends_in_s, view)

    def _view(self, team_id: str, lease: LeaseBook | None) -> WalletView:
        period = self.periods[team_id]
        own, settled = (lease.remainder, lease.settled) if lease is not None else (0, 0)
        return WalletView(
            team_id,
            self.seq,
            period.budget,
            period.spent,
            period.suspense,
            period.leased - own,
            settled,
            True,
            wallet=f"team:{team_id}",
            wallet_id=period.wallet_id,
            wallet_ids=(period.wallet_id,),
        )

    def apply(self, node_id: str, groups: bytes, first_seq: int, chain: bytes) -> int:
        """Applies journal groups once, in order."""
        if self.refuses_ships:
            raise LinkRefused(422, "this journal is not the one that was applied")
        last, last_chain = self.applied.get(node_id, (0, GENESIS))
        if first_seq > last + 1:
            raise SequenceGap(last)
        if first_seq == last + 1 and chain != last_chain:
            raise LinkRefused(422, f"the chain value before record {first_seq} is not the one that is applied")
        self.shipments.append((node_id, first_seq))
        records: list[Record] = []
        for group in read_groups(groups, first_seq, chain):
            if group.last_seq == last and group.chain != last_chain:
                raise LinkRefused(422, f"record {last} is applied with another content")
            if group.last_seq <= last:
                continue
            if group.first_seq <= last:
                raise LinkRefused(422, f"record {last} is not the end of a group here")
            records += [decode_record(record) for record in group.records]
            last, last_chain = group.last_seq, group.chain
        for lease_id, movement in lease_movements(records).items():
            self._move(node_id, lease_id, movement)
        self.records += records
        self.events += [record for record in records if isinstance(record, Event)]
        self.applied[node_id] = (last, last_chain)
        return last

    def give_up(self, node_id: str, why: str) -> None:
        """Whatever the node has leased goes to suspense."""
        self.lost[node_id] = why
        for lease in list(self.leases.values()):
            if lease.node_id == node_id and not lease.closed:
                self._move(node_id, lease.lease_id, LeaseMovement(closed=True, suspended=True))

    def _move(self, node_id: str, lease_id: str, movement: LeaseMovement) -> None:
        lease = self.leases.get(lease_id)
        if lease is None:
            if movement.closed:
                # Closed before it was ever granted: a grant that arrives late must find it closed.
                self.leases[lease_id] = LeaseBook(lease_id, node_id, f"wal_{movement.team_id}", 0, 0, 0, True)
                self.period_of[lease_id] = START
            return
        after, moved = move_lease(lease, movement)
        self.leases[lease_id] = after
        team_id = lease.wallet_id.removeprefix("wal_")
        period = self._period(team_id, self.period_of[lease_id])
        moved_period = msgspec.structs.replace(
            period,
            leased=period.leased + moved.leased,
            posted=period.posted + moved.posted,
            overrun=period.overrun + moved.overrun,
            suspense=period.suspense + moved.suspense,
        )
        if period is self.periods[team_id]:
            self.periods[team_id] = moved_period
        else:
            self.past[self.past.index(period)] = moved_period
        if moved.freed:
            self.freed.append(team_id)

    def _period(self, team_id: str, start: datetime) -> WalletPeriod:
        present = self.periods[team_id]
        if present.start == start:
            return present
        return next(p for p in self.past if p.wallet_id == present.wallet_id and p.start == start)


class FakeLink:
    """One node's way to the FakeControl."""

    def __init__(self, control: FakeControl) -> None:
        self._control = control
        self._node_id = ""
        self.closed = False

    def _check(self) -> None:
        if self._control.down:
            raise LinkDown("unplugged")

    async def register(self, registration: Registration) -> Registered:
        self._check()
        self._node_id = registration.node_id
        self._control.registered.append(registration.node_id)
        return Registered("node-token", "00" * 32)

    async def introduce(self, registration: Registration) -> None:
        self._check()
        self._control.introduced.append(registration)

    async def snapshot(self) -> Snapshot:
        self._check()
        return Snapshot(self._control.seq, self._control.keys, self._control.prices)

    async def changes(self, heartbeat: Heartbeat) -> Changes:
        self._check()
        if self._control.seq == heartbeat.seen_seq:
            try:
                await asyncio.wait_for(self._control.news.wait(), HEARTBEAT_WAIT_S)
            except TimeoutError:
                self._check()
                return Changes(heartbeat.seen_seq)
            self._check()
        self._control.news.clear()
        return self._control.changes_due

    async def grant(self, request: GrantRequest) -> GrantAnswer:
        self._check()
        return self._control.grant(self._node_id, request)

    async def escalation(self, request: EscalationRequest) -> TicketAnswer:
        self._check()
        return self._control.escalation(request)

    async def leave_ticket(self, left: TicketLeft) -> None:
        self._check()
        if self._control.tickets[left.ticket_id].status == "waiting":
            self._control.tickets[left.ticket_id].status = left.status

    async def ship(self, groups: bytes, first_seq: int, previous_chain: bytes) -> Shipped:
        self._check()
        return Shipped(self._control.apply(self._node_id, groups, first_seq, previous_chain))

    async def report_lost(self, lost: Lost) -> None:
        self._check()
        self._control.give_up(self._node_id, lost.why)

    def close(self) -> None:
        self.closed = True
