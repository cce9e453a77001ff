"""The short way through uvicorn: request bodies and answers go straight between its buffers and ours.

uvicorn checks and joins an answer's headers one by one, which costs a call more than its money does. The headers of our
answers are made here and can't be wrong, so head and body are written to the connection at once. Anything that is not
uvicorn's HTTP/1.1 (a test's fake server, HTTP/1.0) takes the ordinary ASGI messages.
"""

from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

Headers = list[tuple[bytes, bytes]]

_STATUS_LINES = {status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode()) for status in HTTPStatus}


class Wire:
    """One request's way in and out. After ``whole`` or ``end`` the request is over."""

    __slots__ = ("_cycle", "_receive", "_send")

    def __init__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        self._receive = receive
        self._send = send
        cycle = getattr(send, "__self__", None)
        fast = type(cycle) is RequestResponseCycle and scope["http_version"] == "1.1" and scope["method"] != "HEAD"
        self._cycle: Any = cycle if fast else None

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

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        """Sends a complete answer."""
        cycle = self._cycle
        if cycle is None:
            await self._send(
                {
                    "type": "http.response.start",
                    "status": status,
                    "headers": [*headers, (b"content-length", b"%d" % len(body))],
                }
            )
            await self._send({"type": "http.response.body", "body": body})
            return
        if cycle.disconnected:
            return
        parts = self._head(cycle, status, headers)
        parts.append(b"content-length: %d\r\n\r\n" % len(body))
        parts.append(body)
        cycle.transport.write(b"".join(parts))
        self._over(cycle)

    async def begin(self, headers: Headers) -> None:
        """Begins a chunked answer."""
        cycle = self._cycle
        if cycle is None:
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        elif not cycle.disconnected:
            parts = self._head(cycle, 200, headers)
            parts.append(b"transfer-encoding: chunked\r\n\r\n")
            cycle.transport.write(b"".join(parts))

    async def more(self, data: bytes) -> None:
        """Sends some of a chunked answer; waits while the client reads more slowly than we write."""
        cycle = self._cycle
        if cycle is None:
            await self._send({"type": "http.response.body", "body": data, "more_body": True})
            return
        if cycle.flow.write_paused and not cycle.disconnected:
            await cycle.flow.drain()
        if not cycle.disconnected:
            cycle.transport.write(b"%x\r\n%b\r\n" % (len(data), data))

    async def end(self, data: bytes) -> None:
        """Sends the last bytes of a chunked answer."""
        cycle = self._cycle
        if cycle is None:
            await self._send({"type": "http.response.body", "body": data})
        elif not cycle.disconnected:
            cycle.transport.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data) if data else b"0\r\n\r\n")
            self._over(cycle)

    @staticmethod
    def _head(cycle: Any, status: int, headers: Headers) -> list[bytes]:
        cycle.response_started = True
        cycle.waiting_for_100_continue = False
        parts = [_STATUS_LINES[status]]
        for name, value in cycle.default_headers:
            parts += (name, b": ", value, b"\r\n")
        for name, value in headers:
            parts += (name, b": ", value, b"\r\n")
        if not cycle.keep_alive:
            parts.append(b"connection: close\r\n")
        return parts

    @staticmethod
    def _over(cycle: Any) -> None:
        cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()
