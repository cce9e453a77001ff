"""From the provider to the client where the answer is sound, or a text that is no JSON: passed on as the bytes that come."""

from time import time_ns

from keeptrusts.core.calls.request import TextRequest
from keeptrusts.core.ledger.records import encode_record
from keeptrusts.core.limits.gate import Permit
from keeptrusts.core.refusal import Reason
from keeptrusts.gateway.attempt import Attempt
from keeptrusts.gateway.call import Call
from keeptrusts.gateway.client import Client
from keeptrusts.gateway.exchange import UpstreamFailed
from keeptrusts.gateway.limiting import limit_lines
from keeptrusts.gateway.node import Node
from keeptrusts.gateway.relay import header_text, relay_error, target_lines

ANY_TYPE = b"application/octet-stream"


async def relay_bytes(
    node: Node,
    call: Call,
    client: Client,
    request: TextRequest,
    attempt: Attempt,
    permit: Permit,
    most_bytes: int | None,
) -> None:
    """Relays the bytes as they come; their end waits for the settlement. An answer that breaks off, or is larger than
    ``most_bytes``, ends without its end."""
    answer = attempt.answer
    await answer.head()
    if answer.status != 200:
        await relay_error(node, call, client, request, attempt, answer.status, await answer.whole())
        return
    data = await answer.read()
    kind = header_text(answer.headers.get(b"content-type", ANY_TYPE).decode("latin-1"))
    lines = b"content-type: %b\r\n%b" % (kind or ANY_TYPE, target_lines(call.provider, call.model))
    await client.begin(lines + limit_lines(permit, request.door, call.at_ns))
    call.first_byte_ns = time_ns()
    failure: UpstreamFailed | None = None
    standing, cut = call.caller.standing, False
    size = 0
    try:
        while data:
            size += len(data)
            if most_bytes is not None and size > most_bytes:
                raise UpstreamFailed("its answer is larger than size_limits.max_response_bytes", sent=True)
            if standing.revoked is not None and not cut:
                # The provider is read to its end all the same: that is what is paid.
                cut = True
                client.break_off()
            if not cut:
                await client.more(data)
            data = await answer.read()
    except UpstreamFailed as broken:
        answer.abandon()
        failure = broken
    if failure is not None:
        attempt.fail(failure, node.treasury)
        call.status, call.reason = "interrupted", "stream_interrupted"
    else:
        bill = attempt.wire.of_bytes(request)
        if bill.usage is None:
            attempt.settle_unsaid(bill, request, 0, node.treasury)
        else:
            attempt.settle(bill, bill.usage, bill.source, node.treasury)
        attempt.took(node.loop.time())
    if cut:
        call.status, call.reason = "interrupted", Reason.KEY_REVOKED.value
    node.journal.append(encode_record(call.event(node.loop.time())))
    await node.journal.written()
    if failure is not None:
        client.break_off()
    elif not cut:
        await client.end(b"")
