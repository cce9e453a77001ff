"""L3 to L7 and L9 of a call: its attempts, its cost and its place in its node's journal, from its one row."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from keeptrusts.core.calls.usage import Usage
from keeptrusts.core.ledger.attempt_row import AttemptRow, decode_attempts
from keeptrusts.core.ledger.invariants.findings import Finding, Number
from keeptrusts.core.pricing.price import Price, cost_nanos

FILE_PRICE = "file:"
"""How versions of prices begin that stand in a gateway's policy file; the store does not have them."""

EVIDENCE = frozenset({"provider", "counted", "worst_case"})


class CallRow(Struct, frozen=True):
    """An event of a call. ``attempts`` None: what stands there can't be read."""

    number: int
    event_id: str
    node_id: str
    journal_seq: int
    status: str
    cost_nanos: int | None
    usage: Usage
    usage_source: str
    price_version: str | None
    attempts: tuple[AttemptRow, ...] | None

    @property
    def subject(self) -> str:
        """How findings name it."""
        return f"event {self.event_id}"


class Known(Struct, frozen=True):
    """What the rows of a page refer to: price versions by id, and leases by id with their node and what they were granted."""

    prices: Mapping[str, Price]
    leases: Mapping[str, tuple[str, int]]


def read_call(columns: Iterable[Any]) -> CallRow:
    """A call from its columns: number, ids, journal, status, cost, the six buckets, source, price version, attempts."""
    number, event_id, node_id, seq, status, cost, i, r, w, w1, o, t, source, version, attempts = columns
    try:
        read = () if attempts == "[]" else decode_attempts(attempts)
    except (msgspec.DecodeError, msgspec.ValidationError):
        read = None
    usage = Usage(i, r, w, w1, o, t)
    return CallRow(number, event_id, node_id, seq, status, cost, usage, source, version, read)


def holds(call: CallRow, known: Known) -> Iterator[Finding]:
    """L3: no hold is larger than what its lease was granted."""
    for attempt in call.attempts or ():
        if attempt.lease_id is not None:
            node_id, granted = known.leases.get(attempt.lease_id, ("", 0))
            if node_id == call.node_id and attempt.hold_nanos > granted:
                what = f"hold of attempt {attempt.number}, by its lease {attempt.lease_id}"
                yield Finding("L3", call.subject, what, f"at most {granted}", attempt.hold_nanos)


def billed(call: CallRow, known: Known) -> Iterator[Finding]:
    """L4: an attempt that a lease paid for costs at most its hold."""
    for attempt in call.attempts or ():
        if attempt.lease_id is not None and attempt.cost_nanos > attempt.hold_nanos:
            what = f"cost of attempt {attempt.number}, by its hold"
            yield Finding("L4", call.subject, what, f"at most {attempt.hold_nanos}", attempt.cost_nanos)


def one_end(call: CallRow, known: Known) -> Iterator[Finding]:
    """L5: attempts are numbered once each, in order, and the call cost what they cost."""
    if call.attempts is None:
        yield Finding("L5", call.subject, "its attempts can't be read")
        return
    numbers = [attempt.number for attempt in call.attempts]
    if numbers != list(range(1, len(numbers) + 1)):
        yield Finding("L5", call.subject, "numbers of its attempts", f"1 to {len(numbers)}", str(numbers))
    total = sum(attempt.cost_nanos for attempt in call.attempts)
    if (call.cost_nanos or 0) != total:
        yield Finding("L5", call.subject, "cost, by its attempts", total, call.cost_nanos)


def evidence(call: CallRow, known: Known) -> Iterator[Finding]:
    """L6: what costs something says on which evidence, and a guess is flagged as one.

    Whether providers say the same can't be seen from here: their own figures must be held against the events.
    """
    for attempt in call.attempts or ():
        if attempt.outcome == "indeterminate" and attempt.usage_source != "worst_case":
            what = f"usage source of attempt {attempt.number}, whose outcome is unknown"
            yield Finding("L6", call.subject, what, "worst_case", attempt.usage_source)
        elif attempt.cost_nanos and attempt.usage_source not in EVIDENCE:
            what = f"attempt {attempt.number} costs something on no evidence"
            yield Finding("L6", call.subject, what, None, attempt.usage_source)


def recomputed(call: CallRow, known: Known) -> Iterator[Finding]:
    """L9: usage times the named price version is the cost; what nobody knows costs its hold; what was void, nothing.

    An answer that we counted ourselves costs at most its hold. Without a lease the hold is not in the row: then a counted
    cost is only held to be no more than the count, and an unknown one can't be recomputed.
    """
    attempts = call.attempts or ()
    for attempt in attempts:
        expected = _cost(attempt, known)
        if isinstance(expected, str):
            yield Finding("L9", call.subject, f"attempt {attempt.number}: {expected}")
        elif expected is not None and attempt.cost_nanos != expected:
            what = f"cost of attempt {attempt.number}, by its usage and price version {attempt.price_version}"
            yield Finding("L9", call.subject, what, expected, attempt.cost_nanos)
    if not attempts:
        return
    last = attempts[-1]
    summed = last.usage.usage.summed()
    if call.status != "recovered" and call.usage != summed:
        yield Finding("L9", call.subject, "usage, by its last attempt", _shown(summed), _shown(call.usage))
    if call.price_version != last.price_version:
        what = "price version, by its last attempt"
        yield Finding("L9", call.subject, what, last.price_version, call.price_version)


def _cost(attempt: AttemptRow, known: Known) -> int | str | None:
    """What the attempt must have cost, or why it can't have; None when the row does not tell."""
    if attempt.outcome == "void":
        return 0
    if attempt.outcome == "indeterminate":
        return attempt.hold_nanos if attempt.lease_id is not None else None
    if attempt.price_version is None:
        return 0
    price = known.prices.get(attempt.price_version)
    if price is None:
        return None if attempt.price_version.startswith(FILE_PRICE) else f"no price version {attempt.price_version}"
    cost = cost_nanos(price, attempt.usage.usage)
    if attempt.usage_source != "counted":
        return cost
    if attempt.lease_id is None:
        return min(cost, attempt.cost_nanos)
    return min(cost, attempt.hold_nanos)


def _shown(usage: Usage) -> str:
    return "/".join(map(str, msgspec.structs.astuple(usage)))


RULES: tuple[tuple[Number, Callable[[CallRow, Known], Iterator[Finding]]], ...] = (
    ("L3", holds),
    ("L4", billed),
    ("L5", one_end),
    ("L6", evidence),
    ("L9", recomputed),
)
"""What every call is held against."""


def notes(call: CallRow) -> Iterator[tuple[Number, str, int]]:
    """What is allowed, and worth counting."""
    for attempt in call.attempts or ():
        if attempt.outcome == "indeterminate":
            yield "L6", "attempts posted at their hold: nobody knows what they were billed", 1
            yield "L6", "nano-USD posted for these", attempt.cost_nanos
        elif attempt.usage_source == "counted":
            yield "L6", "attempts counted by us: their provider did not say", 1
        if attempt.price_version is not None and attempt.price_version.startswith(FILE_PRICE):
            yield "L9", "attempts priced in a policy file: not recomputed", 1


class JournalOrder:
    """L7: a node's records are applied once, in order, so that its events rise by their place in its journal."""

    def __init__(self) -> None:
        self.last: dict[str, int] = {}

    def add(self, call: CallRow) -> Iterator[Finding]:
        """The next event in the order of recording."""
        before = self.last.get(call.node_id, 0)
        if call.journal_seq <= before:
            what = f"place in the journal of {call.node_id}"
            yield Finding("L7", call.subject, what, f"above {before}", call.journal_seq)
        else:
            self.last[call.node_id] = call.journal_seq

    def applied(self, positions: Mapping[str, int]) -> Iterator[Finding]:
        """No event stands behind where its node's journal is applied to."""
        for node_id, last in self.last.items():
            if last > positions.get(node_id, 0):
                yield Finding(
                    "L7",
                    f"journal of {node_id}",
                    "applied, by its events",
                    f"at least {last}",
                    positions.get(node_id, 0),
                )


def quarantined(rows: Iterable[tuple[str, int, int | None]]) -> Iterator[Finding]:
    """L7: a record in quarantine counts as applied: its node, its place, and where the journal stands."""
    for node_id, seq, last_seq in rows:
        if seq > (last_seq or 0):
            what = "the journal is applied"
            yield Finding("L7", f"quarantine {node_id} {seq}", what, f"at least to {seq}", last_seq or 0)


def doubled(rows: Iterable[tuple[str, int]]) -> Iterator[Finding]:
    """L5: ids that several events have, and how many."""
    for event_id, count in rows:
        yield Finding("L5", f"event {event_id}", "events of this call", 1, count)
