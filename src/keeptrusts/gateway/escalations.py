"""Where calls are held that policies leave to a person: a ticket says who asks for what, and an approver lets the call through or
not. They count among the held calls of the node (``waiting_room.py``), hold no money, and each has an end.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec

from keeptrusts.core.ledger.ticket import EscalationRequest, TicketAnswer, TicketLeft
from keeptrusts.core.refusal import Reason, Refused
from keeptrusts.gateway.flights import ClientGone
from keeptrusts.gateway.link import Link, LinkDown, LinkRefused
from keeptrusts.gateway.waiting_room import LOOK_AGAIN_S, Applicant, WaitingRoom

FOUND_MAX = 32
"""So many findings are told to the approver."""

ALONE = "This gateway has no control plane where an approver could let it through."
AWAY = "The approvers can't be asked now: the control plane is out of reach."
STOPPING = "This gateway is stopping, and holds no more calls."
CROWDED = "As many calls as may be (gateway.max_held_calls) wait for an approver already."


class _Held:
    """One held call, and what wakes it. ``ticket_id`` None: the control plane has not answered yet."""

    __slots__ = ("news", "request", "ticket_id")

    def __init__(self, request: EscalationRequest) -> None:
        self.request = request
        self.ticket_id: str | None = None
        self.news = asyncio.Event()


class Escalations:
    """All calls of the node that wait for a person because of policies. ``room`` bounds them, and how long they wait."""

    def __init__(self, room: WaitingRoom, link: Link | None, new_id: Callable[[str], str]) -> None:
        self._room = room
        self._link = link
        self._new_id = new_id
        self._held: set[_Held] = set()

    async def hold(
        self, who: Applicant, team_id: str | None, escalated: Sequence[tuple[str, str]], digest: str | None
    ) -> None:
        """Returns when an approver lets the call through. ``escalated`` is each policy and what it found, ``digest`` what an
        approval is of. Raises Refused: POLICY_VIOLATION with the ticket's id when it is denied or nobody decides in time,
        POLICY_UNAVAILABLE when nobody can be asked; and ClientGone."""
        policies = tuple(dict.fromkeys(policy for policy, _ in escalated))
        if (link := self._link) is None:
            raise _unasked(policies, ALONE)
        if self._room.closed:
            raise _unasked(policies, STOPPING)
        if self._room.full:
            raise _unasked(policies, CROWDED)
        found = tuple(dict.fromkeys(action for _, action in escalated))[:FOUND_MAX]
        held = _Held(
            EscalationRequest(
                self._new_id("tkt"),
                team_id,
                who.key_id,
                who.group,
                who.model,
                who.call_id,
                who.request_id,
                policies,
                found,
                digest,
            )
        )
        self._held.add(held)
        self._room.guests += 1
        try:
            await self._wait(link, held, who)
        finally:
            self._room.guests -= 1
            self._held.discard(held)

    async def _wait(self, link: Link, held: _Held, who: Applicant) -> None:
        loop = asyncio.get_running_loop()
        ends = loop.time() + self._room.wait_s
        while True:
            answer = await self._ask(link, held, who)
            if answer is not None and answer.status == "approved":
                return
            if answer is not None and answer.status not in ("waiting", "open"):
                raise _refused(held, _ENDS.get(answer.status, f"it is {answer.status}"))
            if who.gone() or self._room.closed or loop.time() >= ends:
                break
            await _news(held, min(LOOK_AGAIN_S, ends - loop.time()))
            if who.gone():
                # To ask once more could use an approval up that its retry needs.
                break
        if held.ticket_id is not None:
            with suppress(LinkDown, LinkRefused):
                await link.leave_ticket(TicketLeft(held.ticket_id, "open"))
        if who.gone():
            raise ClientGone
        if answer is None:
            raise _unasked(held.request.policies, AWAY, held.ticket_id)
        raise _refused(held, STOPPING if self._room.closed else "nobody decided in time")

    async def _ask(self, link: Link, held: _Held, who: Applicant) -> TicketAnswer | None:
        """How the ticket stands; None: the control plane is away, which a call that has its ticket outlives."""
        try:
            answer = await link.escalation(held.request)
        except LinkDown:
            if held.ticket_id is None:
                raise _unasked(held.request.policies, AWAY) from None
            return None
        except LinkRefused as error:
            raise _unasked(
                held.request.policies, f"The control plane refused to ask one: {error}", held.ticket_id
            ) from None
        if held.ticket_id is None:
            # A retry has picked up an earlier ticket: from here on it is asked for by its id.
            held.request = msgspec.structs.replace(held.request, ticket_id=answer.ticket_id)
        held.ticket_id = answer.ticket_id
        who.held_as(answer.ticket_id)
        return answer

    def decided(self, ticket_ids: Sequence[str]) -> None:
        """Approvers have spoken."""
        for held in self._held:
            if held.ticket_id in ticket_ids:
                held.news.set()

    def close(self) -> None:
        """The gateway stops, and so has the room: who is held is refused now."""
        for held in self._held:
            held.news.set()


_ENDS = {
    "denied": "an approver has refused it",
    "expired": "nobody decided in time",
    "redeemed": "another call with its Idempotency-Key was let through",
}


async def _news(held: _Held, within_s: float) -> None:
    """Waits until something changed, or so long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(max(0.0, within_s)):
            await held.news.wait()
    held.news.clear()


def _refused(held: _Held, why: str) -> Refused:
    policies = held.request.policies
    message = (
        f"The request was held by the policy {policies[0]!r}, and not let through (ticket {held.ticket_id}): {why}"
    )
    details = {"policy": policies[0], "phase": "input", "ticket": held.ticket_id}
    return Refused(Reason.POLICY_VIOLATION, f"{message.rstrip('.')}.", details)


def _unasked(policies: Sequence[str], why: str, ticket_id: str | None = None) -> Refused:
    details = {"policy": policies[0], "phase": "input"} | ({} if ticket_id is None else {"ticket": ticket_id})
    message = f"The policy {policies[0]!r} leaves this request to a person. {why}"
    return Refused(Reason.POLICY_UNAVAILABLE, message, details)
