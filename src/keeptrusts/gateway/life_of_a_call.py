"""The whole way of a call, from its first byte to its ledger row. Read this file first.

identify, read, admit, limit, judge, look in the cache, then for each target in turn: reserve, forward, relay, settle;
and whatever happens, record. Each step is a call into the file that owns it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

from keeptrusts.core.calls.request import TextRequest
from keeptrusts.core.ledger.records import encode_record
from keeptrusts.core.limits.gate import Permit
from keeptrusts.core.providers.wires import WIRES
from keeptrusts.core.refusal import Reason, Refused
from keeptrusts.gateway.attempt import Attempt
from keeptrusts.gateway.attributing import attribute
from keeptrusts.gateway.call import Call
from keeptrusts.gateway.client import Client
from keeptrusts.gateway.doors import Door
from keeptrusts.gateway.edition import Edition, Lane
from keeptrusts.gateway.exchange import UpstreamFailed
from keeptrusts.gateway.flights import ClientGone
from keeptrusts.gateway.identify import identify
from keeptrusts.gateway.itinerary import Itinerary
from keeptrusts.gateway.journal import JournalFailed
from keeptrusts.gateway.letting_through import applicant_of, let_through
from keeptrusts.gateway.limiting import admit
from keeptrusts.gateway.node import Node
from keeptrusts.gateway.purse import Account, Lease
from keeptrusts.gateway.refusals import unwritten
from keeptrusts.gateway.relay import relay_kept, relay_stream, relay_whole
from keeptrusts.gateway.relay_bytes import relay_bytes
from keeptrusts.gateway.request_body import read_body, refuse_unreadable, too_large
from keeptrusts.gateway.sharing import Share, share_of
from keeptrusts.gateway.target_limits import enter_target, leave_target
from keeptrusts.gateway.watching import Watch

CLIENT_CLOSED_REQUEST = 499
"""The status, in the ledger alone, of a call whose client left while it waited for an equal one, or for a person."""


async def serve(node: Node, client: Client, door: Door) -> None:
    """Serves one call; whatever happens to it, the client gets one answer and the ledger one row."""
    client.refusal = door.refusal
    now_ns = time.time_ns()
    started = node.loop.time()
    call_id = node.call_ids.next(now_ns)
    request_id = client.name_request("req" + call_id[3:])
    try:
        edition = node.edition()
        node.backlog.refuse_if_full(started)
        caller, refusal = identify(edition.callers, client)
    except Refused as refused:
        await client.refuse(node.count_unknown(refused, client))
        return
    call = Call(call_id, now_ns, started, caller, request_id)
    if node.observed.tracing is not None:
        call.trace = node.observed.tracing.begin(client.headers)
    try:
        if refusal is not None:
            raise refusal.again()
        rulebook = edition.rulebook
        most_bytes = rulebook.max_file_bytes if door.takes_files else rulebook.max_body_bytes
        refuse_unreadable(client.headers, most_bytes)
        body = client.complete_body()
        if body is None:
            body = await read_body(client, most_bytes)
        if len(body) > most_bytes:
            raise too_large(most_bytes)
        request = door.parse(body)
        call.asked_model, call.stream = request.model, request.stream
        if caller.additions is not None:
            caller = call.caller = attribute(edition.callers, caller, caller.additions, client.headers, request)
        if door.seals_ids:
            request.sealed_by(edition.callers.seals_for(caller))
        lane = edition.lane(caller, request.model)
        gate = edition.gate(lane, caller, client)
        if node.meters.store is None:
            permit = admit(gate, request, rulebook.default_output_tokens, node.now_s())
        else:
            permit = await node.meters.store.admit(gate, request, rulebook.default_output_tokens, node.now_s())
        through = None
        try:
            if (policies := lane.policies) is not None:
                if not policies.pass_at_once(call, request.judged(body)):
                    await policies.policing.judge(call, request, lane.hops[0].model)
                if policies.policing.judges_answers:
                    call.watch = Watch.of(policies.policing, call, door.name)
                if call.escalated:
                    through = partial(let_through, node, edition, call, client, door, body, permit)
            share = None
            if request.repeats and (rulebook.cache.enabled or b"idempotency-key" in client.headers):
                share = share_of(node, edition, call, client, door, request, body, lane)
            if share is None:
                if through is not None:
                    await through()
                await _serve(node, edition, call, client, door, request, lane, permit, None)
            else:
                await _serve_shared(node, edition, call, client, door, request, lane, permit, share, through)
        finally:
            permit.leave(call.all_used_tokens, node.now_s())
            if call.at_target is not None:
                leave_target(node, call)
    except Refused as refused:
        call.refused(refused)
        node.observed.counts.refused(refused)
        await _record(node, call)
        await client.refuse(refused)
    except ClientGone:
        call.status, call.reason, call.http_status = "refused", "client_gone", CLIENT_CLOSED_REQUEST
    except JournalFailed:
        failed = unwritten()
        call.refused(failed)
        node.observed.counts.refused(failed)
        await client.refuse(failed)
    except Exception as error:
        node.report(call, error)
        internal = Refused(Reason.INTERNAL, "The gateway failed to serve this call; its log says why.")
        call.refused(internal)
        node.observed.counts.refused(internal)
        await _record(node, call)
        await client.refuse(internal)
    except asyncio.CancelledError:
        call.status, call.reason = "interrupted", "gateway_stopped"
        raise
    finally:
        if not call.recorded:
            node.journal.append(encode_record(call.event(node.loop.time())))
        node.observed.ended(call, door.name)


async def _serve_shared(
    node: Node,
    edition: Edition,
    call: Call,
    client: Client,
    door: Door,
    request: TextRequest,
    lane: Lane,
    permit: Permit,
    share: Share,
    through: Callable[[], Awaitable[None]] | None,
) -> None:
    """Answers with what was paid for already, or buys an answer and shares it with equal calls."""
    try:
        found = await share.find(through)
        if found is not None:
            await relay_kept(node, call, client, door, found, permit)
        else:
            await _serve(node, edition, call, client, door, request, lane, permit, share)
    except Refused as refused:
        share.refuse(refused)
        raise
    finally:
        share.end()


async def _serve(
    node: Node,
    edition: Edition,
    call: Call,
    client: Client,
    door: Door,
    request: TextRequest,
    lane: Lane,
    permit: Permit,
    share: Share | None,
) -> None:
    """Tries the lane's targets until one answers: the only one there is, or one after the other as its itinerary says."""
    itinerary, hop = None, lane.only
    if hop is None or hop.target.provider not in WIRES[door.name]:
        now = node.loop.time()
        itinerary = Itinerary(edition, lane, request, call.started, now)
        hop = itinerary.first(now)
    while True:
        if edition.target_gates is not None:
            hop = await enter_target(node, edition, call, request, itinerary, hop)
        wire = WIRES[door.name][hop.target.provider]
        attempt = Attempt(call, hop, hop.price or edition.rulebook.unpriced_ceiling, wire)
        if itinerary is not None:
            attempt.chosen = itinerary.chosen
        if not attempt.reserve_at_once(request, lane, node.treasury):
            await _reserve(node, edition, call, client, request, lane, permit, attempt)
        try:
            lines = client.lines(wire.passed) if wire.passed else b""
            if call.trace is not None:
                lines += call.trace.line
            attempt.forward(request, edition, lines, node.journal, node.loop.time())
            if request.binary:
                await relay_bytes(node, call, client, request, attempt, permit, edition.rulebook.max_response_bytes)
            elif request.stream:
                await relay_stream(node, edition, call, client, door, request, attempt, permit, share)
            else:
                await relay_whole(node, edition, call, client, request, attempt, permit, share)
            return
        except UpstreamFailed as failure:
            attempt.fail(failure, node.treasury)
            refused = _failed(failure)
        except Refused as failed:
            attempt.break_off(node.treasury)
            refused = failed
        except BaseException:
            # Whatever is wrong, the hold ends and what was sent is in the row.
            attempt.break_off(node.treasury)
            raise
        if itinerary is None:
            raise refused
        following = None if client.gone() else itinerary.after(hop, refused, attempt.forwarded, node.loop.time())
        if following is None:
            raise itinerary.verdict(refused)
        attempt.give_way(node.journal)
        hop, wait_s = following
        if wait_s:
            await asyncio.sleep(wait_s)


async def _reserve(
    node: Node,
    edition: Edition,
    call: Call,
    client: Client,
    request: TextRequest,
    lane: Lane,
    permit: Permit,
    attempt: Attempt,
) -> None:
    """Waits for the attempt's hold, and where the budget escalates for an approver too."""

    async def escalate(account: Account, hold_nanos: int, refused: Refused) -> tuple[Lease, int]:
        held = [permit] if call.at_target is None else [permit, call.at_target]
        for place in held:
            place.step_aside()
        try:
            return await node.waiting_room.hold(account, hold_nanos, applicant_of(call, client), refused)
        finally:
            for place in held:
                place.step_back()

    await attempt.reserve(request, lane, edition, node.treasury, escalate)


def _failed(failure: UpstreamFailed) -> Refused:
    if failure.timed_out:
        return Refused(Reason.UPSTREAM_TIMEOUT, f"The provider is too slow: {failure}.")
    return Refused(Reason.UPSTREAM_ERROR, f"The provider failed: {failure}.")


async def _record(node: Node, call: Call) -> None:
    """Writes the call's event, if it has none; an answer that follows implies the row."""
    if not call.recorded:
        node.journal.append(encode_record(call.event(node.loop.time())))
    with suppress(JournalFailed):
        await node.journal.written()
