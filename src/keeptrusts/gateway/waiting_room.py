"""Where calls are held that a budget can't pay for and an approver may let through: bounded, visible, and each with an end.

A held call goes on when an approver says so or when money arrives, and is refused when it is denied, when its wait is over,
when its client has gone, or when the gateway stops.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import blake2b

from msgspec import Struct

from keeptrusts.core.ledger.records import Granted, LeaseIntent, encode_record
from keeptrusts.core.ledger.ticket import TicketAnswer, TicketLeft, TicketRequest
from keeptrusts.core.link import WalletChange
from keeptrusts.core.refusal import Reason, Refused
from keeptrusts.gateway.journal import Journal, JournalFailed
from keeptrusts.gateway.link import Link, LinkDown, LinkRefused
from keeptrusts.gateway.purse import Account, Lease
from keeptrusts.gateway.purse_refill import Treasury
from keeptrusts.gateway.refusals import unwritten
from keeptrusts.gateway.shortage import AWAY, unverifiable

LOOK_AGAIN_S = 2.0
"""How often a held call looks by itself whether it was decided: news may have been lost."""

FUNDS_WAIT_S = 1.0
"""How long a held call stands in line for money that has arrived."""

DIGEST_BYTES = 16


class Applicant(Struct, frozen=True):
    """Who asks to be held, and for what. ``gone`` says whether the client has hung up; ``held_as`` hears the ticket's id."""

    key_id: str | None
    group: str | None
    display: str
    model: str
    call_id: str
    request_id: str
    idempotency_key: bytes | None
    gone: Callable[[], bool]
    held_as: Callable[[str], None]

    @property
    def idempotency_digest(self) -> str | None:
        """Names the retry without saying what the client sent; None when it sent no ``Idempotency-Key``."""
        if not self.idempotency_key:
            return None
        who = f"{self.key_id}\0{self.group}\0".encode()
        return blake2b(who + self.idempotency_key, digest_size=DIGEST_BYTES).hexdigest()


class _Held:
    """One held call, and what wakes it."""

    __slots__ = ("account", "news", "request")

    def __init__(self, account: Account, request: TicketRequest) -> None:
        self.account = account
        self.request = request
        self.news = asyncio.Event()


class WaitingRoom:
    """All held calls of the node: at most ``bound``, each for ``wait_s`` seconds at most. ``guests`` are those that are held for
    another reason than money (``escalations.py``)."""

    def __init__(
        self,
        treasury: Treasury,
        journal: Journal,
        link: Link | None,
        new_id: Callable[[str], str],
        wait_s: float,
        bound: int,
        now_ns: Callable[[], int],
    ) -> None:
        self._treasury = treasury
        self._journal = journal
        self._link = link
        self._new_id = new_id
        self.wait_s = wait_s
        self.guests = 0
        self.closed = False
        self._bound = bound
        self._now_ns = now_ns
        self._held: dict[str, _Held] = {}

    def bounded(self, wait_s: float, bound: int) -> None:
        """From now on calls are held for so long, and so many; those that are held already keep their time."""
        self.wait_s = wait_s
        self._bound = bound

    def __len__(self) -> int:
        """How many calls are held."""
        return len(self._held) + self.guests

    @property
    def full(self) -> bool:
        """Whether as many calls are held as may be."""
        return len(self) >= self._bound

    async def hold(self, account: Account, hold_nanos: int, who: Applicant, refused: Refused) -> tuple[Lease, int]:
        """Holds a call that ``refused`` would end; returns the lease and the hold taken, as Treasury.wait does.

        Raises Refused: the same with the ticket's id when nothing came in time, BUDGET_UNVERIFIABLE when the store can't be
        asked, JOURNAL_FAILED.
        """
        link = self._link
        if link is None or self.closed or self.full:
            raise refused
        request = TicketRequest(
            self._new_id("tkt"),
            self._new_id("lse"),
            account.team_id,
            account.also,
            hold_nanos,
            who.key_id,
            who.group,
            who.model,
            who.call_id,
            who.request_id,
            who.idempotency_digest,
        )
        held = self._held[request.ticket_id] = _Held(account, request)
        try:
            return await self._wait(link, held, who, refused)
        finally:
            self._held.pop(held.request.ticket_id, None)

    async def _wait(self, link: Link, held: _Held, who: Applicant, refused: Refused) -> tuple[Lease, int]:
        loop = asyncio.get_running_loop()
        ends = loop.time() + self.wait_s
        self._journal.append(encode_record(LeaseIntent(held.request.lease_id, held.request.team_id)))
        try:
            await self._journal.written()
        except JournalFailed:
            raise unwritten() from None
        ticket_id = held.request.ticket_id
        try:
            while True:
                answer = await self._ask(link, held)
                who.held_as(answer.ticket_id)
                ticket_id = answer.ticket_id
                if answer.granted_nanos:
                    return self._approved(held, answer), answer.granted_nanos
                if answer.status not in ("waiting", "open", "approved"):
                    raise _ended(refused, answer)
                if who.gone() or self.closed or loop.time() >= ends:
                    break
                if await self._news(held, ends) and (lease := await self._funded(held, who)):
                    try:
                        await self._leave(link, TicketLeft(ticket_id, "funded"))
                    except asyncio.CancelledError:
                        self._treasury.purse.close(held.account, *lease, 0)
                        raise
                    return lease
        except asyncio.CancelledError:
            self._give_back(held)
            raise
        except Refused:
            self._give_back(held)
            raise
        self._give_back(held)
        await self._leave(link, TicketLeft(ticket_id, "open"))
        raise _with_ticket(refused, ticket_id, "held, and not decided in time")

    async def _ask(self, link: Link, held: _Held) -> TicketAnswer:
        try:
            answer = await link.ticket(held.request)
        except LinkDown:
            raise unverifiable(AWAY) from None
        except LinkRefused as error:
            raise unverifiable(f"The budget can't be verified right now: {error}") from None
        if answer.ticket_id != held.request.ticket_id:
            # A retry has picked up an earlier ticket: news will be of that one.
            self._held.pop(held.request.ticket_id, None)
            self._held[answer.ticket_id] = held
        return answer

    def _approved(self, held: _Held, answer: TicketAnswer) -> Lease:
        """The hold is leased for this call alone: the lease ends with it."""
        account, request = held.account, held.request
        nanos = answer.granted_nanos
        self._journal.append(
            encode_record(
                Granted(answer.ticket_id, request.lease_id, nanos, account.team_id, account.also, self._now_ns())
            )
        )
        self._treasury.grants_noted += 1
        lease = Lease(request.lease_id, account.team_id)
        lease.granted = lease.held = nanos
        lease.draining = True
        account.draining[lease.lease_id] = lease
        account.in_flight += 1
        self._held.pop(answer.ticket_id, None)
        return lease

    async def _news(self, held: _Held, ends: float) -> bool:
        """Waits until something changed (True), or for a while."""
        left_s = ends - asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(max(0.0, min(LOOK_AGAIN_S, left_s))):
                await held.news.wait()
        except TimeoutError:
            return False
        held.news.clear()
        return True

    async def _funded(self, held: _Held, who: Applicant) -> tuple[Lease, int] | None:
        """The hold, if the budget can pay for it now. The lease that an approval would have used is given up then."""
        account, hold = held.account, held.request.hold_nanos
        try:
            lease = self._treasury.purse.take(account, hold)
            found = (
                (lease, hold)
                if lease is not None
                else await self._treasury.wait(account, hold, None, FUNDS_WAIT_S, self._bound, who.display)
            )
        except Refused:
            return None
        self._give_back(held)
        return found

    def _give_back(self, held: _Held) -> None:
        """No approval will use the call's own lease any more: a grant that was not heard of ends with it."""
        self._treasury.give_up(held.request.lease_id, held.request.team_id)

    async def _leave(self, link: Link, left: TicketLeft) -> None:
        with suppress(LinkDown, LinkRefused):
            await link.leave_ticket(left)

    def announced(self) -> list[tuple[str, str]]:
        """The leases that held calls may be paid from, each with its team: the journal must not forget them."""
        return [(held.request.lease_id, held.request.team_id) for held in self._held.values()]

    def decided(self, ticket_ids: Sequence[str]) -> None:
        """Approvers have spoken."""
        for ticket_id in ticket_ids:
            if (held := self._held.get(ticket_id)) is not None:
                held.news.set()

    def wallet_changed(self, change: WalletChange) -> None:
        """A wallet changed: whoever is held for want of its money tries again."""
        for held in self._held.values():
            if held.account.concerns(change.wallet_id, change.name):
                held.news.set()

    def close(self) -> None:
        """The gateway stops: held calls are refused now, and nobody else is held."""
        self.closed = True
        for held in self._held.values():
            held.news.set()


def _with_ticket(refused: Refused, ticket_id: str, what: str) -> Refused:
    return Refused(
        refused.reason, f"{refused.message} (ticket {ticket_id}: {what})", {**refused.details, "ticket": ticket_id}
    )


def _ended(refused: Refused, answer: TicketAnswer) -> Refused:
    if answer.status == "denied":
        return Refused(
            Reason.COST_DENIED,
            f"An approver has refused this call (ticket {answer.ticket_id}).",
            {**refused.details, "ticket": answer.ticket_id},
        )
    return _with_ticket(refused, answer.ticket_id, answer.status)
