"""An OpenAI-compatible provider that keeps its own truth: every answer it bills is in its log before the answer ends.

``python -m tests.providers.truthful --log FILE [--port P]`` listens on 127.0.0.1 and prints the port. What is billed is
what it has begun to serve: a caller that goes away has still to pay, as with the real ones.
"""

import argparse
import asyncio
import socket
import struct
import uuid
from pathlib import Path

import httptools

from tests.providers.answers import Ask, error_answer, model_list, read_ask, stream_events, whole_answer
from tests.providers.truth import Served, TruthLog

_RST_ON_CLOSE = struct.pack("ii", 1, 0)
_NO_BODY_END = -1


class Connection(asyncio.Protocol):
    """One keep-alive connection; its calls are answered one after the other."""

    def __init__(self, truth: TruthLog, connections: set["Connection"]) -> None:
        self._truth = truth
        self._connections = connections
        self._answering: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._connections.add(self)
        self._expect_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        if self._answering is not None:
            self._answering.cancel()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._respond(400, repr(error).encode())
            self._transport.close()

    def _expect_request(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body = b""

    # What the parser calls.
    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode().lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        route = (self._parser.get_method(), self._url.split(b"?")[0])
        match route:
            case (b"POST", b"/v1/chat/completions"):
                self._answering = asyncio.get_running_loop().create_task(self._complete())
                return
            case (b"GET", b"/v1/models"):
                self._respond(200, model_list())
            case (b"GET", b"/readyz"):
                self._respond(200, b"{}")
            case _:
                self._respond(404, error_answer(404))
        self._next()

    async def _complete(self) -> None:
        ask = read_ask(self._body)
        if isinstance(ask, str):
            self._respond(400, b'{"error":{"message":"%s"}}' % ask.replace('"', "'").encode())
        elif ask.wish.status > 299:
            await _pause(ask.wish.first_ms)
            self._respond(ask.wish.status, error_answer(ask.wish.status), ask.wish.retry_after)
        else:
            await self._truth.write(self._served(ask))
            await _pause(ask.wish.first_ms)
            await (self._stream(ask) if ask.stream else self._whole(ask))
        self._next()

    def _next(self) -> None:
        if self._headers.get("connection", "").lower() == "close":
            self._transport.close()
        elif not self._transport.is_closing():
            self._expect_request()

    def _served(self, ask: Ask) -> Served:
        return Served(
            request_id=self._headers.get("x-request-id", ""),
            model=ask.model,
            stream=ask.stream,
            prompt_tokens=ask.prompt_tokens,
            completion_tokens=ask.completion_tokens,
            bearer=self._headers.get("authorization", ""),
            headers=tuple(sorted(self._headers)),
        )

    async def _whole(self, ask: Ask) -> None:
        if ask.wish.fault == "silent":
            await _for_ever()
        body = b"<html>not what you think" if ask.wish.fault == "garbage" else whole_answer(ask, _answer_id())
        head = _head(200, b"application/json", b"content-length: %d\r\n" % len(body))
        size = ask.wish.piece or len(body)
        pieces = [body[at : at + size] for at in range(0, len(body), size)]
        await self._send(ask, head, pieces)

    async def _stream(self, ask: Ask) -> None:
        if ask.wish.fault == "silent":
            await _for_ever()
        head = _head(200, b"text/event-stream", b"cache-control: no-cache\r\ntransfer-encoding: chunked\r\n")
        events = [b"data: {half a chunk\n\n"] if ask.wish.fault == "garbage" else stream_events(ask, _answer_id())
        if ask.wish.fault == "long_line":
            events = [b"data: " + b"x" * ask.wish.at]
        await self._send(ask, head, [*map(_chunk, events), b"0\r\n\r\n"])

    async def _send(self, ask: Ask, head: bytes, pieces: list[bytes]) -> None:
        """The pieces, ``gap_ms`` apart; a fault strikes after ``at`` bytes of them."""
        strikes = ask.wish.fault in ("reset", "cut", "hang")
        if not ask.wish.gap_ms:
            pieces = [b"".join(pieces)]
        left = ask.wish.at if strikes else _NO_BODY_END
        self._transport.write(head)
        for number, piece in enumerate(pieces):
            if number:
                await _pause(ask.wish.gap_ms)
            if left != _NO_BODY_END:
                piece, left = piece[:left], max(0, left - len(piece))
            self._transport.write(piece)
            if left == 0:
                await self._strike(ask.wish.fault)
                return

    async def _strike(self, fault: str) -> None:
        if fault == "hang":
            await _for_ever()
        if fault == "reset":
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_ON_CLOSE)
        self._transport.close()

    def _respond(self, status: int, body: bytes, retry_after: int = 0) -> None:
        more = b"retry-after: %d\r\n" % retry_after if retry_after else b""
        self._transport.write(_head(status, b"application/json", b"content-length: %d\r\n" % len(body) + more) + body)


def _head(status: int, content_type: bytes, more: bytes) -> bytes:
    return b"HTTP/1.1 %d Said\r\ncontent-type: %s\r\nx-request-id: req_truthful\r\n%s\r\n" % (
        status,
        content_type,
        more,
    )


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _answer_id() -> str:
    return f"chatcmpl-{uuid.uuid4().hex}"


async def _pause(ms: int) -> None:
    if ms:
        await asyncio.sleep(ms / 1000)


async def _for_ever() -> None:
    await asyncio.get_running_loop().create_future()


async def _serve(port: int, log: Path) -> None:
    truth = TruthLog(log)
    connections: set[Connection] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(truth, connections), "127.0.0.1", port, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description="A provider that logs what it bills, on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=0, help="0 takes any free port; the port is printed")
    parser.add_argument("--log", type=Path, required=True, help="the truth log, appended to")
    options = parser.parse_args()
    asyncio.run(_serve(options.port, options.log))


if __name__ == "__main__":
    main()
