"""A control plane in memory: the ledger's own rules over dictionaries, behind the Link that gateways speak."""

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec

from keeptrusts.core.identity.gateway_key import KeyRecord
from keeptrusts.core.ledger.grant import GrantAnswer, GrantRequest, WalletView, grant_size
from keeptrusts.core.ledger.journal_format import GENESIS, read_groups
from keeptrusts.core.ledger.posting import LeaseBook, lease_movements, move_lease
from keeptrusts.core.ledger.records import Event, Record, decode_record
from keeptrusts.core.ledger.wallet import WalletPeriod
from keeptrusts.core.link import Changes, Heartbeat, Registered, Registration, Shipped, Snapshot, WalletChange
from keeptrusts.core.pricing.price import Price, Rates
from keeptrusts.gateway.link import LinkDown, SequenceGap

START = datetime(2026, 4, 1, tzinfo=UTC)
MINI = Price("prc_mini", "openai", "gpt-4o-mini", Rates(150_000, 600_000), max_output_tokens=16_384)
BIG = Price("prc_big", "openai", "gpt-4o", Rates(2_500_000, 10_000_000), max_output_tokens=16_384)


class FakeControl:
    """All nodes' control plane. ``down`` makes it unreachable; ``changes_due`` is what the next heartbeat answers."""

    def __init__(self, prices: tuple[Price, ...] = (MINI, BIG), keys: tuple[KeyRecord, ...] = ()) -> None:
        self.prices = prices
        self.keys = keys
        self.periods: dict[str, WalletPeriod] = {}
        self.leases: dict[str, LeaseBook] = {}
        self.grants: dict[str, GrantAnswer] = {}
        self.applied: dict[str, tuple[int, bytes]] = {}
        self.events: list[Event] = []
        self.records: list[Record] = []
        self.down = False
        self.asked = 0
        self.seq = 0
        self.changes_due = Changes(0)
        self.news = asyncio.Event()

    def allocate(self, team_id: str, nanos: int) -> None:
        """Sets the team's budget, and recalls its leases when that is lower."""
        old = self.periods.get(team_id)
        if old is None:
            self.periods[team_id] = WalletPeriod(f"wal_{team_id}", "monthly", START, START + timedelta(30), nanos)
            return
        self.periods[team_id] = msgspec.structs.replace(old, budget=nanos)
        self.seq += 1
        self.changes_due = Changes(self.seq, wallets=(WalletChange(team_id, self.seq, nanos < old.budget),))
        self.news.set()

    def spent(self, team_id: str) -> int:
        """What the ledger says the team has spent, in nano-USD."""
        return self.periods[team_id].spent

    def leased(self, team_id: str) -> int:
        """What gateways have at hand, in nano-USD."""
        return self.periods[team_id].leased

    def grant(self, node_id: str, request: GrantRequest) -> GrantAnswer:
        """One conditional step, idempotent by grant id."""
        self.asked += 1
        known = self.grants.get(request.grant_id)
        if known is not None:
            return known
        period = self.periods.get(request.team_id)
        if period is None:
            return GrantAnswer(0, 1e9, WalletView(request.team_id, 0, 0, 0, 0, 0, 0, False))
        fresh = LeaseBook(request.lease_id, node_id, period.wallet_id, 0, 0, 0, False)
        lease = self.leases.get(request.lease_id, fresh)
        amount = 0 if lease.closed else grant_size([period], request.need_nanos, request.want_nanos, 1, 100)
        self.leases[request.lease_id] = msgspec.structs.replace(lease, granted=lease.granted + amount)
        period = self.periods[request.team_id] = msgspec.structs.replace(period, leased=period.leased + amount)
        assert period.leased + period.spent <= period.budget or amount == 0
        elsewhere = period.leased - self.leases[request.lease_id].remainder
        view = WalletView(request.team_id, self.seq, period.budget, period.spent, 0, elsewhere, lease.settled, True)
        answer = self.grants[request.grant_id] = GrantAnswer(amount, 1e6, view)
        return answer

    def apply(self, node_id: str, groups: bytes, first_seq: int, chain: bytes) -> int:
        """Applies journal groups once, in order."""
        last, last_chain = self.applied.get(node_id, (0, GENESIS))
        if first_seq > last + 1:
            raise SequenceGap(last)
        for group in read_groups(groups, first_seq, chain):
            if group.last_seq <= last:
                continue
            records = [decode_record(record) for record in group.records]
            self.records += records
            for lease_id, movement in lease_movements(records).items():
                self._move(lease_id, movement)
            self.events += [record for record in records if isinstance(record, Event)]
            last, last_chain = group.last_seq, group.chain
        self.applied[node_id] = (last, last_chain)
        return last

    def _move(self, lease_id: str, movement: object) -> None:
        lease = self.leases.get(lease_id)
        if lease is None:
            return
        after, moved = move_lease(lease, movement)  # type: ignore[arg-type]
        self.leases[lease_id] = after
        team_id = lease.wallet_id.removeprefix("wal_")
        period = self.periods[team_id]
        self.periods[team_id] = msgspec.structs.replace(
            period,
            leased=period.leased + moved.leased,
            posted=period.posted + moved.posted,
            overrun=period.overrun + moved.overrun,
            suspense=period.suspense + moved.suspense,
        )


class FakeLink:
    """One node's way to the FakeControl."""

    def __init__(self, control: FakeControl) -> None:
        self._control = control
        self._node_id = ""

    def _check(self) -> None:
        if self._control.down:
            raise LinkDown("unplugged")

    async def register(self, registration: Registration) -> Registered:
        self._check()
        self._node_id = registration.node_id
        return Registered("node-token", "00" * 32)

    async def snapshot(self) -> Snapshot:
        self._check()
        return Snapshot(self._control.seq, self._control.keys, self._control.prices)

    async def changes(self, heartbeat: Heartbeat) -> Changes:
        self._check()
        if self._control.seq == heartbeat.seen_seq:
            await self._control.news.wait()
            self._check()
        self._control.news.clear()
        return self._control.changes_due

    async def grant(self, request: GrantRequest) -> GrantAnswer:
        self._check()
        return self._control.grant(self._node_id, request)

    async def ship(self, groups: bytes, first_seq: int, previous_chain: bytes) -> Shipped:
        self._check()
        return Shipped(self._control.apply(self._node_id, groups, first_seq, previous_chain))
