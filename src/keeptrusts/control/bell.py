"""Wakes whoever waits for the change feed as soon as a commit has added to it."""

import asyncio


class Bell:
    """Knows the number of the newest change and lets others wait for a newer one."""

    def __init__(self, last_seq: int) -> None:
        self.last_seq = last_seq
        self._waiting: set[asyncio.Future[None]] = set()

    def ring(self, seq: int) -> None:
        """A commit added changes up to ``seq``."""
        self.last_seq = max(self.last_seq, seq)
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)

    @property
    def awaited(self) -> bool:
        """Whether somebody waits."""
        return bool(self._waiting)

    async def beyond(self, seq: int, timeout_s: float) -> None:
        """Returns as soon as there is a change after ``seq``, or after ``timeout_s``."""
        if self.last_seq > seq:
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.add(waiter)
        try:
            async with asyncio.timeout(timeout_s):
                await waiter
        except TimeoutError:
            pass
        finally:
            self._waiting.discard(waiter)
