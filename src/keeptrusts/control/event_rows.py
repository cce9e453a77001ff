"""From a node's record of a call to the row that the ledger keeps."""

import msgspec

from keeptrusts.core.ledger.attempt_row import attempts_text, other_row
from keeptrusts.core.ledger.records import Event
from keeptrusts.core.metering.event_row import EventRow
from keeptrusts.core.money import MAX_NANOS

MAX_ID = 512
"""Ours are far shorter; a key of an index must not be much longer."""

encode = msgspec.json.Encoder().encode


def call_row(event: Event, node_id: str, journal_seq: int, period_key: str | None) -> EventRow:
    """The row of a call. ``period_key`` names the wallet period that paid, None when no wallet did."""
    who, usage, details = event.attribution, event.usage, None
    if usage.other is not None or who.cost_center is not None or event.ticket is not None:
        # The ledger's rows have had their columns since before there were these, and are hashed by them.
        told = {
            "cost_center": who.cost_center,
            "usage_other": None if usage.other is None else other_row(usage.other),
            "ticket": event.ticket,
        }
        details = encode({name: value for name, value in told.items() if value is not None}).decode()
        usage = usage.summed()
    # By position, in the order of the columns: names would cost as much as all the rest, for every call that there is.
    return EventRow(
        event.call_id,
        "call",
        event.at_ns,
        node_id,
        journal_seq,
        event.latency_ms,
        event.key_id,
        event.group,
        who.team,
        who.application,
        who.feature,
        who.environment,
        who.project,
        who.customer,
        who.department,
        who.user,
        event.provider,
        event.model,
        event.asked_model,
        event.served_model,
        event.status,
        event.reason,
        event.cost_nanos,
        usage.input,
        usage.cache_read,
        usage.cache_write,
        usage.cache_write_1h,
        usage.output,
        usage.reasoning,
        event.usage_source.value,
        event.price_version,
        event.unpriced,
        event.cache_hit,
        event.saved_nanos,
        "[]" if not event.policy_actions else encode(event.policy_actions).decode(),
        attempts_text(event.attempts),
        event.request_id,
        event.stream,
        event.http_status,
        period_key,
        details,
    )


def misfit(event: Event) -> str | None:
    """Why the ledger can't hold this event, None when it can: negative or too large a number, or an id that is none."""
    if not event.call_id:
        return "the event has no call id"
    usage = event.usage
    numbers: tuple[int, ...] = (
        event.at_ns,
        event.latency_ms,
        event.cost_nanos or 0,
        event.saved_nanos,
        event.http_status,
        usage.input,
        usage.cache_read,
        usage.cache_write,
        usage.cache_write_1h,
        usage.output,
        usage.reasoning,
    )
    if usage.other is not None:
        numbers += usage.other.figures
    least, total = min(numbers), sum(numbers)
    for attempt in event.attempts:
        least = min(least, attempt.cost_nanos, attempt.hold_nanos)
        total += attempt.cost_nanos + attempt.hold_nanos
    if least < 0 or total > MAX_NANOS:
        return "a number of the event is negative or too large"
    ids = (event.call_id, event.request_id, event.key_id, event.attribution.team)
    return unfit_ids(*ids, *[attempt.lease_id for attempt in event.attempts])


def unfit_ids(*ids: str | None) -> str | None:
    """Why one of these can't be an id that a row is found by, None when all can."""
    text = "".join([each for each in ids if each is not None])
    if "\0" in text or len(text) > MAX_ID * len(ids):
        return f"an id is longer than {MAX_ID} characters or holds a NUL"
    return None
