"""A target's own limits: a call passes over one that is at its limit, and takes its place at the one that serves it."""

from keeptrusts.core.calls.request import TextRequest
from keeptrusts.core.refusal import Refused
from keeptrusts.core.routing.plan import Hop
from keeptrusts.gateway.call import Call
from keeptrusts.gateway.edition import Edition
from keeptrusts.gateway.itinerary import Itinerary
from keeptrusts.gateway.limiting import admit
from keeptrusts.gateway.node import Node


async def enter_target(
    node: Node, edition: Edition, call: Call, request: TextRequest, itinerary: Itinerary | None, hop: Hop
) -> Hop:
    """This hop, or the first one after it whose target has room: the call is charged to it, and ends at the one before.

    Raises Refused, naming the limit, when none has.
    """
    assert edition.target_gates is not None
    leave_target(node, call)
    default, store = edition.rulebook.default_output_tokens, node.meters.store
    while True:
        gate = edition.target_gates[hop.target.id]
        try:
            if store is None:
                call.at_target = admit(gate, request, default, node.now_s())
            else:
                call.at_target = await store.admit(gate, request, default, node.now_s())
        except Refused as refused:
            following = None if itinerary is None else itinerary.instead_of(hop, node.loop.time())
            if following is None:
                raise refused if itinerary is None else itinerary.verdict(refused) from None
            hop = following
        else:
            return hop


def leave_target(node: Node, call: Call) -> None:
    """The call is done at the target that it was charged to, and used there what its last attempt did."""
    permit, call.at_target = call.at_target, None
    if permit is not None:
        permit.leave(call.used_tokens, node.now_s())
