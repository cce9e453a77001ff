"""Tickets: calls that did not fit a budget, or that a policy leaves to a person, and are held for an approver; and the states
that they go through."""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from keeptrusts.core.ledger.grant import WalletView

TicketStatus = Literal["waiting", "open", "approved", "denied", "expired", "funded", "redeemed"]
"""``waiting``: a call is held; ``open``: nobody waits any more, a retry may pick it up; ``funded``: money came before an
approver did; ``redeemed``: an approved call took its money, or went on."""

TRANSITIONS: Mapping[TicketStatus, frozenset[TicketStatus]] = {
    "waiting": frozenset({"open", "approved", "denied", "funded", "expired"}),
    "open": frozenset({"waiting", "approved", "denied", "expired"}),
    "approved": frozenset({"redeemed", "funded", "expired"}),
    "denied": frozenset(),
    "expired": frozenset(),
    "funded": frozenset(),
    "redeemed": frozenset(),
}

UNDECIDED: frozenset[TicketStatus] = frozenset({"waiting", "open"})
LIVE: frozenset[TicketStatus] = frozenset({"waiting", "open", "approved"})
"""States that a retry can still make something of."""


class TicketRequest(Struct, frozen=True):
    """A node holds a call, or asks again what became of it. Everything is the node's own, so that asking again is harmless.

    ``idempotency_digest`` is of the caller and its ``Idempotency-Key``: a retry with the same one picks the ticket up.
    ``lease_id`` is the lease that pays for the call when it is approved, journaled before it is asked for.
    """

    ticket_id: str
    lease_id: str
    team_id: str
    also: tuple[str, ...]
    hold_nanos: int
    key_id: str | None
    group: str | None
    model: str
    call_id: str
    request_id: str
    idempotency_digest: str | None = None


class EscalationRequest(Struct, frozen=True):
    """A node holds a call that policies leave to a person, or asks again what became of it. No money is asked for.

    ``policies`` are their names and ``found`` what they found, as the event says it (``keyword_escalated:code-names``): never
    the words themselves. ``idempotency_digest`` is of the caller, its ``Idempotency-Key`` and all that was asked and found: an
    approval is of that, and a retry that asks for anything else has a ticket of its own.
    """

    ticket_id: str
    team_id: str | None
    key_id: str | None
    group: str | None
    model: str
    call_id: str
    request_id: str
    policies: tuple[str, ...]
    found: tuple[str, ...]
    idempotency_digest: str | None = None


class TicketAnswer(Struct, frozen=True):
    """How the ticket stands. ``granted_nanos`` is the whole hold once it is approved, and leased to ``lease_id``. To an
    EscalationRequest ``approved`` says that this call may go on, and that the approval is used by it."""

    ticket_id: str
    status: TicketStatus
    granted_nanos: int
    view: WalletView | None = None


class TicketLeft(Struct, frozen=True):
    """The call does not wait any more: money came (``funded``), or its wait was over (``open``)."""

    ticket_id: str
    status: Literal["funded", "open"]


class Ticket(Struct, frozen=True):
    """A ticket as the store keeps it; ``status`` as last written, see ``standing``. Amounts in nano-USD.

    ``policies`` and ``found`` are JSON lists, and None for a budget's ticket. A policy's ticket has no wallet and no amounts;
    ``used_by`` is the call that its approval let through.
    """

    ticket_id: str
    status: TicketStatus
    team_id: str | None
    wallet_id: str | None
    scopes: str
    key_id: str | None
    consumer_group: str | None
    model: str
    call_id: str
    request_id: str
    idempotency_digest: str | None
    node_id: str
    lease_id: str | None
    hold_nanos: int
    top_up_nanos: int
    created_at_ms: int
    expires_at_ms: int
    decided_at_ms: int | None = None
    actor: str | None = None
    note: str | None = None
    policies: str | None = None
    found: str | None = None
    used_by: str | None = None

    def standing(self, now_ms: int) -> TicketStatus:
        """Its status at this moment: one that nobody decided, or nobody came back for, expires."""
        return "expired" if self.status in LIVE and now_ms >= self.expires_at_ms else self.status
