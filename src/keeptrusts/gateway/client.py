"""The other end of a call, and the short way to it: bodies and answers go straight between uvicorn's buffers and ours.

uvicorn checks and joins an answer's headers one by one, which costs a call more than its money does. Our answers' header
lines are made here and hold nothing that a client or provider wrote unchecked, so head and body are written to the
connection at once. Anything that is not uvicorn's HTTP/1.1 (a test's fake server, HTTP/1.0) takes ordinary ASGI messages.

``lines`` are header lines as bytes, each ended by CRLF. ``refusal`` writes errors in the client's dialect.
"""

import asyncio
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from keeptrusts.core.refusal import Refused
from keeptrusts.gateway.journal import Journal
from keeptrusts.gateway.refusals import error_body, error_lines, status_of, unwritten

MAX_REQUEST_ID_BYTES = 128
STALLED_S = 120.0
"""A client that takes nothing of its stream for so long is gone: its call must be settled."""

ID_FORM = b"x-request-id: %b\r\n"
ANTHROPICS_ID_FORM = b"x-request-id: %b\r\nrequest-id: %b\r\n"
"""The header lines of a request's id: Anthropic's SDKs look for another name."""

_PRINTABLE = re.compile(rb"[!-~]+")

_STATUS_LINES = {status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode()) for status in HTTPStatus}


class Client:
    """One call's client. After ``whole``, ``end`` or ``refuse`` the call is answered. ``request_id`` is its own, or ours."""

    __slots__ = ("_cycle", "_peer", "_receive", "_send", "headers", "id_form", "id_lines", "refusal", "request_id")

    _default_lines: ClassVar[tuple[object, bytes]] = (None, b"")
    """uvicorn's own headers, which it makes anew once a second, and the lines that they make."""

    def __init__(
        self, headers: dict[bytes, bytes], cycle: Any, receive: Any = None, send: Any = None, peer: str = ""
    ) -> None:
        self.headers = headers
        self.request_id = ""
        self.id_form = ID_FORM
        self.id_lines = b""
        self.refusal: Callable[[Refused], bytes] = error_body
        self._cycle = cycle
        self._receive = receive
        self._send = send
        self._peer = peer

    @classmethod
    def of_asgi(cls, scope: dict[str, Any], receive: Any, send: Any) -> "Client":
        """The client of an ASGI request; uvicorn's own request cycle is found behind ``send``."""
        cycle = getattr(send, "__self__", None)
        fast = type(cycle) is RequestResponseCycle and scope["http_version"] == "1.1" and scope["method"] != "HEAD"
        peer = scope.get("client") or ("",)
        return cls(_joined(scope["headers"]), cycle if fast else None, receive, send, peer[0])

    @property
    def peer(self) -> str:
        """The address of the connection's other end; empty where it has none."""
        if self._cycle is None or self._peer:
            return self._peer
        name = self._cycle.transport.get_extra_info("peername")
        return str(name[0]) if isinstance(name, tuple) else ""

    def name_request(self, own_id: str) -> str:
        """The request's id: the client's ``x-request-id`` if it can be one, else ours."""
        given = self.headers.get(b"x-request-id")
        if given is not None and len(given) <= MAX_REQUEST_ID_BYTES and _PRINTABLE.fullmatch(given):
            own_id = given.decode()
        self.request_id = own_id
        self.id_lines = self.id_form.replace(b"%b", own_id.encode())
        return own_id

    @property
    def wants_fresh(self) -> bool:
        """Whether the client asked not to be answered from a cache."""
        control = self.headers.get(b"cache-control", b"").lower()
        return b"no-cache" in control or b"no-store" in control

    @property
    def wants_no_trace(self) -> bool:
        """Whether the client asked that its answer not be kept for others."""
        return b"no-store" in self.headers.get(b"cache-control", b"").lower()

    def lines(self, names: tuple[bytes, ...]) -> bytes:
        """These of its headers, as lines: a parser has read them, so that none holds the end of a line."""
        return b"".join([b"%b: %b\r\n" % (name, self.headers[name]) for name in names if name in self.headers])

    def gone(self) -> bool:
        """Whether the client has hung up, as far as can be seen."""
        return self._cycle is not None and self._gone(self._cycle)

    def complete_body(self) -> bytes | None:
        """The request's body if all of it is here already, else None."""
        cycle = self._cycle
        if cycle is None or cycle.more_body or cycle.disconnected:
            return None
        body = bytes(cycle.body)
        cycle.body = bytearray()
        return body

    async def receive(self) -> dict[str, Any]:
        """The next ASGI message."""
        message: dict[str, Any] = await self._receive()
        return message

    async def refuse(self, refused: Refused) -> None:
        """Says no. When an answer has begun already, only its breaking off can say so."""
        if self._cycle is not None and self._cycle.response_started:
            self._cycle.transport.abort()
            return
        await self.whole(status_of(refused), error_lines(refused), self.refusal(refused))

    async def whole(self, status: int, lines: bytes, body: bytes) -> None:
        """Sends a complete answer."""
        if self._cycle is not None:
            self._write_whole((status, lines, body))
            return
        lines += b"%bcontent-length: %d\r\n" % (self.id_lines, len(body))
        await self._send({"type": "http.response.start", "status": status, "headers": _split(lines)})
        await self._send({"type": "http.response.body", "body": body})

    def leave_to(self, journal: Journal, lines: bytes, body: bytes) -> bool:
        """Has a complete good answer sent as soon as the journal holds what was appended to it; a client whose answer
        can't be recorded is told so. False where that is not to be had: only a request of the short way has no
        application whose end would come before its answer."""
        if self._receive is not None:
            return False
        journal.then(self._write_whole, (200, lines, body), self._write_failure)
        return True

    def _write_whole(self, answer: tuple[int, bytes, bytes]) -> None:
        status, lines, body = answer
        cycle = self._cycle
        if self._gone(cycle):
            return
        cycle.transport.write(
            b"%b%b%b%bcontent-length: %d\r\n\r\n%b"
            % (_STATUS_LINES[status], self._our_lines(cycle), lines, self.id_lines, len(body), body)
        )
        self._over(cycle)

    def _write_failure(self, _: BaseException) -> None:
        refused = unwritten()
        self._write_whole((status_of(refused), error_lines(refused), self.refusal(refused)))

    async def begin(self, lines: bytes) -> None:
        """Begins a chunked answer."""
        cycle = self._cycle
        lines += self.id_lines
        if cycle is None:
            await self._send({"type": "http.response.start", "status": 200, "headers": _split(lines)})
        elif not self._gone(cycle):
            cycle.transport.write(
                b"%b%b%btransfer-encoding: chunked\r\n\r\n" % (_STATUS_LINES[200], self._our_lines(cycle), lines)
            )

    async def more(self, data: bytes) -> None:
        """Sends some of a chunked answer; waits while the client reads more slowly than we write."""
        cycle = self._cycle
        if cycle is None:
            await self._send({"type": "http.response.body", "body": data, "more_body": True})
            return
        if cycle.flow.write_paused and not self._gone(cycle):
            await self._drain(cycle)
        self.write_more(data)

    @property
    def takes_at_once(self) -> bool:
        """Whether ``write_more`` may be called now: the client keeps up, or is gone."""
        cycle = self._cycle
        return cycle is not None and not cycle.flow.write_paused

    def write_more(self, data: bytes) -> None:
        """Sends some of a chunked answer."""
        cycle = self._cycle
        if not self._gone(cycle):
            cycle.transport.write(b"%x\r\n%b\r\n" % (len(data), data))

    async def end(self, data: bytes) -> None:
        """Sends the last bytes of a chunked answer."""
        cycle = self._cycle
        if cycle is None:
            await self._send({"type": "http.response.body", "body": data})
        elif not self._gone(cycle):
            cycle.transport.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data) if data else b"0\r\n\r\n")
            self._over(cycle)

    async def cut(self, data: bytes) -> None:
        """Ends a chunked answer early, with these bytes. The connection takes no other request: what reads the provider's
        answer to its end may still have to break it off."""
        if self._cycle is not None:
            self._cycle.keep_alive = False
        await self.end(data)

    def break_off(self) -> None:
        """Ends an answer that has begun in such a way that the client can't take it for whole."""
        if self._cycle is not None:
            self._cycle.transport.abort()

    @staticmethod
    async def _drain(cycle: Any) -> None:
        try:
            async with asyncio.timeout(STALLED_S):
                await cycle.flow.drain()
        except TimeoutError:
            cycle.transport.abort()

    @staticmethod
    def _gone(cycle: Any) -> bool:
        return bool(cycle.disconnected or cycle.transport.is_closing())

    @staticmethod
    def _our_lines(cycle: Any) -> bytes:
        cycle.response_started = True
        cycle.waiting_for_100_continue = False
        headers, lines = Client._default_lines
        if headers is not cycle.default_headers:
            headers = cycle.default_headers
            lines = b"".join([b"%b: %b\r\n" % header for header in headers])
            Client._default_lines = headers, lines
        return lines if cycle.keep_alive else lines + b"connection: close\r\n"

    @staticmethod
    def _over(cycle: Any) -> None:
        cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()


def _joined(pairs: Any) -> dict[bytes, bytes]:
    """The headers by name. A repeated one is the list of its values (RFC 9110, 5.3): nobody's word is passed over, and a key
    that is sent twice is no key."""
    pairs = list(pairs)
    headers = dict(pairs)
    if len(headers) != len(pairs):
        headers.clear()
        for name, value in pairs:
            headers[name] = headers[name] + b", " + value if name in headers else value
    return headers


def _split(lines: bytes) -> list[tuple[bytes, bytes]]:
    return [(name, value) for line in lines.split(b"\r\n")[:-1] for name, _, value in [line.partition(b": ")]]
