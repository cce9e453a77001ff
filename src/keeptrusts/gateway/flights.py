"""Calls under way that equal calls wait for, in place of being made again."""

import asyncio
from collections.abc import Callable
from enum import Enum

from keeptrusts.core.refusal import Refused
from keeptrusts.gateway.cache import Kept

LOOK_S = 1.0
"""How often a call that waits looks whether its client is still there."""


class Landing(Enum):
    """How a flight ends that has no answer to share."""

    FAILED = "one of those who waited goes next, and the others wait for that"
    OWN = "everybody goes alone: such answers can't be shared"


class ClientGone(Exception):
    """Nobody waits for the answer any more, and nothing was sent for it."""


class Flight:
    """A call under way. ``land`` ends it, for all who wait, once."""

    __slots__ = ("_landed",)

    def __init__(self) -> None:
        self._landed: asyncio.Future[Kept | Refused | Landing] = asyncio.get_running_loop().create_future()

    def land(self, outcome: Kept | Refused | Landing) -> None:
        """Tells all who wait."""
        if not self._landed.done():
            self._landed.set_result(outcome)

    async def wait(self, gone: Callable[[], bool], until: float | None) -> Kept | Refused | Landing | None:
        """How it ended, or None when it has not by then (on the loop's clock). Raises ClientGone."""
        loop = asyncio.get_running_loop()
        while True:
            left_s = LOOK_S if until is None else min(LOOK_S, until - loop.time())
            if left_s <= 0:
                return None
            await asyncio.wait((self._landed,), timeout=left_s)
            if gone():
                raise ClientGone
            if self._landed.done():
                return self._landed.result()
