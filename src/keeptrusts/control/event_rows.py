"""From a node's record of a call to the row that the ledger keeps."""

import msgspec

from keeptrusts.core.ledger.records import Attempt, Event
from keeptrusts.core.metering.event_row import EventRow
from keeptrusts.core.money import MAX_NANOS

encode = msgspec.json.Encoder().encode


def call_row(event: Event, node_id: str, journal_seq: int, period_key: str | None) -> EventRow:
    """The row of a call. ``period_key`` names the wallet period that paid, None when no wallet did."""
    who, usage = event.attribution, event.usage
    return EventRow(
        event_id=event.call_id,
        type="call",
        at_ns=event.at_ns,
        node_id=node_id,
        journal_seq=journal_seq,
        latency_ms=event.latency_ms,
        key_id=event.key_id,
        consumer_group=event.group,
        team_id=who.team,
        application=who.application,
        feature=who.feature,
        environment=who.environment,
        project=who.project,
        customer=who.customer,
        department=who.department,
        user_id=who.user,
        provider=event.provider,
        model=event.model,
        asked_model=event.asked_model,
        served_model=event.served_model,
        status=event.status,
        reason=event.reason,
        cost_nanos=event.cost_nanos,
        input_tokens=usage.input,
        cache_read_tokens=usage.cache_read,
        cache_write_tokens=usage.cache_write,
        cache_write_1h_tokens=usage.cache_write_1h,
        output_tokens=usage.output,
        reasoning_tokens=usage.reasoning,
        usage_source=event.usage_source.value,
        price_version=event.price_version,
        unpriced=event.unpriced,
        cache_hit=event.cache_hit,
        saved_nanos=event.saved_nanos,
        policy_actions="[]" if not event.policy_actions else encode(event.policy_actions).decode(),
        attempts="[]" if not event.attempts else encode([_attempt(attempt) for attempt in event.attempts]).decode(),
        request_id=event.request_id,
        stream=event.stream,
        http_status=event.http_status,
        period_key=period_key,
        details=None,
    )


def _attempt(attempt: Attempt) -> dict[str, object]:
    return {**msgspec.structs.asdict(attempt), "usage": msgspec.structs.asdict(attempt.usage)}


def misfit(event: Event) -> str | None:
    """Why the ledger can't hold this event, None when it can: negative or too large a number, or no id."""
    if not event.call_id:
        return "the event has no call id"
    usage = event.usage
    numbers = [event.at_ns, event.latency_ms, event.cost_nanos or 0, event.saved_nanos, event.http_status]
    numbers += [usage.input, usage.cache_read, usage.cache_write, usage.cache_write_1h, usage.output, usage.reasoning]
    numbers += [attempt.cost_nanos for attempt in event.attempts]
    numbers += [attempt.hold_nanos for attempt in event.attempts]
    if min(numbers) < 0 or sum(numbers) > MAX_NANOS:
        return "a number of the event is negative or too large"
    return None
