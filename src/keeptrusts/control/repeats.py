"""Requests with an Idempotency-Key: the first one acts, those after it are told what it was told."""

from typing import TypeVar

import msgspec
from msgspec import Struct

from keeptrusts.control.context import Actor, Tools
from keeptrusts.control.denial import conflict
from keeptrusts.store.books import Books

KEPT_MS = 24 * 3_600_000

T = TypeVar("T")


class Repeat(Struct, frozen=True):
    """A request that may be the repetition of one before: digests (hex) of its key, and of what it asks for."""

    key_digest: str
    request_digest: str


async def answered(books: Books, actor: Actor, repeat: Repeat | None, kind: type[T]) -> T | None:
    """What the request was answered before; None when it comes for the first time, or has no key.

    Raises Denial when the key was used for another request.
    """
    if repeat is None:
        return None
    earlier = await books.repeats.find(actor.actor_id, repeat.key_digest)
    if earlier is None:
        return None
    request_digest, answer = earlier
    if request_digest != repeat.request_digest:
        raise conflict("this Idempotency-Key was used for another request: take a new one", "idempotency_key_reused")
    return msgspec.json.decode(answer, type=kind)


async def remember(books: Books, tools: Tools, actor: Actor, repeat: Repeat | None, answer: T) -> T:
    """Keeps the answer, in the transaction that acted, for a day; and returns it."""
    if repeat is not None:
        now_ms = tools.now_ms()
        await books.repeats.forget_before(now_ms - KEPT_MS)
        text = msgspec.json.encode(answer).decode()
        await books.repeats.add(actor.actor_id, repeat.key_digest, repeat.request_digest, text, now_ms)
    return answer
