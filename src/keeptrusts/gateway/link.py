"""The gateway's view of the control plane: a few methods. ``remote_link.py`` speaks them over HTTP."""

from typing import Protocol

from keeptrusts.core.ledger.grant import GrantAnswer, GrantRequest
from keeptrusts.core.ledger.ticket import EscalationRequest, TicketAnswer, TicketLeft, TicketRequest
from keeptrusts.core.link import Changes, Heartbeat, Lost, Registered, Registration, Shipped, Snapshot


class LinkDown(Exception):
    """The control plane can't be reached, or is not able to answer now: try again later."""


class LinkRefused(Exception):
    """The control plane answered no: ``status`` and a message that says why. Trying again unchanged is useless."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class SequenceGap(Exception):
    """The store has applied the journal up to ``last_seq`` only: ship again from there."""

    def __init__(self, last_seq: int) -> None:
        super().__init__(f"the store is at record {last_seq}")
        self.last_seq = last_seq


class Link(Protocol):
    """What a node asks of the control plane. Every method raises LinkDown or LinkRefused."""

    async def register(self, registration: Registration) -> Registered:
        """Introduces the node; from then on the link speaks as that node."""

    async def introduce(self, registration: Registration) -> None:
        """Says what a node that is known already has become: its rules have changed."""

    async def snapshot(self) -> Snapshot:
        """All keys, and the prices of the node's providers."""

    async def changes(self, heartbeat: Heartbeat) -> Changes:
        """Says that the node lives, and waits (a second at most) for what changed."""

    async def grant(self, request: GrantRequest) -> GrantAnswer:
        """Asks for money of a team's wallet."""

    async def ticket(self, request: TicketRequest) -> TicketAnswer:
        """Asks to hold a call for an approver, or what became of that."""

    async def escalation(self, request: EscalationRequest) -> TicketAnswer:
        """Asks to hold a call that policies leave to a person, or what became of that."""

    async def leave_ticket(self, left: TicketLeft) -> None:
        """Says that a held call does not wait any more."""

    async def ship(self, groups: bytes, first_seq: int, previous_chain: bytes) -> Shipped:
        """Delivers whole journal groups. Raises SequenceGap when earlier ones are missing there."""

    async def report_lost(self, lost: Lost) -> None:
        """Gives the node up: a part of its journal can't be shipped."""

    def close(self) -> None:
        """Lets go of its connections."""
