"""Journals as gateway nodes write them, made ahead of the clock: calls of several teams, leased and not, in groups and batches."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from keeptrusts.core.calls.usage import Usage, UsageSource
from keeptrusts.core.identity.attribution import Attribution
from keeptrusts.core.ids import new_id
from keeptrusts.core.ledger.journal_format import GENESIS, encode_group
from keeptrusts.core.ledger.records import (
    Attempt,
    Boot,
    CallStatus,
    Close,
    Event,
    Granted,
    LeaseIntent,
    Record,
    Reserve,
    Return,
    encode_record,
)

_MODEL = "gpt-4o-mini"
_PRICE = "prc_0mh2k9x1q7p4b2"
_HOLD_NANOS = 310_000
_CALLS_PER_GROUP = 4  # that many calls are recorded in one turn of a busy gateway's event loop
_UNENFORCED, _RETRIED, _BLOCKED = 0.10, 0.04, 0.03  # shares of the calls
_RETURN_EVERY = 1_500
CALL_EVERY_NS = 1_000_000


@dataclass(frozen=True)
class Lease:
    """Money that a node was granted for one team before its journal begins to be shipped."""

    lease_id: str
    team: str
    department: str
    grants: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Batch:
    """Whole groups, as the shipper sends them."""

    data: bytes
    first_seq: int
    previous_chain: bytes
    events: int


@dataclass
class NodeJournal:
    """One node's journal, group by group, and what its calls cost in all."""

    node_id: str
    cost_nanos: int = 0
    events: int = 0
    _groups: list[Batch] = field(default_factory=list)
    _next_seq: int = 1
    _chain: bytes = GENESIS

    def write(self, records: Sequence[Record]) -> None:
        """One more group."""
        data, chain = encode_group([encode_record(record) for record in records], self._next_seq, self._chain)
        events = sum(isinstance(record, Event) for record in records)
        self._groups.append(Batch(data, self._next_seq, self._chain, events))
        self._next_seq, self._chain = self._next_seq + len(records), chain
        self.events += events

    def batches(self, *, most_bytes: int, most_events: int) -> Iterator[Batch]:
        """The groups in batches that stay within both bounds."""
        gathered: list[Batch] = []
        size = events = 0
        for group in self._groups:
            if gathered and (size + len(group.data) > most_bytes or events + group.events > most_events):
                yield _joined(gathered)
                gathered, size, events = [], 0, 0
            gathered.append(group)
            size, events = size + len(group.data), events + group.events
        if gathered:
            yield _joined(gathered)


def make_journal(node_id: str, leases: Sequence[Lease], calls: int, seed: int, begin_ns: int) -> NodeJournal:
    """A node's journal with that many calls, one every ``CALL_EVERY_NS`` from ``begin_ns`` on; the same seed makes the same
    calls."""
    dice = random.Random(seed)
    journal = NodeJournal(node_id)
    journal.write([Boot(node_id, "5d3c9c0e-bench", begin_ns)])
    journal.write([LeaseIntent(lease.lease_id, lease.team) for lease in leases])
    pending = [(lease, grant) for lease in leases for grant in lease.grants]
    granted_every = max(1, calls // (len(pending) + 1))
    group: list[Record] = []
    for number in range(1, calls + 1):
        at_ns = begin_ns + number * CALL_EVERY_NS
        if number % granted_every == 1 and pending:
            lease, (grant_id, nanos) = pending.pop(0)
            group.append(Granted(grant_id, lease.lease_id, nanos, lease.team, (), at_ns))
        if number % _RETURN_EVERY == 0:
            group.append(Return(dice.choice(leases).lease_id, 10_000))
        records, cost = _call(dice, leases, number, at_ns)
        group += records
        journal.cost_nanos += cost
        if number % _CALLS_PER_GROUP == 0 or number == calls:
            journal.write(group)
            group = []
    return journal


def _call(dice: random.Random, leases: Sequence[Lease], number: int, at_ns: int) -> tuple[list[Record], int]:
    """The records of one call, and its cost in nano-USD."""
    lease, key = dice.choice(leases), dice.randrange(3)
    call_id = new_id("call", at_ns // 1_000_000, dice.randbytes(10))
    who = Attribution(team=lease.team, application="assistant", environment="production", department=lease.department)
    key_id, request_id = f"tok_0mh2k9x1q7{lease.team[-2:]}{key}", f"req_{call_id[5:]}"
    luck = dice.random()
    records: list[Record] = []
    attempts: list[Attempt] = []
    if luck >= _BLOCKED:
        lease_id = None if luck < _BLOCKED + _UNENFORCED else lease.lease_id
        tries = 2 if luck > 1 - _RETRIED else 1
        for each in range(1, tries + 1):
            target = "openai" if each == tries else "azure"
            records.append(
                Reserve(
                    call_id, each, lease_id, _HOLD_NANOS, at_ns, key_id, "engineering", who,
                    target, target, _MODEL, _MODEL, _PRICE, request_id,
                )
            )  # fmt: skip
            attempts.append(_attempt(dice, each, target, lease_id, void=each < tries))
            if each < tries:
                records.append(Close(call_id, attempts[-1]))
    records.append(_event(call_id, at_ns, key_id, who, request_id, attempts, stream=number % 3 == 0))
    return records, sum(attempt.cost_nanos for attempt in attempts)


def _attempt(dice: random.Random, number: int, target: str, lease_id: str | None, *, void: bool) -> Attempt:
    if void:
        return Attempt(
            number, target, target, _MODEL, "void", _HOLD_NANOS, 0, 503, "http_503", lease_id, price_version=_PRICE
        )
    usage = Usage(input=dice.randrange(20, 400), output=dice.randrange(10, 300))
    cost = usage.input * 150 + usage.output * 600
    return Attempt(
        number, target, target, _MODEL, "settled", _HOLD_NANOS, cost, 200, None, lease_id, usage,
        UsageSource.PROVIDER, _PRICE,
    )  # fmt: skip


def _event(
    call_id: str, at_ns: int, key_id: str, who: Attribution, request_id: str, attempts: list[Attempt], *, stream: bool
) -> Event:
    sent = bool(attempts)
    status: CallStatus = "ok" if sent else "blocked"
    return Event(
        call_id=call_id,
        at_ns=at_ns,
        latency_ms=412 if sent else 0,
        key_id=key_id,
        group="engineering",
        attribution=who,
        provider="openai" if sent else None,
        model=_MODEL,
        asked_model=_MODEL,
        served_model="gpt-4o-mini-2024-07-18" if sent else None,
        status=status,
        reason=None if sent else "policy",
        cost_nanos=sum(attempt.cost_nanos for attempt in attempts) if sent else None,
        usage=attempts[-1].usage if sent else Usage(),
        usage_source=attempts[-1].usage_source if sent else UsageSource.NONE,
        price_version=_PRICE if sent else None,
        unpriced=False,
        cache_hit=False,
        saved_nanos=0,
        policy_actions=() if sent else ("content-filter:block",),
        attempts=tuple(attempts),
        settles=1 if sent else 0,
        request_id=request_id,
        stream=stream,
        http_status=200 if sent else 403,
    )


def _joined(groups: Sequence[Batch]) -> Batch:
    return Batch(
        b"".join(group.data for group in groups),
        groups[0].first_seq,
        groups[0].previous_chain,
        sum(group.events for group in groups),
    )
