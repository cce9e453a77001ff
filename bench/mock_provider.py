"""A provider that costs next to nothing: OpenAI's chat completions, whole and streamed, from bytes made beforehand.

`python -m bench.mock_provider --port 9000` (0: any free port; the port is printed). Listens on 127.0.0.1 only.
"""

import argparse
import asyncio
import json
import ssl
from pathlib import Path
from typing import cast

import uvloop

from bench.answers import DONE, MODEL, PACE_MARK, PACE_S, stream_events, usage_event, whole_answer

_BODY_BYTES_MAX = 16 * 1024 * 1024


def _response(status: bytes, body: bytes) -> bytes:
    head = b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % (status, len(body)) + body


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


_WHOLE = _response(b"200 OK", whole_answer())
_MODELS = _response(b"200 OK", json.dumps({"object": "list", "data": [{"id": MODEL, "object": "model"}]}).encode())
_NOT_FOUND = _response(b"404 Not Found", b'{"error":{"message":"the mock provider has no such route"}}')
_BAD = _response(b"400 Bad Request", b'{"error":{"message":"the mock provider reads content-length bodies only"}}')
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    b"cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n"
)
_EVENTS = [_chunk(event) for event in stream_events()]
_LAST_CHUNK = b"0\r\n\r\n"
_TAIL = {True: _chunk(usage_event() + DONE) + _LAST_CHUNK, False: _chunk(DONE) + _LAST_CHUNK}
_AT_ONCE = {asked: _STREAM_HEAD + b"".join(_EVENTS) + tail for asked, tail in _TAIL.items()}


class Served:
    """How many completions were answered: a cache hit must leave it as it was."""

    __slots__ = ("completions",)

    def __init__(self) -> None:
        self.completions = 0


class Provider(asyncio.Protocol):
    """One keep-alive connection; requests are framed by searching bytes, not by a parser."""

    __slots__ = ("_buffer", "_served", "_transport")

    def __init__(self, served: Served) -> None:
        self._served = served
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one by its methods only

    def data_received(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
        while data:
            head_end = data.find(b"\r\n\r\n") + 4
            if head_end < 4:
                break
            end = head_end + _content_length(data[:head_end])
            if end < head_end or end > _BODY_BYTES_MAX:
                self._transport.write(_BAD)
                self._transport.close()
                return
            if len(data) < end:
                break
            self._answer(data[:end])
            data = data[end:]
        self._buffer = data

    def _answer(self, request: bytes) -> None:
        if not request.startswith(b"POST /v1/chat/completions"):
            self._transport.write(self._other(request))
            return
        self._served.completions += 1
        if b'"stream":true' not in request and b'"stream": true' not in request:
            self._transport.write(_WHOLE)
            return
        usage_asked = b'"include_usage":true' in request or b'"include_usage": true' in request
        if PACE_MARK in request:
            self._transport.write(_STREAM_HEAD + _EVENTS[0])
            loop = asyncio.get_running_loop()
            loop.call_later(PACE_S, self._next_event, 1, usage_asked, loop.time() + PACE_S)
        else:
            self._transport.write(_AT_ONCE[usage_asked])

    def _next_event(self, number: int, usage_asked: bool, due: float) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(_EVENTS[number])
        if number + 1 == len(_EVENTS):
            self._transport.write(_TAIL[usage_asked])
            return
        # The next time is counted from when this event was due, so that lateness does not add up.
        loop = asyncio.get_running_loop()
        loop.call_at(due + PACE_S, self._next_event, number + 1, usage_asked, due + PACE_S)

    def _other(self, request: bytes) -> bytes:
        if request.startswith(b"GET /v1/models"):
            return _MODELS
        if request.startswith(b"GET /served"):
            return _response(b"200 OK", b"%d" % self._served.completions)
        return _NOT_FOUND


def _content_length(head: bytes) -> int:
    """The body's length in bytes; 0 when there is no body, -1 when it is framed another way."""
    at = head.find(b"ontent-length:")
    if at < 0:
        at = head.find(b"ontent-Length:")
    if at < 0:
        return -1 if b"ransfer-" in head else 0
    return int(head[at + 14 : head.index(b"\r", at)])


async def _serve(port: int, certificate: Path | None) -> None:
    served = Served()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Provider(served), "127.0.0.1", port, backlog=1024)
    ports = [server.sockets[0].getsockname()[1]]
    if certificate is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(certificate)
        secured = await loop.create_server(lambda: Provider(served), "127.0.0.1", 0, ssl=tls, backlog=1024)
        ports.append(secured.sockets[0].getsockname()[1])
    print(*ports, flush=True)
    await server.serve_forever()


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description="The benchmark's mock provider, on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=0, help="0 takes any free port; the port is printed")
    parser.add_argument("--tls", type=Path, help="PEM file of certificate and key: a second port speaks TLS")
    options = parser.parse_args()
    uvloop.run(_serve(options.port, options.tls))


if __name__ == "__main__":
    main()
