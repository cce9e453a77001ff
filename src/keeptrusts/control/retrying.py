"""Doing an operation again that a shared store could not finish: whoever asked does not hear of a race or a lost answer."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from keeptrusts.store.contracts import OutcomeUnknown, StoreAway, StoreConflict

TRIES = 6
FIRST_PAUSE_S = 0.005

T = TypeVar("T")


async def idempotent(work: Callable[[], Awaitable[T]]) -> T:
    """The answer of ``work``, begun again from its first read when another writer was first or the commit's answer was lost.

    Only for work that finds by an id what it has already done: a grant by its grant id, a batch by its place in the journal.
    Raises what the last of ``TRIES`` attempts raised.
    """
    return await _again(work, (StoreConflict, OutcomeUnknown))


async def undone(work: Callable[[], Awaitable[T]]) -> T:
    """The same for any work of one transaction, but begun again only when it is sure that nothing of it happened."""
    return await _again(work, (StoreConflict,))


async def _again(work: Callable[[], Awaitable[T]], passing: tuple[type[StoreAway], ...]) -> T:
    for tried in range(1, TRIES):
        try:
            return await work()
        except passing:
            # Apart from each other, so that those who collided do not collide again.
            await asyncio.sleep(random.uniform(0, FIRST_PAUSE_S * 2**tried))  # noqa: S311
    return await work()
