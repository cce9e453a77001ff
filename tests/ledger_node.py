"""A gateway node as the ledger sees it: it writes records into a journal in memory and ships them; no sockets, no files."""

from keeptrusts.control.batches import apply_batch
from keeptrusts.control.context import NodeTerms, Tools
from keeptrusts.control.leases import grant
from keeptrusts.control.retrying import idempotent
from keeptrusts.core.calls.usage import Usage, UsageSource
from keeptrusts.core.identity.attribution import Attribution
from keeptrusts.core.ledger.alerts import Threshold
from keeptrusts.core.ledger.grant import GrantAnswer, GrantRequest
from keeptrusts.core.ledger.journal_format import GENESIS, encode_group
from keeptrusts.core.ledger.records import Attempt, Close, CloseLease, Event, Record, Reserve, Return, encode_record
from keeptrusts.store.contracts import LedgerStore

USAGE = Usage(input=14, output=25)


def attempt(lease_id: str | None, cost: int, hold: int = 0, outcome: str = "settled", number: int = 1) -> Attempt:
    return Attempt(
        number=number,
        target="openai",
        provider="openai",
        model="gpt-4o-mini",
        outcome=outcome,  # type: ignore[arg-type]
        hold_nanos=hold or cost,
        cost_nanos=cost,
        status=200,
        lease_id=lease_id,
        usage=USAGE,
        usage_source=UsageSource.PROVIDER,
        price_version="prc_1",
    )


def event(
    call_id: str,
    attempts: tuple[Attempt, ...] = (),
    team: str | None = "team_a",
    at_ns: int = 0,
    status: str = "ok",
    settles: int | None = None,
    **more: object,
) -> Event:
    """An event of one call; it settles its last attempt unless told otherwise."""
    sent = bool(attempts)
    fields: dict[str, object] = {
        "call_id": call_id,
        "at_ns": at_ns,
        "latency_ms": 12,
        "key_id": None,
        "group": None,
        "attribution": Attribution(team=team),
        "provider": "openai" if sent else None,
        "model": "gpt-4o-mini",
        "asked_model": "gpt-4o-mini",
        "served_model": None,
        "status": status,
        "reason": None,
        "cost_nanos": sum(a.cost_nanos for a in attempts) if sent else None,
        "usage": USAGE if sent else Usage(),
        "usage_source": UsageSource.PROVIDER if sent else UsageSource.NONE,
        "price_version": "prc_1" if sent else None,
        "unpriced": False,
        "cache_hit": status == "cached",
        "saved_nanos": 0,
        "policy_actions": (),
        "attempts": attempts,
        "settles": (1 if sent else 0) if settles is None else settles,
        "request_id": f"req_{call_id}",
        "stream": False,
        "http_status": 200,
    }
    return Event(**{**fields, **more})  # type: ignore[arg-type]


def reserve(call_id: str, lease_id: str | None, hold: int) -> Reserve:
    return Reserve(
        call_id,
        1,
        lease_id,
        hold,
        0,
        None,
        None,
        Attribution(),
        "openai",
        "openai",
        "gpt-4o-mini",
        "gpt-4o-mini",
        None,
        "",
    )


class LedgerNode:
    """One node: ``write`` adds records to its journal, ``ship`` brings what was not shipped yet to the store."""

    def __init__(
        self,
        store: LedgerStore,
        tools: Tools,
        node_id: str = "node_1",
        enforced: bool = True,
        thresholds: tuple[Threshold, ...] = (),
        alive: frozenset[str] = frozenset(),
    ) -> None:
        self.store = store
        self.tools = tools
        self.terms = NodeTerms(node_id, enforced, thresholds, alive)
        self.next_seq = 1
        self.chain = GENESIS
        self.groups: list[tuple[bytes, int, bytes]] = []
        self.shipped = 0
        self._asked = 0

    async def ask(
        self,
        lease_id: str,
        need: int,
        want: int | None = None,
        team: str = "team_a",
        grant_id: str = "",
        also: tuple[str, ...] = (),
    ) -> GrantAnswer:
        """Asks for money; every question has a grant id of its own unless one is given."""
        self._asked += 1
        grant_id = grant_id or f"grt_{self.terms.node_id}_{self._asked}"
        request = GrantRequest(grant_id, lease_id, team, need, want or need, also)
        return await idempotent(lambda: grant(self.store, self.tools, self.terms, request))

    def write(self, *records: Record | bytes) -> None:
        """One group of the journal."""
        encoded = [record if isinstance(record, bytes) else encode_record(record) for record in records]
        data, chain = encode_group(encoded, self.next_seq, self.chain)
        self.groups.append((data, self.next_seq, self.chain))
        self.next_seq, self.chain = self.next_seq + len(records), chain

    async def ship(self) -> int:
        """Ships every group that was not shipped yet in one batch; returns the last applied record's number."""
        groups = self.groups[self.shipped :]
        last = await self.ship_groups(groups)
        self.shipped = len(self.groups)
        return last

    async def ship_groups(self, groups: list[tuple[bytes, int, bytes]]) -> int:
        """Ships these groups as one batch, whether they were shipped before or not."""
        data = b"".join(group for group, _, _ in groups)
        _, first_seq, chain = groups[0]
        return await idempotent(lambda: apply_batch(self.store, self.tools, self.terms, data, first_seq, chain))

    async def settle(self, call_id: str, lease_id: str | None, cost: int, hold: int = 0, **more: object) -> None:
        """A whole call: reserved, served, settled, shipped."""
        self.write_call(call_id, lease_id, cost, hold, **more)
        await self.ship()

    def write_call(self, call_id: str, lease_id: str | None, cost: int, hold: int = 0, **more: object) -> None:
        """A whole call that is not shipped yet."""
        self.write(*self.call_records(call_id, lease_id, cost, hold, **more))

    def call_records(
        self, call_id: str, lease_id: str | None, cost: int, hold: int = 0, **more: object
    ) -> tuple[bytes, bytes]:
        """What a journal holds of a whole call: its reserve and its event."""
        hold = hold or cost
        done = event(call_id, (attempt(lease_id, cost, hold),), at_ns=self.tools.clock.unix_ns(), **more)  # type: ignore[arg-type]
        return encode_record(reserve(call_id, lease_id, hold)), encode_record(done)


__all__ = ["Close", "CloseLease", "LedgerNode", "Return", "attempt", "event", "reserve"]
