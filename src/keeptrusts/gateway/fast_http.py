"""uvicorn's HTTP protocol with a short way for the request that nearly all are: a whole, plain POST of a chat completion.

Whatever is not exactly that (another path or method, chunked, compressed, pipelined, with odd headers) goes to uvicorn's
own parser, and so does everything that follows on that connection. The short way accepts less than the parser does, so it
can't be made to see a request where the parser would see another one.
"""

import asyncio
import re
from collections.abc import Coroutine
from typing import Any

from keeptrusts.gateway.client import Client
from keeptrusts.gateway.parsed_http import HOST, ParsedWay

REQUEST_LINE = b"POST /v1/chat/completions HTTP/1.1\r\n"
LINE_BYTES = len(REQUEST_LINE)
MAX_HEAD_BYTES = 16 * 1024
MAX_HELD_BYTES = 256 * 1024
BODY_TIMEOUT_S = 60.0
MAX_NAMES = 1_000

FIRST_REQUEST_S = 0.5
"""How long a connection that has not asked anything yet may still do so when the server drains."""

_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(rb"[\0-\x08\x0b\x0c\x0e-\x1f\x7f]")
"""What no header may hold (RFC 9110, 5.5), but for the ends of lines, which are counted."""

_LENGTH = re.compile(rb"\r\n[Cc]ontent-[Ll]ength: (\d{1,12})\r\n")
_NOT_HERE = frozenset({b"content-length", b"transfer-encoding", b"expect", b"upgrade", b"content-encoding"})

_lower_names: dict[bytes, bytes] = {}
"""Header names that were checked before, and their lower-case form; bounded."""


class Incomplete(Exception):
    """The head is fine, but its body has not arrived whole."""


class HeadReader:
    """Reads the heads of one connection's requests. A client sends the same one each time, but for its body's length:
    what was read and checked before is not read again."""

    __slots__ = ("_block", "_headers")

    def __init__(self) -> None:
        self._block = b""
        self._headers: dict[bytes, bytes] = {}

    def split(self, data: bytes) -> tuple[dict[bytes, bytes], bytes] | None:
        """Headers (but the length) and body of a request that is exactly one whole message; None: it is for the parser.

        Raises Incomplete when only the end of the body is missing.
        """
        end = data.find(b"\r\n\r\n", 0, MAX_HEAD_BYTES)
        length = _LENGTH.search(data, LINE_BYTES - 2, end + 2) if end >= 0 else None
        if length is None:
            return None
        block = data[LINE_BYTES : length.start() + 2] + data[length.end() : end + 2]
        if block != self._block:
            headers = read_head(block)
            if headers is None:
                return None
            self._block, self._headers = block, headers
        size = int(length[1])
        missing = end + 4 + size - len(data)
        if missing == 0:
            return self._headers, data[end + 4 :]
        if missing > 0 and size <= MAX_HELD_BYTES:
            raise Incomplete
        return None


def read_head(block: bytes) -> dict[bytes, bytes] | None:
    """The headers of a block of whole header lines, names in lower case; None when the parser should judge them."""
    lines = block.split(b"\r\n")[:-1]
    if block.count(b"\n") != len(lines) or block.count(b"\r") != len(lines) or _CONTROL.search(block) is not None:
        return None
    headers: dict[bytes, bytes] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        lower = _lower_names.get(name) or _checked_name(name)
        if lower is None or not colon or lower in headers:
            return None
        headers[lower] = value.strip(b" \t")
    host = headers.get(b"host")
    if host is None or HOST.fullmatch(host) is None or not _NOT_HERE.isdisjoint(headers):
        return None
    if headers.get(b"connection", b"keep-alive").lower() != b"keep-alive":
        return None
    return headers


def _checked_name(name: bytes) -> bytes | None:
    if _NAME.fullmatch(name) is None:
        return None
    lower = name.lower()
    if len(_lower_names) < MAX_NAMES:
        _lower_names[name] = lower
    return lower


class _NoEvent:
    """Stands where uvicorn's request cycle has an event that wakes whoever reads the body: ours is whole already."""

    def set(self) -> None:
        """Nobody waits."""


class WholeRequest:
    """What uvicorn's protocol and our Client need to know of a request that took the short way."""

    response_started = False
    response_complete = False
    disconnected = False
    keep_alive = True
    more_body = False
    waiting_for_100_continue = False
    message_event = _NoEvent()

    def __init__(self, protocol: "ShortWay", body: bytes) -> None:
        self.body = body
        self.transport = protocol.transport
        self.flow = protocol.flow
        self.default_headers = protocol.server_state.default_headers
        self.on_response = protocol.on_response_complete


class ShortWay(ParsedWay):
    """One connection. ``serve`` is the handler of the short way's requests; a subclass names it."""

    _held = b""
    _parsing = False
    _begun = False
    _held_timer: asyncio.TimerHandle | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._heads = HeadReader()
        self.answers = 0
        self.answers_seen = -1

    def data_received(self, data: bytes) -> None:
        """Bytes of one or more requests."""
        self._begun = True
        if self._parsing:
            self.parse(data)
            return
        if self._held:
            data = self._held + data
            self._held = b""
        if not data.startswith(REQUEST_LINE) or self.busy():
            self._parse(data)
            return
        try:
            request = self._heads.split(data)
        except Incomplete:
            self._hold(data)
            return
        if request is None:
            self._parse(data)
            return
        if self._held_timer is not None:
            self._held_timer.cancel()
            self._held_timer = None
        headers, body = request
        cycle: Any = WholeRequest(self, body)
        cycle.keep_alive = not self._leaving
        self.cycle = cycle
        task = self.loop.create_task(self.serve(Client(headers, cycle)))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def serve(self, client: Client) -> Coroutine[Any, Any, None]:
        """Answers the client."""
        raise NotImplementedError

    def on_response_complete(self) -> None:
        """An answer is complete: the next request may follow. ``close_idle`` looks after those that send none."""
        self.answers += 1
        super().on_response_complete()

    def close_idle(self) -> None:
        """Closes a connection that has been answered, and silent, since the last time this was called."""
        if self.answers == self.answers_seen and not self.busy() and not self._held:
            self.transport.close()
        self.answers_seen = self.answers

    def _parse(self, data: bytes) -> None:
        self._parsing = True
        if self._held_timer is not None:
            self._held_timer.cancel()
        self.parse(data)

    def shutdown(self) -> None:
        """The server drains: the request that is under way, or begins to arrive, is the last one here.

        A connection whose first request is still on its way gets a moment for it: its client can't know that we leave.
        """
        self._leaving = True
        if self.busy():
            self.cycle.keep_alive = False
        elif not self._begun:
            self.loop.call_later(FIRST_REQUEST_S, self._close_unless_begun)
        elif not self._held and not self._reading_head:
            self.transport.close()

    def _close_unless_begun(self) -> None:
        if not self._begun:
            self.transport.close()

    def _hold(self, data: bytes) -> None:
        self._held = data
        if self._held_timer is None:
            self._held_timer = self.loop.call_later(BODY_TIMEOUT_S, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        if self._held_timer is not None:
            self._held_timer.cancel()
        super().connection_lost(exc)
