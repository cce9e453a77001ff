"""From the provider to the client: whole answers and streams, settled before the client can see that they are complete."""

from functools import lru_cache
from time import time_ns

from keeptrusts.clock import NANOS_PER_S
from keeptrusts.core.calls.request import TextRequest
from keeptrusts.core.calls.usage import UsageSource
from keeptrusts.core.ledger.records import encode_record
from keeptrusts.core.limits.gate import Permit
from keeptrusts.core.money import NANOS_PER_USD
from keeptrusts.core.providers.wire import NOTHING_SAID, Bill, NoAnswer, Stream
from keeptrusts.core.refusal import Reason, Refused
from keeptrusts.gateway.attempt import Attempt
from keeptrusts.gateway.call import Call
from keeptrusts.gateway.client import Client
from keeptrusts.gateway.doors import Door
from keeptrusts.gateway.edition import Edition
from keeptrusts.gateway.exchange import UpstreamFailed
from keeptrusts.gateway.limiting import limit_lines
from keeptrusts.gateway.node import Node
from keeptrusts.gateway.passage import Passage
from keeptrusts.gateway.refusals import JSON_LINE, response_too_large
from keeptrusts.gateway.sharing import Found, Share
from keeptrusts.gateway.token_count import count_tokens

STREAM_LINES = b"content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
MAX_WAIT_DIGITS = 9
THEIR_FAULT = frozenset({408, 425})
"""Statuses below 500 that say more about the provider's state than about the request."""

ENDLESS = "the stream ended without its last event"


async def relay_whole(
    node: Node,
    edition: Edition,
    call: Call,
    client: Client,
    request: TextRequest,
    attempt: Attempt,
    permit: Permit,
    share: Share | None,
) -> None:
    """Relays a complete answer. Raises UpstreamFailed, or Refused for a provider's error that another may not have."""
    content = await attempt.answer.whole()
    status = attempt.answer.status
    if status != 200:
        await relay_error(node, call, client, request, attempt, status, content)
        return
    try:
        answer = attempt.wire.whole(request, content, call.at_ns // NANOS_PER_S)
    except NoAnswer as error:
        raise UpstreamFailed(str(error), sent=True) from None
    bill = answer.bill
    if bill.usage is not None:
        attempt.settle(bill, bill.usage, bill.source, node.treasury)
    else:
        output_tokens = sum(count_tokens(text) for text in attempt.wire.spoken(content))
        attempt.settle_unsaid(bill, request, output_tokens, node.treasury)
    body, watch = answer.body, call.watch
    if watch is not None:
        # It is paid for, whatever becomes of it.
        body = await watch.whole(body)
    now = node.loop.time()
    attempt.took(now)
    most = edition.rulebook.max_response_bytes
    if most is not None and len(body) > most:
        # Paid for: another target would be paid too.
        raise response_too_large(most)
    node.journal.append(encode_record(call.event(now)))
    lines = _lines(call, attempt) + limit_lines(permit, request.door, call.at_ns)
    if share is not None:
        share.keep(body, attempt.cost_nanos, bill.usage is not None and (watch is None or not watch.touched))
        lines += share.line
    if not client.leave_to(node.journal, lines, body):
        await node.journal.written()
        await client.whole(200, lines, body)


async def relay_stream(
    node: Node,
    edition: Edition,
    call: Call,
    client: Client,
    door: Door,
    request: TextRequest,
    attempt: Attempt,
    permit: Permit,
    share: Share | None,
) -> None:
    """Relays a stream as it comes. Its end waits for the settlement; a client that left changes nothing."""
    answer = attempt.answer
    await answer.head()
    if answer.status != 200:
        await relay_error(node, call, client, request, attempt, answer.status, await answer.whole())
        return
    data = await answer.read()
    if not data:
        raise UpstreamFailed("the stream ended before it began", sent=True)
    first_byte_at = node.loop.time()
    lines = STREAM_LINES + target_lines(call.provider, call.model) + limit_lines(permit, request.door, call.at_ns)
    await client.begin(lines if share is None else lines + share.line)
    call.first_byte_ns = time_ns()
    reader = attempt.wire.stream(request, call.at_ns // NANOS_PER_S)
    room_bytes = -1 if share is None else share.room_bytes
    watch = None if call.watch is None else call.watch.stream(door.broken)
    bound_bytes = edition.rulebook.max_response_bytes
    passage = Passage(client, reader, room_bytes, call.caller.standing, door.broken, watch, bound_bytes)
    failure: UpstreamFailed | None = None
    try:
        while data:
            await passage.more(data)
            answer.pour(passage.at_once)
            data = await answer.read()
        await passage.finish()
    except UpstreamFailed as broken:
        answer.abandon()
        failure = broken
    last = _settle_stream(node, call, door, request, attempt, reader, failure)
    is_priced = reader.usage is not None
    if watch is not None and call.watch is not None:
        last = await watch.end(last, reader.done)
        is_priced = is_priced and not call.watch.touched
        if watch.refused is not None:
            call.status, call.reason = "blocked", watch.refused.reason.value
    if passage.cut:
        call.status, call.reason = "interrupted", Reason.KEY_REVOKED.value
    if share is not None and reader.done and (watch is None or watch.refused is None):
        # Before the end stands a comment, which says what this call cost.
        passage.keep(last.partition(b"\n\n")[2])
        share.keep_stream(passage.kept(), attempt.cost_nanos, call.usage, is_priced)
    now = node.loop.time()
    if reader.done:
        attempt.took(now, first_byte_at)
    node.journal.append(encode_record(call.event(now)))
    await node.journal.written()
    if not passage.cut:
        await client.end(last)


def _settle_stream(
    node: Node,
    call: Call,
    door: Door,
    request: TextRequest,
    attempt: Attempt,
    reader: Stream,
    failure: UpstreamFailed | None,
) -> bytes:
    """Turns the hold into the stream's cost; returns the bytes that tell the client how it ended."""
    bill = Bill(reader.usage, reader.served_model)
    if reader.usage is not None:
        attempt.settle(bill, reader.usage, UsageSource.PROVIDER, node.treasury)
    elif failure is not None or not reader.done:
        # A stream without its end may have been longer than what came of it, and so may its bill.
        attempt.fail(failure or UpstreamFailed(ENDLESS, sent=True), node.treasury)
    else:
        attempt.settle_unsaid(bill, request, reader.count_output(count_tokens), node.treasury)
    if reader.done:
        return b": cost_usd=%d.%09d\n\n%b" % (*divmod(call.cost_nanos or 0, NANOS_PER_USD), reader.end())
    call.status, call.reason = "interrupted", "stream_interrupted"
    what = ENDLESS if failure is None else str(failure)
    refused = Refused(Reason.UPSTREAM_ERROR, f"The provider's answer broke off: {what}.")
    broken_event = b"\n\n" if reader.rest() else b""
    return broken_event + door.broken(refused)


async def relay_error(
    node: Node, call: Call, client: Client, request: TextRequest, attempt: Attempt, status: int, content: bytes
) -> None:
    """A provider's error status. What the client caused is relayed in its own dialect; the rest is raised as Refused."""
    try:
        bill = attempt.wire.whole(request, content, call.at_ns // NANOS_PER_S).bill
    except NoAnswer:
        bill = NOTHING_SAID
    rejects_key = attempt.wire.rejects_key(status, content)
    if bill.usage is not None:
        attempt.settle(bill, bill.usage, UsageSource.PROVIDER, node.treasury, status)
    elif status < 300:
        attempt.fail(UpstreamFailed(f"the provider answered {status}", sent=True), node.treasury)
    else:
        attempt.void(status, node.treasury, rejects_key)
    if rejects_key:
        raise Refused(Reason.UPSTREAM_REJECTED_KEY, f"The provider refused this gateway's own key ({status}).")
    if status == 429:
        asked = attempt.answer.headers.get(b"retry-after", b"")
        retry_after_s = int(asked) if asked.isdigit() and len(asked) <= MAX_WAIT_DIGITS else None
        if retry_after_s:
            attempt.pause(retry_after_s)
        limited = "The provider's own rate limit is reached."
        raise Refused(Reason.UPSTREAM_RATE_LIMITED, limited, {"upstream_status": 429}, retry_after_s)
    if status < 400 or status >= 500 or status in THEIR_FAULT:
        raise Refused(Reason.UPSTREAM_ERROR, f"The provider failed with status {status}.", {"upstream_status": status})
    call.status, call.reason, call.http_status = "upstream_error", f"upstream_{status}", status
    node.journal.append(encode_record(call.event(node.loop.time())))
    await node.journal.written()
    content = attempt.without_key(content)
    body = attempt.wire.error(request, status, content)
    content_type = b"application/json"
    if body is content:
        content_type = header_text(attempt.answer.headers.get(b"content-type", content_type).decode("latin-1"))
    lines = b"content-type: %b\r\n%b" % (content_type, target_lines(call.provider, call.model))
    await client.whole(status, lines, body)


async def relay_kept(node: Node, call: Call, client: Client, door: Door, found: Found, permit: Permit) -> None:
    """An answer that was paid for before: it costs nothing, and says what it saved."""
    kept = found.kept
    body, events = kept.body, found.events
    if call.watch is not None:
        body, events = await call.watch.kept(body, events)
    if call.caller.standing.revoked is not None:
        # While it waited: nobody has paid for this one yet.
        raise call.caller.standing.revoked.again()
    # Nothing, but for what it cost to find it.
    call.status, call.cost_nanos, call.served_model = "cached", call.cost_nanos or 0, None
    is_replay = found.how == "replay"
    if is_replay:
        call.reason = "idempotent_replay"
    else:
        call.cache_hit, call.saved_nanos = True, max(0, kept.cost_nanos - call.cost_nanos)
        call.reason = "semantic_hit" if found.how == "semantic" else None
    call.provider, call.model = kept.provider, kept.model
    node.journal.append(encode_record(call.event(node.loop.time())))
    await node.journal.written()
    lines = (
        target_lines(call.provider, call.model)
        + _cost_line(call.cost_nanos)
        + limit_lines(permit, door.name, call.at_ns)
    )
    lines += b"x-keeptrusts-cache: %b\r\nage: %d\r\n" % (found.how.encode(), kept.age_s(call.at_ns // NANOS_PER_S))
    if is_replay:
        lines += b"idempotent-replayed: true\r\n"
    if events is None:
        await client.whole(200, JSON_LINE + lines, body)
        return
    await client.begin(STREAM_LINES + lines)
    await client.end(events)


@lru_cache(maxsize=4_096)
def target_lines(provider: str | None, model: str) -> bytes:
    """The header lines that say who served the call."""
    return b"x-keeptrusts-provider: %b\r\nx-keeptrusts-model: %b\r\n" % (
        header_text(provider or ""),
        header_text(model),
    )


def header_text(text: str) -> bytes:
    """A text as a header's value: what a header can't hold is left out."""
    return text.encode("ascii", "ignore") if text.isprintable() else b""


def _cost_line(nanos: int) -> bytes:
    return b"x-keeptrusts-cost-usd: %d.%09d\r\n" % divmod(nanos, NANOS_PER_USD)


def _lines(call: Call, attempt: Attempt) -> bytes:
    lines = JSON_LINE + target_lines(call.provider, call.model) + _cost_line(call.cost_nanos or 0)
    remaining = attempt.budget_remaining_nanos
    if remaining is not None:
        lines += b"x-keeptrusts-budget-remaining-usd: %d.%09d\r\n" % divmod(max(0, remaining), NANOS_PER_USD)
    return lines
