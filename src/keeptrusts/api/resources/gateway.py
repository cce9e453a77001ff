"""The machine routes: what gateway nodes ask. The shapes are those of ``core/link.py``, the batches journal groups as bytes."""

from typing import Annotated, TypeVar

import msgspec
from fastapi import Header, Request
from starlette.responses import Response

from keeptrusts.api.access import TheActor, TheControl
from keeptrusts.api.errors import ApiError, bad_request
from keeptrusts.api.exact_json import read_body
from keeptrusts.control import batches, escalations, leases, nodes, recovery, retirement, tickets
from keeptrusts.control.journal_reading import JournalFork, JournalGap
from keeptrusts.control.retrying import idempotent
from keeptrusts.core.ledger.grant import GrantRequest
from keeptrusts.core.ledger.journal_format import DamagedJournal
from keeptrusts.core.ledger.ticket import EscalationRequest, TicketLeft, TicketRequest
from keeptrusts.core.link import Heartbeat, Lost, Registration, Shipped

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
MAX_BATCH_BYTES = 64 * 1024 * 1024
CHAIN_HEX = 32
MAX_WHY = 500

T = TypeVar("T")


async def register(request: Request, control: TheControl) -> Response:
    """A gateway introduces itself with an administrator's token and gets one of its own."""
    return _json(await nodes.register(control, await _read(request, Registration)))


async def introduce(request: Request, control: TheControl, actor: TheActor) -> Response:
    """The rules of a gateway that is known have changed: its groups, thresholds and spend controls are these from now on."""
    said = await _read(request, Registration)
    if said.node_id != actor.actor_id:
        raise bad_request("A node introduces itself alone: node_id must be its own")
    await idempotent(lambda: nodes.introduce(control, said))
    return _json(said)


async def snapshot(control: TheControl, actor: TheActor) -> Response:
    """All keys, and the prices of the node's providers."""
    return _json(await nodes.snapshot(control, actor.actor_id))


async def heartbeat(request: Request, control: TheControl, actor: TheActor) -> Response:
    """A sign of life; answered as soon as something changed, one second later at the latest."""
    return _json(await nodes.heartbeat(control, actor.actor_id, await _read(request, Heartbeat)))


async def grant(request: Request, control: TheControl, actor: TheActor) -> Response:
    """Money of a team's wallet for the node to spend from."""
    wanted = await _read(request, GrantRequest)
    terms = await nodes.terms_of(control, actor.actor_id)
    return _json(
        await recovery.granting(control, idempotent(lambda: leases.grant(control.store, control.tools, terms, wanted)))
    )


async def ticket(request: Request, control: TheControl, actor: TheActor) -> Response:
    """A call is held for an approver, or asks again what became of it."""
    wanted = await _read(request, TicketRequest)
    terms = await nodes.terms_of(control, actor.actor_id)
    return _json(await idempotent(lambda: tickets.ask(control, terms, wanted)))


async def escalation(request: Request, control: TheControl, actor: TheActor) -> Response:
    """A call is held that policies leave to a person, or asks again what became of it."""
    wanted = await _read(request, EscalationRequest)
    return _json(await idempotent(lambda: escalations.ask(control, actor.actor_id, wanted)))


async def leave_ticket(request: Request, control: TheControl, actor: TheActor) -> Response:
    """A held call does not wait any more."""
    left = await _read(request, TicketLeft)
    await idempotent(lambda: tickets.leave(control, actor.actor_id, left))
    return _json(left)


async def ship(
    request: Request,
    control: TheControl,
    actor: TheActor,
    x_journal_first_seq: Annotated[int, Header(ge=1)],
    x_journal_previous_chain: Annotated[str, Header(min_length=CHAIN_HEX, max_length=CHAIN_HEX)],
) -> Response:
    """Whole groups of the node's journal, applied once and in order."""
    try:
        chain = bytes.fromhex(x_journal_previous_chain)
    except ValueError:
        raise bad_request("x-journal-previous-chain must be 32 hexadecimal digits") from None
    data = await read_body(request, MAX_BATCH_BYTES)
    terms = await nodes.terms_of(control, actor.actor_id)
    try:
        async with control.shipments:
            last_seq = await idempotent(
                lambda: batches.apply_batch(control.store, control.tools, terms, data, x_journal_first_seq, chain)
            )
    except JournalGap as gap:
        raise ApiError(409, "conflict_error", "journal_gap", str(gap), {"last_seq": gap.last_seq}) from None
    except JournalFork as fork:
        raise ApiError(422, "conflict_error", "journal_fork", str(fork)) from None
    except DamagedJournal as damage:
        raise bad_request(str(damage), "journal_damaged") from None
    return _json(Shipped(last_seq))


async def lost(request: Request, control: TheControl, actor: TheActor) -> Response:
    """Whoever holds the node's journal can't ship all of it: the node is given up."""
    said = await _read(request, Lost)
    await idempotent(lambda: retirement.report_lost(control, actor.actor_id, said.why[:MAX_WHY]))
    return _json(said)


async def _read(request: Request, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(await read_body(request, MAX_MESSAGE_BYTES), type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise bad_request(f"The body is not what this route takes: {error}", "invalid_json") from None


def _json(value: msgspec.Struct) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
