"""The only sockets to providers: a small HTTP/1.1 client on httptools and the loop's transports, one pool per origin.

No redirects, no proxies from the environment, no cookies, nothing decompressed: what a provider sends is what is relayed.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Mapping
from time import monotonic_ns
from typing import Any, cast
from urllib.parse import urlsplit

import httptools

from keeptrusts.gateway.exchange import Exchange, Reply, UpstreamFailed

MAX_CONNECTIONS = 2_000
SWEEP_S = 0.5
IDLE_CLOSE_S = 55.0
"""Unused connections are closed before the usual minute after which servers do: one that is reused while its server closes
it costs a call whose outcome nobody knows."""

MAX_LENGTH_DIGITS = 12
MAX_HEAD_BYTES = 256 * 1024
"""Of an answer's head, and of what surrounds its body: without a bound, one that does not end takes memory and the loop."""
TOO_LONG = f"the answer's head, or what surrounds its body, is larger than {MAX_HEAD_BYTES} bytes"

_LENGTH = b"\r\ncontent-length: "


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
        self._reusable = False
        self._stray = False
        self._paused, self._silent_bytes = False, 0
        self.idle_since = 0.0
        self.counted = True
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def start(self, exchange: Exchange) -> None:
        """Writes the request; the answer goes to ``exchange``."""
        if exchange.over:
            # Nobody waits for it any more: what was not sent stays unsent.
            if not self.lost:
                self._origin.release(self)
            return
        if self.lost or self._transport.is_closing():
            self._origin.start_elsewhere(exchange)
            return
        exchange.attach(self)
        self._exchange = exchange
        exchange.sent = True
        exchange.sent_ns = monotonic_ns()
        origin = self._origin
        exchange.deadline = origin.tick + origin.first_byte_timeout_s
        exchange.latest = origin.tick + origin.total_timeout_s
        origin.busy.add(self)
        self._transport.write(b"".join(exchange.request))

    def data_received(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            # Bytes that nobody asked for: the connection's framing can't be trusted any more.
            self.abort()
            return
        if self._between_answers and exchange.whole_only and self._take_whole(exchange, data):
            return
        self._between_answers = False
        exchange.deadline = self._origin.tick + self._origin.idle_timeout_s
        self._silent_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            wrong = f"the answer is not HTTP: {type(error).__name__}"
        else:
            wrong = TOO_LONG if self._silent_bytes > MAX_HEAD_BYTES else ""
        if wrong:
            if self._pieces and self._exchange is not None:
                self._hand_on(exchange)
            exchange.fail(UpstreamFailed(wrong, sent=True))
            self.abort()
            return
        if self._exchange is None:
            self._answered()
        elif self._pieces:
            self._hand_on(exchange)

    def _answered(self) -> None:
        if self._stray or not self._reusable:
            self.abort()
        else:
            self._between_answers = True
            self._origin.release(self)

    def _take_whole(self, exchange: Exchange, data: bytes) -> bool:
        """The common case, without a parser: a good answer that came in one piece and says its length, once."""
        if not data.startswith(b"HTTP/1.1 200 "):
            return False
        end = data.find(b"\r\n\r\n")
        head = data[: end + 2].lower()
        start = head.find(_LENGTH) + len(_LENGTH)
        if (
            end < 0
            or start < len(_LENGTH)
            or head.find(b"\r\ntransfer-encoding") >= 0
            or head.find(b"\r\nconnection") >= 0
        ):
            return False
        length = head[start : head.find(b"\r\n", start)]
        if not length.isdigit() or len(length) > MAX_LENGTH_DIGITS or head.count(b"\r\ncontent-length") != 1:
            return False
        if end + 4 + int(length) != len(data):
            return False
        line = self._origin.id_line
        if line and (start := head.find(line)) >= 0:
            exchange.given_id = data[start + len(line) : head.find(b"\r\n", start + len(line))]
        exchange.begin(200, {})
        exchange.take(data[end + 4 :])
        self._done(exchange)
        self._origin.release(self)
        return True

    def on_message_begin(self) -> None:
        self._silent_bytes = 0
        # A second answer to one request: the next one's caller must not get it.
        self._stray = self._exchange is None

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        headers, self._headers = self._headers, {}
        status = self._parser.get_status_code()
        if self._exchange is None or status < 200:
            return
        self._until_eof = b"content-length" not in headers and b"transfer-encoding" not in headers
        self._exchange.given_id = headers.get(self._origin.id_header, b"")
        self._exchange.begin(status, headers)

    def on_body(self, body: bytes) -> None:
        # A read brings many chunks of a stream: they are handed on together.
        self._silent_bytes = 0
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
        self._reusable = self._parser.should_keep_alive() and not self._until_eof
        self._done(exchange)

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
            exchange.fail(UpstreamFailed(f"it closed the connection {what}", sent=exchange.sent))

    def expire(self) -> None:
        """The deadline passed."""
        exchange = self._exchange
        if exchange is not None:
            what = "no more of the answer came" if exchange.head_complete else "no answer came"
            if exchange.latest < self._origin.tick:
                what = "the whole answer did not come"
            exchange.fail(UpstreamFailed(f"{what} in time", sent=True, timed_out=True))
        self.abort()

    @property
    def deadline(self) -> float:
        """When the exchange under way has waited too long, on the origin's clock."""
        exchange = self._exchange
        if exchange is None:
            return float("inf")
        return exchange.latest if self._paused else min(exchange.deadline, exchange.latest)

    def pause(self) -> None:
        """The client is slower than the provider: stop reading."""
        if not (self._paused or self.lost or self._transport.is_closing()):
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Reads again."""
        if self._paused and not (self.lost or self._transport.is_closing()):
            self._paused = False
            self._transport.resume_reading()
            if self._exchange is not None:
                self._exchange.deadline = self._origin.tick + self._origin.idle_timeout_s

    def abort(self) -> None:
        """Drops the connection; nobody gets it from now on."""
        if not self.lost:
            self.lost = True
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
        total_timeout_s: float = float("inf"),
        id_header: bytes = b"",
    ) -> None:
        """``id_header``: where the other side says what it calls a request, in lower case."""
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
        self.total_timeout_s = total_timeout_s
        self.id_header = id_header
        self.id_line = b"\r\n%b: " % id_header if id_header else b""
        self._idle: list[_Connection] = []
        self.busy: set[_Connection] = set()
        self._open = 0
        self._queue: deque[asyncio.Future[None]] = deque()
        self._starting: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._retired = False
        self.tick = 0.0

    async def connection(self) -> _Connection:
        """A free connection, made if need be. Raises UpstreamFailed(sent=False)."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._look_again(self._loop)
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                while (free := self.idle_connection()) is None and self._open >= MAX_CONNECTIONS:
                    await self._turn(self._loop)
                return free or await self._connect(self._loop)
        except TimeoutError:
            raise UpstreamFailed("it did not accept a connection in time", sent=False, timed_out=True) from None
        except (OSError, UnicodeError) as error:
            # UnicodeError: a host name that can't be one.
            what = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
            raise UpstreamFailed(f"no connection: {what}", sent=False) from None

    async def _connect(self, loop: asyncio.AbstractEventLoop) -> _Connection:
        connection = _Connection(self)
        self._open += 1
        try:
            await loop.create_connection(
                lambda: connection,
                self._host,
                self._port,
                ssl=self._tls,
                server_hostname=self._host if self._tls else None,
            )
        except BaseException:
            self.forget(connection)
            raise
        return connection

    async def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        """Waits until a connection is free or there is room for one."""
        turn = loop.create_future()
        self._queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                # It was this one's turn: another takes it.
                self._next_in_queue()
            raise

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

    def start_elsewhere(self, exchange: Exchange) -> None:
        """The connection that was chosen is gone, and nothing was sent on it: another one takes the exchange."""
        task = asyncio.get_running_loop().create_task(self._start(exchange))
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)

    async def _start(self, exchange: Exchange) -> None:
        try:
            (await self.connection()).start(exchange)
        except Exception as failure:
            exchange.fail(failure)

    def release(self, connection: _Connection) -> None:
        """The connection is free again."""
        if self._retired:
            connection.abort()
            return
        connection.idle_since = self.tick
        self._idle.append(connection)
        self._next_in_queue()

    def forget(self, connection: _Connection) -> None:
        """The connection is gone."""
        self.busy.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if connection.counted:
            connection.counted = False
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
        while self._idle and self._idle[0].idle_since + IDLE_CLOSE_S < self.tick:
            self._idle.pop(0).abort()
        if self._retired and not self._open:
            # Nothing is left to look after; a late call starts the clock again.
            self._loop = self._sweeper = None
        else:
            self._look_again(self._loop)

    def _look_again(self, loop: asyncio.AbstractEventLoop) -> None:
        self.tick = loop.time()
        self._sweeper = loop.call_later(SWEEP_S, self._sweep)

    def retire(self) -> None:
        """Nobody who comes from now on wants it: what is idle goes now, and every other connection with its exchange."""
        self._retired = True
        while self._idle:
            self._idle.pop().abort()

    def close(self) -> None:
        """Drops all connections."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connection in [*self._idle, *self.busy]:
            connection.abort()
