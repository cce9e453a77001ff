"""Calls that policies leave to a person: a node asks for a ticket, and an approval lets one call through. No money moves.

People decide on these tickets as on a budget's: ``control/tickets.py``.
"""

import msgspec

from keeptrusts.control.context import Control
from keeptrusts.control.denial import invalid
from keeptrusts.control.tickets import TICKET_TTL_MS
from keeptrusts.core.ledger.ticket import LIVE, UNDECIDED, EscalationRequest, Ticket, TicketAnswer
from keeptrusts.store.books import Books

FOUND_MAX = 100
"""More findings than any call has: a ticket is read by people."""


async def ask(control: Control, node_id: str, request: EscalationRequest) -> TicketAnswer:
    """Opens a ticket for a call, or says what became of it. An approval is used by the first call that asks after it; asking
    again is harmless. Raises Denial for a request that makes no sense."""
    if not request.policies or not 0 < len(request.found) <= FOUND_MAX:
        raise invalid(f"an escalation names its policies, and 1 to {FOUND_MAX} findings")
    now_ms = control.tools.now_ms()
    async with control.store.write() as books:
        ticket = await _standing(books, now_ms, request)
        if ticket is None:
            ticket = _opened(node_id, now_ms, request)
            await books.tickets.add(ticket)
        elif ticket.status == "approved":
            ticket = msgspec.structs.replace(ticket, status="redeemed", node_id=node_id, used_by=request.call_id)
            await books.tickets.update(ticket)
        elif ticket.status in UNDECIDED and (ticket.status, ticket.node_id) != ("waiting", node_id):
            ticket = msgspec.structs.replace(ticket, status="waiting", node_id=node_id)
            await books.tickets.update(ticket)
    goes_on = ticket.status == "redeemed" and ticket.used_by == request.call_id
    return TicketAnswer(ticket.ticket_id, "approved" if goes_on else ticket.status, 0)


async def _standing(books: Books, now_ms: int, request: EscalationRequest) -> Ticket | None:
    """The ticket that this request speaks of, if it can still come to something, or was this call's own."""
    own = await books.tickets.find(request.ticket_id)
    if own is not None:
        return msgspec.structs.replace(own, status=own.standing(now_ms))
    if request.idempotency_digest is None:
        return None
    earlier = await books.tickets.of_retry(request.idempotency_digest)
    if earlier is None:
        return None
    standing = earlier.standing(now_ms)
    if standing == "denied" or standing in LIVE or earlier.used_by == request.call_id:
        return msgspec.structs.replace(earlier, status=standing)
    # It came to its end: the key stands for a new ticket from here on.
    await books.tickets.update(msgspec.structs.replace(earlier, idempotency_digest=None))
    return None


def _opened(node_id: str, now_ms: int, request: EscalationRequest) -> Ticket:
    return Ticket(
        ticket_id=request.ticket_id,
        status="waiting",
        team_id=request.team_id,
        wallet_id=None,
        scopes="[]",
        key_id=request.key_id,
        consumer_group=request.group,
        model=request.model,
        call_id=request.call_id,
        request_id=request.request_id,
        idempotency_digest=request.idempotency_digest,
        node_id=node_id,
        lease_id=None,
        hold_nanos=0,
        top_up_nanos=0,
        created_at_ms=now_ms,
        expires_at_ms=now_ms + TICKET_TTL_MS,
        policies=msgspec.json.encode(request.policies).decode(),
        found=msgspec.json.encode(request.found).decode(),
    )
