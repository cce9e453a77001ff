"""One request on its way to a provider: its answer's head and body as they arrive, and who waits for them."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic_ns
from typing import Protocol

from msgspec import Struct

MAX_WHOLE_BYTES = 64 * 1024 * 1024
PAUSE_READING_BYTES = 256 * 1024


class Carrier(Protocol):
    """The connection that an exchange runs on."""

    def pause(self) -> None:
        """Stops reading."""

    def resume(self) -> None:
        """Reads again."""

    def abort(self) -> None:
        """Drops the connection."""


class Reply(Struct):
    """A whole answer. Header names are lower-case bytes."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


class UpstreamFailed(Exception):
    """The exchange did not come to its end. ``sent`` False: the provider can't have seen the request."""

    def __init__(self, message: str, *, sent: bool, timed_out: bool = False) -> None:
        super().__init__(message)
        self.sent = sent
        self.timed_out = timed_out


class Exchange:
    """One request on its way: its answer's head and body as they arrive, and who waits for them.

    ``given_id`` is what the provider calls the request, if it says so; ``waited_ns`` how long its answer took, once it has ended. A ``whole_only`` exchange is waited for once, by ``whole``; any other by ``head`` and then ``read``.
    """

    status = 0
    head_complete = False
    complete = False
    sent = False
    deadline = 0.0
    given_id = b""
    sent_ns = 0
    waited_ns = 0
    latest = float("inf")
    _queued = 0
    _failure: BaseException | None = None
    _waiter: asyncio.Future[None] | None = None
    _connection: Carrier | None = None
    _arrival: asyncio.Future[bytes] | None = None
    _outlet: Callable[[bytes], bool] | None = None

    def __init__(self, request: tuple[bytes, ...], whole: bool) -> None:
        self.request = request
        self.whole_only = whole
        self.headers: dict[bytes, bytes] = {}
        self._chunks: list[bytes] = []

    async def head(self) -> None:
        """Waits for status and headers."""
        while not (self.head_complete or self.complete):
            if self._failure is not None:
                raise self._failure
            await self._wait()

    @property
    def over(self) -> bool:
        """Whether it has ended, well or not."""
        return self.complete or self._failure is not None

    def whole(self) -> Awaitable[bytes]:
        """The complete body, to wait for. Raises UpstreamFailed there."""
        if not self.whole_only:
            self.whole_only = True
            if self._queued > PAUSE_READING_BYTES and self._connection is not None:
                self._connection.resume()
        arrival = self._arrival = asyncio.get_running_loop().create_future()
        if self.complete:
            arrival.set_result(b"".join(self._chunks))
        elif self._failure is not None:
            arrival.set_exception(self._failure)
        return arrival

    async def read(self) -> bytes:
        """The next bytes of the body; empty at its end. Raises UpstreamFailed when it ends too early."""
        while not self._chunks:
            if self.complete:
                return b""
            if self._failure is not None:
                raise self._failure
            await self._wait()
        chunks, self._chunks = self._chunks, []
        if self._queued > PAUSE_READING_BYTES and self._connection is not None:
            self._connection.resume()
        self._queued = 0
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def pour(self, outlet: Callable[[bytes], bool]) -> None:
        """From now on ``outlet`` gets the bytes as they arrive, without a turn of the loop, until it says False: those bytes
        are for ``read``, which also tells how the answer ends. What ``outlet`` raises fails the exchange."""
        if not self._chunks:
            self._outlet = outlet

    def _poured(self, outlet: Callable[[bytes], bool], data: bytes) -> bool:
        try:
            taken = outlet(data)
        except Exception as failure:
            self.fail(failure)
            self.abandon()
            return True
        if not taken:
            self._outlet = None
        return taken

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter

    def begin(self, status: int, headers: dict[bytes, bytes]) -> None:
        """Status and headers arrived."""
        self.status = status
        self.headers = headers
        self.head_complete = True
        self._wake()

    def finish(self) -> None:
        """The whole answer arrived."""
        if self._failure is not None:
            return
        self.complete = True
        self.waited_ns = monotonic_ns() - self.sent_ns
        if self._arrival is not None:
            if not self._arrival.done():
                self._arrival.set_result(b"".join(self._chunks))
        else:
            self._wake()

    def fail(self, failure: BaseException) -> None:
        """The exchange is over without a complete answer: an UpstreamFailed, or what kept it from being sent."""
        if self.complete or self._failure is not None:
            return
        self._failure = failure
        if self.sent:
            self.waited_ns = monotonic_ns() - self.sent_ns
        if self._arrival is not None:
            if not self._arrival.done():
                self._arrival.set_exception(failure)
        else:
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def attach(self, connection: Carrier) -> None:
        """The connection that carries the exchange."""
        self._connection = connection

    def take(self, data: bytes) -> None:
        """Body bytes arrived."""
        if self._outlet is not None and self._poured(self._outlet, data):
            return
        self._chunks.append(data)
        self._queued += len(data)
        if self.whole_only:
            if self._queued > MAX_WHOLE_BYTES:
                self.fail(UpstreamFailed(f"the answer is larger than {MAX_WHOLE_BYTES} bytes", sent=True))
                self.abandon()
            return
        if self._queued > PAUSE_READING_BYTES and self._connection is not None:
            self._connection.pause()
        self._wake()

    def abandon(self) -> None:
        """Nobody wants the rest: what was not sent never will be, and the connection can't be used again."""
        if self.complete:
            return
        self._outlet = None
        self.fail(UpstreamFailed("nobody waits for the answer any more", sent=self.sent))
        if self._connection is not None:
            self._connection.abort()
