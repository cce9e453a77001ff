"""Held calls: a node asks for a ticket, an approver lets the call through or not, an approved call takes its money."""

import msgspec

from keeptrusts.control import wallet_moves
from keeptrusts.control.alerts import alert_row
from keeptrusts.control.audit import note
from keeptrusts.control.context import Actor, Control, NodeTerms, Tools
from keeptrusts.control.denial import conflict, invalid, not_found
from keeptrusts.control.ways import Way, bounds_of, entered_at, open_way, wallets_of_way
from keeptrusts.core.ledger.grant import tightest
from keeptrusts.core.ledger.posting import LeaseBook
from keeptrusts.core.ledger.standing import leading
from keeptrusts.core.ledger.ticket import LIVE, UNDECIDED, Ticket, TicketAnswer, TicketLeft, TicketRequest
from keeptrusts.core.money import MAX_NANOS, usd_text
from keeptrusts.store.books import Books

TICKET_TTL_MS = 3_600_000
"""How long a ticket can be decided, and an approved one be redeemed."""

BEFORE_ALL = "tkt_~"
"""Sorts after every ticket id."""


async def ask(control: Control, terms: NodeTerms, request: TicketRequest) -> TicketAnswer:
    """Opens a ticket for a held call, or says what became of it; an approved one is redeemed here: its hold is leased to the
    node, above the budget. Asking again is harmless. Raises Denial for a request that makes no sense."""
    if not 0 < request.hold_nanos <= MAX_NANOS:
        raise invalid("hold_nanos must be above 0")
    tools = control.tools
    async with control.store.write() as books:
        ticket = await _standing(books, tools, request)
        wallets = await wallets_of_way(books.wallets, request.team_id, request.also)
        way = await open_way(books, wallets, tools.now(), terms.alive | {terms.node_id})
        if not way.lines:
            raise invalid(f"team {request.team_id} has no budget that the call could wait for")
        if ticket is None:
            ticket = await _open(books, tools, terms, request, way)
        elif ticket.status == "approved" and (paid_to := await books.leases.granted(ticket.ticket_id)) is not None:
            # Redeemed before this store was restored to an older state: the journal has made its grant again.
            ticket = msgspec.structs.replace(ticket, status="redeemed", lease_id=paid_to[0])
            await books.tickets.update(ticket)
        elif ticket.status == "approved":
            # A wallet that was frozen meanwhile pays for nothing: the call keeps waiting, and goes on when the wallet does.
            if way.stopped is None:
                ticket = await _redeem(books, tools, terms, request, ticket, way)
        elif ticket.status in UNDECIDED and (ticket.status, ticket.node_id) != ("waiting", terms.node_id):
            ticket = msgspec.structs.replace(ticket, status="waiting", node_id=terms.node_id)
            await books.tickets.update(ticket)
        paid = ticket.status == "redeemed" and ticket.lease_id == request.lease_id
        return TicketAnswer(ticket.ticket_id, ticket.status, ticket.hold_nanos if paid else 0)


async def _standing(books: Books, tools: Tools, request: TicketRequest) -> Ticket | None:
    """The ticket that this request speaks of, if it can still come to something, or was the request's own."""
    own = await books.tickets.find(request.ticket_id)
    if own is not None:
        return msgspec.structs.replace(own, status=own.standing(tools.now_ms()))
    if request.idempotency_digest is None:
        return None
    earlier = await books.tickets.of_retry(request.idempotency_digest)
    if earlier is None:
        return None
    standing = earlier.standing(tools.now_ms())
    if standing == "denied" or (standing in LIVE and request.hold_nanos <= earlier.hold_nanos):
        return msgspec.structs.replace(earlier, status=standing)
    # It came to its end, or this call costs more than was asked for: the key stands for a new ticket from here on.
    await books.tickets.update(msgspec.structs.replace(earlier, idempotency_digest=None))
    return None


async def _open(books: Books, tools: Tools, terms: NodeTerms, request: TicketRequest, way: Way) -> Ticket:
    bound = tightest(await bounds_of(books, way, terms, tools.now()))
    now_ms = tools.now_ms()
    ticket = Ticket(
        ticket_id=request.ticket_id,
        status="waiting",
        team_id=request.team_id,
        wallet_id=bound.wallet.wallet_id,
        scopes=msgspec.json.encode(request.also).decode(),
        key_id=request.key_id,
        consumer_group=request.group,
        model=request.model,
        call_id=request.call_id,
        request_id=request.request_id,
        idempotency_digest=request.idempotency_digest,
        node_id=terms.node_id,
        lease_id=None,
        hold_nanos=request.hold_nanos,
        top_up_nanos=0,
        created_at_ms=now_ms,
        expires_at_ms=now_ms + TICKET_TTL_MS,
    )
    await books.tickets.add(ticket)
    details: dict[str, object] = {
        "action": "escalate",
        "ticket": ticket.ticket_id,
        "needed": usd_text(ticket.hold_nanos),
    }
    await books.events.add_all([alert_row(tools, terms.node_id, bound.wallet, bound.period, details)])
    return ticket


async def _redeem(
    books: Books, tools: Tools, terms: NodeTerms, request: TicketRequest, ticket: Ticket, way: Way
) -> Ticket:
    """Every account of the way bears the whole hold above its limit, so that the budget stays to the others."""
    entered = entered_at([accounts.wallet for accounts in way.accounts if accounts.periods])
    wallet_id = way.lines[0].wallet_id if entered is None else entered.wallet_id
    hold = ticket.hold_nanos
    lease = LeaseBook(request.lease_id, terms.node_id, wallet_id, hold, 0, 0, closed=False, ticket_id=ticket.ticket_id)
    await books.leases.add(lease, way.lines, tools.now_ms())
    await books.leases.add_grant(ticket.ticket_id, request.lease_id, hold, tools.now_ms())
    for line in way.lines:
        await books.wallets.approve(line, hold)
        await books.wallets.lease_out(line, hold, None)
    redeemed = msgspec.structs.replace(ticket, status="redeemed", node_id=terms.node_id, lease_id=request.lease_id)
    await books.tickets.update(redeemed)
    return redeemed


async def leave(control: Control, node_id: str, left: TicketLeft) -> None:
    """The call does not wait any more. Nothing happens to a ticket that was decided meanwhile."""
    async with control.store.write() as books:
        ticket = await books.tickets.find(left.ticket_id)
        if ticket is None or ticket.node_id != node_id:
            return
        if ticket.status == "waiting" or (ticket.status == "approved" and left.status == "funded"):
            await books.tickets.update(msgspec.structs.replace(ticket, status=left.status))


async def decide(
    control: Control, actor: Actor, ticket_id: str, *, approve: bool, top_up_nanos: int, why: str | None
) -> Ticket:
    """Lets the held call through, above its budget, or not; ``top_up_nanos`` is credited to the wallet besides.

    Raises Denial when there is no such ticket, when it is decided or expired, or when its wallet can't be credited: a policy's
    ticket has none, and approving it moves no money.
    """
    tools = control.tools
    async with control.store.read() as books:
        found = await _found(books, ticket_id)
        wallet = None if found.wallet_id is None else await books.wallets.by_id(found.wallet_id)
    if top_up_nanos and wallet is None:
        raise invalid(f"ticket {ticket_id} is a policy's: there is no wallet to top up")
    async with control.store.write() as books:
        ticket = await _found(books, ticket_id)
        standing = ticket.standing(tools.now_ms())
        if standing not in UNDECIDED:
            raise conflict(f"ticket {ticket_id} is {standing}: there is nothing to decide", "ticket_decided")
        decided = msgspec.structs.replace(
            ticket,
            status="approved" if approve else "denied",
            top_up_nanos=top_up_nanos,
            decided_at_ms=tools.now_ms(),
            expires_at_ms=tools.now_ms() + TICKET_TTL_MS,
            actor=actor.actor_id,
            note=why,
        )
        if top_up_nanos and wallet is not None:
            await _top_up(control, actor, books, wallet.wallet_id, top_up_nanos, ticket_id)
        await books.tickets.update(decided)
        await books.changes.add("ticket", ticket_id)
        verb = "ticket.approve" if approve else "ticket.deny"
        said: dict[str, object] = {"hold_nanos": ticket.hold_nanos, "top_up_nanos": top_up_nanos, "note": why}
        if ticket.found is not None:
            said = {"found": msgspec.json.decode(ticket.found), "note": why}
        await note(books, tools, actor, verb, ticket_id, {"status": standing}, said)
        return decided


async def _top_up(control: Control, actor: Actor, books: Books, wallet_id: str, nanos: int, ticket_id: str) -> None:
    wallet = await books.wallets.by_id(wallet_id)
    assert wallet is not None, "wallets are never deleted"
    way = await open_way(books, [wallet], control.tools.now(), frozenset())
    if not way.periods:
        raise conflict(f"{wallet.name} has no budget that could be topped up: allocate one", "wallet_not_found")
    await wallet_moves.credit_in(
        control, actor, books, wallet, nanos, leading(way.periods).kind, f"approved ticket {ticket_id}"
    )


async def get(control: Control, ticket_id: str) -> Ticket:
    """The ticket. Raises Denial when there is none."""
    async with control.store.read() as books:
        return await _found(books, ticket_id)


async def page(control: Control, *, live: bool, before_id: str | None, limit: int) -> list[Ticket]:
    """The newest tickets; ``live``: only those that can still come to something."""
    async with control.store.read() as books:
        now_ms = control.tools.now_ms() if live else None
        return await books.tickets.newest(LIVE if live else (), now_ms, before_id or BEFORE_ALL, limit)


async def _found(books: Books, ticket_id: str) -> Ticket:
    ticket = await books.tickets.find(ticket_id)
    if ticket is None:
        raise not_found(f"there is no ticket {ticket_id!r}", "ticket_not_found")
    return ticket
