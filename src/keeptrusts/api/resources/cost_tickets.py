"""``/v1/cost-tickets``: calls that are held because a budget can't pay for them, or because a policy leaves them to a person,
and the approver's word on them."""

from decimal import Decimal
from typing import Annotated, Literal

import msgspec
from fastapi import Query
from pydantic import BaseModel
from starlette.responses import Response

from keeptrusts.api.access import TheActor, TheControl
from keeptrusts.api.exact_json import answer
from keeptrusts.api.shapes import PAGE_DEFAULT, PAGE_MAX, AmountNanos, Shape, Text, Usd, rfc3339
from keeptrusts.clock import instant_at_ms
from keeptrusts.control import tickets
from keeptrusts.control.context import Control
from keeptrusts.core.ledger.ticket import Ticket, TicketStatus
from keeptrusts.core.money import usd


class Approval(Shape):
    """Lets the held call through, above its budget; ``top_up`` is credited to its wallet besides: a policy's ticket has none."""

    top_up: AmountNanos = 0
    note: Text | None = None


class Refusal(Shape):
    """Refuses the held call."""

    note: Text | None = None


class TicketShape(BaseModel):
    """A held call. A budget's: ``needed`` is the most that it can cost, ``wallet_id`` the wallet that could not pay for it.
    A policy's (``kind``): ``policies`` are their names, ``found`` is what they found, as the event says it, and ``used_by`` the
    event of the call that its approval let through."""

    id: str
    kind: Literal["budget", "policy"]
    status: TicketStatus
    team_id: str | None
    wallet_id: str | None
    key_id: str | None
    consumer_group: str | None
    model: str
    request_id: str
    event_id: str
    node_id: str
    policies: list[str]
    found: list[str]
    used_by: str | None
    needed: Usd | None
    top_up: Usd
    created_at: str
    expires_at: str
    decided_at: str | None
    actor: str | None
    note: str | None


class TicketPage(BaseModel):
    """The newest first."""

    data: list[TicketShape]
    next_cursor: str | None


async def list_tickets(
    control: TheControl,
    status: Annotated[
        str, Query(pattern="^(live|all)$", description="live: those that can still be decided or used.")
    ] = "live",
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE_DEFAULT,
    cursor: Annotated[str | None, Query(max_length=100)] = None,
) -> Response:
    """Held calls, the newest first."""
    found = await tickets.page(control, live=status == "live", before_id=cursor, limit=limit + 1)
    page = found[:limit]
    more = page[-1].ticket_id if len(found) > limit else None
    return answer({"data": [_shown(control, ticket).model_dump() for ticket in page], "next_cursor": more})


async def get(control: TheControl, ticket_id: str) -> Response:
    """One held call."""
    return answer(_shown(control, await tickets.get(control, ticket_id)))


async def approve(control: TheControl, actor: TheActor, ticket_id: str, body: Approval) -> Response:
    """Let a held call through, once, and top its wallet up if asked to."""
    found = await tickets.decide(control, actor, ticket_id, approve=True, top_up_nanos=body.top_up, why=body.note)
    return answer(_shown(control, found))


async def deny(control: TheControl, actor: TheActor, ticket_id: str, body: Refusal) -> Response:
    """Refuse a held call."""
    return answer(
        _shown(control, await tickets.decide(control, actor, ticket_id, approve=False, top_up_nanos=0, why=body.note))
    )


def _shown(control: Control, ticket: Ticket) -> TicketShape:
    needed: Decimal | None = None if ticket.found is not None else usd(ticket.hold_nanos)
    return TicketShape(
        id=ticket.ticket_id,
        kind="budget" if ticket.found is None else "policy",
        status=ticket.standing(control.tools.now_ms()),
        team_id=ticket.team_id,
        wallet_id=ticket.wallet_id,
        key_id=ticket.key_id,
        consumer_group=ticket.consumer_group,
        model=ticket.model,
        request_id=ticket.request_id,
        event_id=ticket.call_id,
        node_id=ticket.node_id,
        policies=msgspec.json.decode(ticket.policies or "[]"),
        found=msgspec.json.decode(ticket.found or "[]"),
        used_by=ticket.used_by,
        needed=needed,
        top_up=usd(ticket.top_up_nanos),
        created_at=rfc3339(instant_at_ms(ticket.created_at_ms)),
        expires_at=rfc3339(instant_at_ms(ticket.expires_at_ms)),
        decided_at=None if ticket.decided_at_ms is None else rfc3339(instant_at_ms(ticket.decided_at_ms)),
        actor=ticket.actor,
        note=ticket.note,
    )
