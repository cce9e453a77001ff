"""What a question means, as a vector of an embeddings target: an attempt of the call like any other, which is held, settled
and told in the call's row."""

import asyncio
import math

import msgspec
from msgspec import Struct

from keeptrusts.clock import NANOS_PER_S
from keeptrusts.core.calls.completions import parse_embedding
from keeptrusts.core.calls.request import encode
from keeptrusts.core.calls.usage import UsageSource
from keeptrusts.core.providers.wire import NoAnswer
from keeptrusts.core.providers.wires import WIRES
from keeptrusts.core.refusal import Refused
from keeptrusts.core.routing.plan import Hop, price_at
from keeptrusts.core.rulebook.rulebook import Embedder
from keeptrusts.gateway.attempt import Attempt
from keeptrusts.gateway.call import Call
from keeptrusts.gateway.edition import Edition, Lane
from keeptrusts.gateway.exchange import UpstreamFailed
from keeptrusts.gateway.node import Node
from keeptrusts.gateway.purse import Account, Lease
from keeptrusts.gateway.target_limits import enter_target, leave_target

MAX_WAIT_S = 5.0
"""Without a vector by then, only an equal question is answered alike."""

MAX_DIMENSIONS = 8_192
LENGTH_MIN, LENGTH_MAX = 1e-6, 1e6
"""A vector says in which direction a text lies; embedders make theirs about 1 long."""


class _Vector(Struct, frozen=True):
    embedding: list[float]


class _Vectors(Struct, frozen=True):
    data: list[_Vector]


_decode = msgspec.json.Decoder(_Vectors).decode


class Meaning:
    """One call's way to the embedder. After ``of``, ``give_way`` before the call makes another attempt."""

    def __init__(self, node: Node, edition: Edition, call: Call, lane: Lane, embedder: Embedder) -> None:
        self._node = node
        self._edition = edition
        self._call = call
        self._lane = lane
        self._embedder = embedder
        self._attempt: Attempt | None = None

    async def of(self, text: str) -> list[float] | None:
        """The text's vector; None when there is no money for it or the target does not give it. Raises Refused for a key that
        was revoked meanwhile."""
        hop = self._hop()
        if hop is None:
            return None
        node, edition, call = self._node, self._edition, self._call
        request = parse_embedding(encode({"model": hop.model, "input": text, "encoding_format": "float"}))
        wire = WIRES[request.door][hop.target.provider]
        attempt = Attempt(call, hop, hop.price or edition.rulebook.unpriced_ceiling, wire)
        attempt.chosen = "semantic cache"
        try:
            if edition.target_gates is not None:
                await enter_target(node, edition, call, request, None, hop)
            await attempt.reserve(request, self._lane, edition, node.treasury, _not_held)
        except Refused:
            leave_target(node, call)
            return None
        self._attempt = attempt
        try:
            attempt.forward(request, edition, b"", node.journal, node.loop.time())
            async with asyncio.timeout(MAX_WAIT_S):
                content = await attempt.answer.whole()
            status = attempt.answer.status
            if status >= 300:
                attempt.void(status, node.treasury)
                return None
            try:
                bill = wire.whole(request, content, call.at_ns // NANOS_PER_S).bill
            except NoAnswer as error:
                raise UpstreamFailed(str(error), sent=True) from None
            if bill.usage is not None:
                attempt.settle(bill, bill.usage, UsageSource.PROVIDER, node.treasury)
            else:
                attempt.settle_unsaid(bill, request, 0, node.treasury)
            attempt.took(node.loop.time())
            return _vector_of(content)
        except UpstreamFailed as failure:
            attempt.fail(failure, node.treasury)
        except TimeoutError:
            attempt.break_off(node.treasury)
        except BaseException:
            attempt.break_off(node.treasury)
            raise
        finally:
            leave_target(node, call)
        return None

    def give_way(self) -> None:
        """The question has no answer yet: the call goes on to buy one."""
        if self._attempt is not None:
            self._attempt.give_way(self._node.journal)
            self._attempt = None

    def _hop(self) -> Hop | None:
        """Where the embedder is; None when it is not to be had, or the policies keep the call's words away from it."""
        edition, embedder, policies = self._edition, self._embedder, self._lane.policies
        if embedder.target not in edition.targets:
            return None
        for target in edition.rulebook.targets:
            if target.id == embedder.target and target.provider in WIRES["embeddings"]:
                hop = Hop(target, embedder.model, price_at(edition.book, target, embedder.model), 0, None)
                return hop if policies is None or policies.may_reach(hop) else None
        return None


async def _not_held(account: Account, hold_nanos: int, refused: Refused) -> tuple[Lease, int]:
    """No approver is asked for a vector."""
    raise refused


def _vector_of(content: bytes) -> list[float] | None:
    try:
        vector = _decode(content).data[0].embedding
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, LookupError):
        return None
    return vector if 0 < len(vector) <= MAX_DIMENSIONS and LENGTH_MIN < math.hypot(*vector) < LENGTH_MAX else None
