"""uvicorn's HTTP protocol with a short way for the request that nearly all are: a whole, plain POST of a chat completion.

Whatever is not exactly that (another path or method, chunked, compressed, pipelined, with odd headers) goes to uvicorn's
own parser, and so does everything that follows on that connection. The short way accepts less than the parser does, so it
can't be made to see a request where the parser would see another one.
"""

import asyncio
import re
from collections.abc import Coroutine
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from keeptrusts.core.refusal import Reason, Refused
from keeptrusts.gateway.client import Client
from keeptrusts.gateway.refusals import error_body, error_lines

REQUEST_LINE = b"POST /v1/chat/completions HTTP/1.1\r\n"
MAX_HEAD_BYTES = 16 * 1024
MAX_HELD_BYTES = 256 * 1024
BODY_TIMEOUT_S = 60.0
MAX_NAMES = 1_000

_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
MAX_LENGTH_DIGITS = 12
_NOT_HERE = frozenset({b"transfer-encoding", b"expect", b"upgrade", b"content-encoding"})

_lower_names: dict[bytes, bytes] = {}
"""Header names that were checked before, and their lower-case form; bounded."""


class Incomplete(Exception):
    """The head is fine, but its body has not arrived whole."""


def split_request(data: bytes) -> tuple[dict[bytes, bytes], bytes] | None:
    """Headers and body of a request that is exactly one whole message; None when it is for the parser.

    Raises Incomplete when only the end of the body is missing.
    """
    end = data.find(b"\r\n\r\n", 0, MAX_HEAD_BYTES)
    if end < 0:
        return None
    block = data[len(REQUEST_LINE) : end]
    lines = block.split(b"\r\n")
    if block.count(b"\n") != len(lines) - 1 or block.count(b"\r") != len(lines) - 1 or b"\0" in block:
        return None
    headers: dict[bytes, bytes] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        lower = _lower_names.get(name) or _checked_name(name)
        if lower is None or not colon or lower in headers:
            return None
        headers[lower] = value.strip(b" \t")
    length = headers.get(b"content-length", b"")
    if not length.isdigit() or len(length) > MAX_LENGTH_DIGITS or b"host" not in headers:
        return None
    if not _NOT_HERE.isdisjoint(headers) or headers.get(b"connection", b"keep-alive").lower() != b"keep-alive":
        return None
    missing = end + 4 + int(length) - len(data)
    if missing == 0:
        return headers, data[end + 4 :]
    if missing > 0 and int(length) <= MAX_HELD_BYTES:
        raise Incomplete
    return None


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


class ShortWay(HttpToolsProtocol):
    """One connection. ``serve`` is the handler of the short way's requests; a subclass names it."""

    _held = b""
    _parsing = False
    _held_timer: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        """Bytes of one or more requests."""
        if self._parsing:
            super().data_received(data)
            return
        if self._held:
            data = self._held + data
            self._held = b""
        if not data.startswith(REQUEST_LINE) or self._busy():
            self._parse(data)
            return
        try:
            request = split_request(data)
        except Incomplete:
            self._hold(data)
            return
        if request is None:
            self._parse(data)
            return
        self._unset_keepalive_if_required()
        if self._held_timer is not None:
            self._held_timer.cancel()
            self._held_timer = None
        headers, body = request
        cycle: Any = WholeRequest(self, body)
        self.cycle = cycle
        task = self.loop.create_task(self.serve(Client(headers, cycle)))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def _busy(self) -> bool:
        under_way: Any = self.cycle
        return under_way is not None and not under_way.response_complete

    def serve(self, client: Client) -> Coroutine[Any, Any, None]:
        """Answers the client."""
        raise NotImplementedError

    def _parse(self, data: bytes) -> None:
        self._parsing = True
        if self._held_timer is not None:
            self._held_timer.cancel()
        super().data_received(data)

    def _hold(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        self._held = data
        if self._held_timer is None:
            self._held_timer = self.loop.call_later(BODY_TIMEOUT_S, self.transport.close)

    def send_400_response(self, msg: str) -> None:
        """What is not HTTP at all gets our envelope too."""
        refused = Refused(Reason.INVALID_REQUEST, msg)
        body = error_body(refused)
        self.transport.write(
            b"HTTP/1.1 400 Bad Request\r\n%bcontent-length: %d\r\nconnection: close\r\n\r\n%b"
            % (error_lines(refused), len(body), body)
        )
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        if self._held_timer is not None:
            self._held_timer.cancel()
        super().connection_lost(exc)
