"""The ``Idempotency-Key`` header: with it, a request that was cut off may be sent again without acting twice."""

from collections.abc import Awaitable, Callable
from hashlib import blake2b
from typing import Annotated, TypeVar

from fastapi import Depends, Header, Request

from keeptrusts.control.repeats import Repeat
from keeptrusts.control.retrying import idempotent

DIGEST_BYTES = 16

T = TypeVar("T")


async def the_repeat(
    request: Request, idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None
) -> Repeat | None:
    """What the header says; None without it."""
    if idempotency_key is None:
        return None
    asked = f"{request.method} {request.scope['path']}\n".encode() + await request.body()
    return Repeat(_digest(idempotency_key.encode()), _digest(asked))


def _digest(data: bytes) -> str:
    return blake2b(data, digest_size=DIGEST_BYTES).hexdigest()


async def once(repeat: Repeat | None, work: Callable[[], Awaitable[T]]) -> T:
    """Does the work; with a key it is safe to begin again when the store lost the race or the answer."""
    return await work() if repeat is None else await idempotent(work)


TheRepeat = Annotated[Repeat | None, Depends(the_repeat)]
