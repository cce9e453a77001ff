"""The only sockets to providers: a small HTTP/1.1 client on httptools and the loop's transports, one pool per origin.

No redirects, no proxies from the environment, no cookies, nothing decompressed: what a provider sends is what is relayed.
"""

import asyncio
import re
import ssl
from collections import deque
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import urlsplit

import httptools
from msgspec import Struct

from keeptrusts.gateway.exchange import Exchange, UpstreamFailed

MAX_CONNECTIONS = 2_000
SWEEP_S = 0.5

_FRAMING = re.compile(rb"\r\n(?i:content-length: (\d{1,12})(?=\r)|content-length|transfer-encoding|connection)")
"""The headers that say where an answer ends: one group, empty for all but a plain length."""


class Reply(Struct):
    """A whole answer. Header names are lower-case bytes."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


class _Connection(asyncio.Protocol):
    """One connection to the origin; carries one exchange at a time."""

    def __init__(self, origin: "Origin") -> None:
        self._origin = origin
        self._transport: asyncio.Transport = cast(Any, None)
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[bytes, bytes] = {}
        self._pieces: list[bytes] = []
        self._exchange: Exchange | None = None
        self._between_answers = True
        self._until_eof = False
        self._paused = False
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def start(self, exchange: Exchange) -> None:
        """Writes the request; the answer goes to ``exchange``."""
        exchange.attach(self)
        if self.lost or self._transport.is_closing():
            exchange.fail(UpstreamFailed("the connection was closed before the request was sent", sent=False))
            return
        self._exchange = exchange
        exchange.sent = True
        origin = self._origin
        exchange.deadline = origin.tick + origin.first_byte_timeout_s
        origin.busy.add(self)
        self._transport.write(b"".join(exchange.request))

    def data_received(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            # Bytes that nobody asked for: the connection's framing can't be trusted any more.
            self._transport.abort()
            return
        if self._between_answers and exchange.whole_only and self._take_whole(exchange, data):
            return
        self._between_answers = False
        exchange.deadline = self._origin.tick + self._origin.idle_timeout_s
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            exchange.fail(UpstreamFailed(f"the answer is not HTTP: {error}", sent=True))
            self._transport.abort()
            return
        if self._pieces and self._exchange is not None:
            self._hand_on(exchange)

    def _take_whole(self, exchange: Exchange, data: bytes) -> bool:
        """The common case, without a parser: a good answer that came in one piece and says its length, once."""
        end = data.find(b"\r\n\r\n")
        if end < 0 or not data.startswith(b"HTTP/1.1 200 "):
            return False
        framing = _FRAMING.findall(data, 0, end + 2)
        if len(framing) != 1 or not framing[0] or end + 4 + int(framing[0]) != len(data):
            return False
        exchange.begin(200, {})
        exchange.take(data[end + 4 :])
        self._done(exchange)
        self._origin.release(self)
        return True

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        headers, self._headers = self._headers, {}
        status = self._parser.get_status_code()
        if self._exchange is None or status < 200:
            return
        self._until_eof = b"content-length" not in headers and b"transfer-encoding" not in headers
        self._exchange.begin(status, headers)

    def on_body(self, body: bytes) -> None:
        # A read brings many chunks of a stream: they are handed on together.
        self._pieces.append(body)

    def _hand_on(self, exchange: Exchange) -> None:
        pieces, self._pieces = self._pieces, []
        exchange.take(pieces[0] if len(pieces) == 1 else b"".join(pieces))

    def on_message_complete(self) -> None:
        exchange = self._exchange
        if exchange is None or not exchange.head_complete:
            return
        if self._pieces:
            self._hand_on(exchange)
        self._done(exchange)
        if self._parser.should_keep_alive() and not self._until_eof:
            self._between_answers = True
            self._origin.release(self)
        else:
            self._transport.close()

    def _done(self, exchange: Exchange) -> None:
        self._exchange = None
        self._origin.busy.discard(self)
        exchange.finish()
        if self._paused:
            self.resume()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self._origin.forget(self)
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            return
        if exc is None and exchange.head_complete and self._until_eof:
            exchange.finish()
        else:
            what = "in the middle of the answer" if exchange.head_complete else "before it answered"
            exchange.fail(UpstreamFailed(f"the provider closed the connection {what}", sent=exchange.sent))

    def expire(self) -> None:
        """The deadline passed."""
        if self._exchange is not None:
            what = "no more of the answer came" if self._exchange.head_complete else "no answer came"
            self._exchange.fail(UpstreamFailed(f"{what} in time", sent=True, timed_out=True))
        self._transport.abort()

    @property
    def deadline(self) -> float:
        """When the exchange under way has waited too long, on the origin's clock."""
        if self._exchange is None or self._paused:
            return float("inf")
        return self._exchange.deadline

    def pause(self) -> None:
        """The client is slower than the provider: stop reading."""
        if not self._paused and not self.lost:
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Reads again."""
        if self._paused and not self.lost:
            self._paused = False
            self._transport.resume_reading()
            if self._exchange is not None:
                self._exchange.deadline = self._origin.tick + self._origin.idle_timeout_s

    def abort(self) -> None:
        """Drops the connection."""
        if not self.lost:
            self._transport.abort()


class Origin:
    """A pool of connections to one scheme, host and port. ``path`` is the base URL's path, to go before every request's."""

    def __init__(
        self,
        url: str,
        *,
        connect_timeout_s: float = 10.0,
        first_byte_timeout_s: float = 600.0,
        idle_timeout_s: float = 120.0,
    ) -> None:
        parts = urlsplit(url)
        self.url = url
        self._host = parts.hostname or ""
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._tls else 80)
        self.path = parts.path.rstrip("/")
        default_port = self._port == (443 if self._tls else 80)
        name = f"[{self._host}]" if ":" in self._host else self._host
        self.host_header = name if default_port else f"{name}:{self._port}"
        self._connect_timeout_s = connect_timeout_s
        self.first_byte_timeout_s = first_byte_timeout_s
        self.idle_timeout_s = idle_timeout_s
        self._idle: list[_Connection] = []
        self.busy: set[_Connection] = set()
        self._open = 0
        self._queue: deque[asyncio.Future[None]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self.tick = 0.0

    async def connection(self) -> _Connection:
        """A free connection, made if need be. Raises UpstreamFailed(sent=False)."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.lost:
                return connection
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._sweep()
        while self._open >= MAX_CONNECTIONS:
            turn = self._loop.create_future()
            self._queue.append(turn)
            await turn
            if self._idle:
                return self._idle.pop()
        self._open += 1
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                _, connection = await self._loop.create_connection(
                    lambda: _Connection(self),
                    self._host,
                    self._port,
                    ssl=self._tls,
                    server_hostname=self._host if self._tls else None,
                )
        except TimeoutError:
            self._gone()
            raise UpstreamFailed("it did not accept a connection in time", sent=False, timed_out=True) from None
        except OSError as error:
            self._gone()
            raise UpstreamFailed(f"no connection: {error.strerror or error}", sent=False) from None
        except BaseException:
            self._gone()
            raise
        return connection

    def idle_connection(self) -> _Connection | None:
        """A free connection if there is one already: saves the caller a coroutine."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.lost:
                return connection
        return None

    async def call(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """One whole exchange."""
        lines = [f"{method} {self.path}{path} HTTP/1.1", f"host: {self.host_header}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines += [f"content-length: {len(body)}", "", ""]
        exchange = Exchange(("\r\n".join(lines).encode("latin-1"), body), whole=True)
        (await self.connection()).start(exchange)
        content = await exchange.whole()
        return Reply(exchange.status, exchange.headers, content)

    def release(self, connection: _Connection) -> None:
        """The connection is free again."""
        self._idle.append(connection)
        self._next_in_queue()

    def forget(self, connection: _Connection) -> None:
        """The connection is gone."""
        self.busy.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._gone()

    def _gone(self) -> None:
        self._open -= 1
        self._next_in_queue()

    def _next_in_queue(self) -> None:
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def _sweep(self) -> None:
        # One timer for all exchanges: a timer for each would cost every call what only slow ones need.
        # It also keeps the time that deadlines go by, to half a second.
        assert self._loop is not None
        self.tick = self._loop.time()
        for connection in [c for c in self.busy if c.deadline < self.tick]:
            connection.expire()
        self._sweeper = self._loop.call_later(SWEEP_S, self._sweep)

    def close(self) -> None:
        """Drops all connections."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connection in [*self._idle, *self.busy]:
            connection.abort()
