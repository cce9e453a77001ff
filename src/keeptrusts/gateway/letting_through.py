"""What a call goes through that policies leave to a person: it steps aside, waits, and goes on only as who it was."""

from collections.abc import Iterable
from hashlib import blake2b

from keeptrusts.core.limits.gate import Permit
from keeptrusts.gateway.call import Call
from keeptrusts.gateway.client import Client
from keeptrusts.gateway.doors import Door
from keeptrusts.gateway.edition import Edition
from keeptrusts.gateway.identify import identify
from keeptrusts.gateway.node import Node
from keeptrusts.gateway.waiting_room import DIGEST_BYTES, Applicant


def applicant_of(call: Call, client: Client) -> Applicant:
    """The call as somebody who asks to be held."""
    caller = call.caller
    return Applicant(
        caller.key_id,
        caller.group,
        caller.display,
        call.asked_model,
        call.call_id,
        call.request_id,
        client.headers.get(b"idempotency-key"),
        client.gone,
        call.held_as,
    )


async def let_through(
    node: Node, edition: Edition, call: Call, client: Client, door: Door, body: bytes, permit: Permit
) -> None:
    """Holds the call until an approver has let it through. Raises Refused, ClientGone.

    It may have waited for an hour: a key that was taken back meanwhile is worth nothing any more.
    """
    permit.step_aside()
    try:
        digest = _digest(edition, call, client, door, body)
        await node.escalations.hold(applicant_of(call, client), call.caller.attribution.team, call.escalated, digest)
    finally:
        permit.step_back()
    _, refusal = identify(node.edition().callers, client)
    if refusal is not None:
        raise refusal.again()


def _digest(edition: Edition, call: Call, client: Client, door: Door, body: bytes) -> str | None:
    """What an approval is of: who asks, under which ``Idempotency-Key``, for what, and what was found in it. Keyed, because who
    reads the ledger could else try out what a short text was. None: nobody can come back for it."""
    key = client.headers.get(b"idempotency-key")
    if not key:
        return None
    digest = blake2b(key=edition.callers.secret_for(b"what an escalated call asks"), digest_size=DIGEST_BYTES)
    caller = call.caller
    who = [caller.key_id or "", caller.group or "", door.name, call.asked_model]
    found = [part for finding in call.escalated for part in finding]
    for part in _parts([*who, *found], key, client.lines(door.passed), body):
        digest.update(part)
    return digest.hexdigest()


def _parts(texts: Iterable[str], *rest: bytes) -> Iterable[bytes]:
    """Each with its length before it, so that no two lists come to the same bytes."""
    for part in [*(text.encode() for text in texts), *rest]:
        yield len(part).to_bytes(8, "big")
        yield part
