"""A provider that speaks every vendor's dialect and keeps its own truth: what it bills is in its log before it answers.

``python -m tests.providers.foreign --log FILE [--port P]`` listens on 127.0.0.1 and prints the port. It is written from the
vendors' references alone, so that the product's reading of them and this one must agree; it refuses what the vendor would.
"""

import argparse
import asyncio
import json
import socket
import struct
import uuid
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.providers import (
    foreign_anthropic,
    foreign_bedrock,
    foreign_gemini,
    foreign_media,
    foreign_openai,
    foreign_responses,
)
from tests.providers.foreign_ask import Heard, Malformed, Plan, plan
from tests.providers.foreign_bill import bill
from tests.providers.foreign_keys import may_call
from tests.providers.truth import TruthLog

_RST_ON_CLOSE = struct.pack("ii", 1, 0)


class Route:
    """One of a vendor's routes: how it hears, answers and fails."""

    def __init__(
        self,
        provider: str,
        name: str,
        hear: Callable[[dict[str, Any], str], Heard],
        whole: Callable[[Plan, str], dict[str, Any]],
        events: Callable[[Plan, str], list[bytes]],
        vendor: ModuleType,
        broken: Callable[[], bytes] | None = None,
    ) -> None:
        self.provider = provider
        self.name = name
        self.hear = hear
        self.whole = whole
        self.events = events
        self.error: Callable[[int, str], dict[str, Any]] = vendor.error
        self.broken: Callable[[], bytes] = broken or vendor.broken
        self.stream_type: bytes = vendor.CONTENT_TYPE


def _openai_routes(provider: str, base: str) -> dict[str, Route]:
    vendor = foreign_openai
    routes = {
        f"{base}/chat/completions": Route(
            provider, "chat", vendor.hear_chat, vendor.whole_chat, vendor.chat_events, vendor
        ),
        f"{base}/completions": Route(
            provider, "completions", vendor.hear_completion, vendor.whole_completion, vendor.completion_events, vendor
        ),
        f"{base}/embeddings": Route(
            provider, "embeddings", vendor.hear_embedding, vendor.whole_embedding, vendor.no_events, vendor
        ),
    }
    if provider != "openai-compatible":
        told = foreign_responses
        routes[f"{base}/responses"] = Route(
            provider, "responses", told.hear, told.whole, told.events, vendor, told.broken
        )
    return routes


BASES = {
    "openai": "/v1",
    "azure": "/azure/openai/v1",
    "openai-compatible": "/compatible/v1",
    "anthropic": "",
    "gemini": "/v1beta",
    "bedrock": "",
}
"""Where each vendor is here, below this provider's address."""

_ROUTES = {
    **_openai_routes("openai", BASES["openai"]),
    **_openai_routes("azure", BASES["azure"]),
    **_openai_routes("openai-compatible", BASES["openai-compatible"]),
    "/v1/messages": Route(
        "anthropic",
        "messages",
        foreign_anthropic.hear,
        foreign_anthropic.whole,
        foreign_anthropic.events,
        foreign_anthropic,
    ),
}
_GEMINI = Route(
    "gemini", "generateContent", foreign_gemini.hear, foreign_gemini.whole, foreign_gemini.events, foreign_gemini
)
_BEDROCK = Route(
    "bedrock", "converse", foreign_bedrock.hear, foreign_bedrock.whole, foreign_bedrock.events, foreign_bedrock
)


def _route(path: str) -> Route | None:
    if path.startswith("/v1beta/models/") and path.endswith((":generateContent", ":streamGenerateContent")):
        return _GEMINI
    if path.startswith("/model/") and path.endswith(("/converse", "/converse-stream")):
        return _BEDROCK
    return _ROUTES.get(path)


class Server:
    """Answers connections, one call after the other on each."""

    def __init__(self, truth: TruthLog) -> None:
        self._truth = truth

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One call; whether another may follow on the connection."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        request_line, *lines = head.rstrip().split("\r\n")
        method, target, _ = request_line.split(" ")
        pairs = [line.split(":", 1) for line in lines]
        headers = {name.lower(): value.strip() for name, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        route = _route(target.partition("?")[0])
        if method == "POST" and target in foreign_media.ROUTES:
            await self._media(writer, target, headers, body)
            return True
        if route is None or method != "POST":
            _respond(writer, 404, {"error": {"message": f"{method} {target} is not found", "code": 404}})
            return True
        if wrong := may_call(route.provider, method, target, headers, body):
            _respond(writer, 401, route.error(401, wrong))
            return True
        answer_id = uuid.uuid4().hex[:12]
        try:
            heard = route.hear(json.loads(body), target)
        except (Malformed, KeyError, TypeError, ValueError) as error:
            said = str(error) if isinstance(error, Malformed) else f"{type(error).__name__}: {error}"
            _respond(writer, 400, route.error(400, said), errortype=_errortype(route, 400))
            return True
        answer = plan(heard, answer_id, route.provider in ("anthropic", "bedrock"))
        wish = answer.wish
        if wish.status > 299:
            told = route.error(wish.status, f"told to fail with {wish.status}")
            _respond(writer, wish.status, told, wish.retry_after, _errortype(route, wish.status))
            return True
        if wish.fault == "bad_key":
            _respond(writer, 400, route.error(400, "API key not valid. Please pass a valid API key."))
            return True
        await self._truth.write(bill(answer, route.provider, route.name, headers))
        if heard.stream:
            return await _stream(writer, route, answer, answer_id)
        _respond(writer, 200, route.whole(answer, answer_id))
        return True

    async def _media(self, writer: asyncio.StreamWriter, path: str, headers: dict[str, str], body: bytes) -> None:
        error: Callable[[int, str], dict[str, Any]] = foreign_openai.error
        if wrong := may_call("openai", "POST", path, headers, body):
            _respond(writer, 401, error(401, wrong))
            return
        try:
            told, billed = foreign_media.answer(path, headers, body)
        except Malformed as malformed:
            _respond(writer, 400, error(400, str(malformed)))
            return
        await self._truth.write(billed)
        writer.write(f"HTTP/1.1 200 OK\r\ncontent-type: {told.content_type}\r\n".encode())
        writer.write(b"transfer-encoding: chunked\r\n\r\n")
        step = -(-len(told.body) // told.chunks)
        for start in range(0, len(told.body), step):
            piece = told.body[start : start + step]
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
        writer.write(b"0\r\n\r\n")


def _errortype(route: Route, status: int) -> str | None:
    return foreign_bedrock.exception_of(status) if route.provider == "bedrock" else None


def _respond(
    writer: asyncio.StreamWriter,
    status: int,
    answer: dict[str, Any],
    retry_after: int = 0,
    errortype: str | None = None,
) -> None:
    body = json.dumps(answer, ensure_ascii=False).encode()
    more = f"retry-after: {retry_after}\r\n" if retry_after else ""
    more += f"x-amzn-errortype: {errortype}\r\n" if errortype else ""
    head = f"HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n{more}\r\n"
    writer.write(head.encode() + body)


async def _stream(writer: asyncio.StreamWriter, route: Route, answer: Plan, answer_id: str) -> bool:
    wish = answer.wish
    head = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ntransfer-encoding: chunked\r\n\r\n" % route.stream_type
    events = route.events(answer, answer_id)
    if wish.fault in ("cut", "reset", "error", "short"):
        events = events[: wish.at]
    if wish.fault == "error":
        events.append(route.broken())
    writer.write(head)
    for event in events:
        writer.write(b"%x\r\n%b\r\n" % (len(event), event))
        if wish.gap_ms:
            await asyncio.sleep(wish.gap_ms / 1000)
    if wish.fault == "reset":
        # What was written must be out before, or nothing of it arrives.
        await writer.drain()
        await asyncio.sleep(0.02)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_ON_CLOSE)
    if wish.fault in ("cut", "reset"):
        return False
    writer.write(b"0\r\n\r\n")
    return True


async def _serve(port: int, log: Path) -> None:
    server = await asyncio.start_server(Server(TruthLog(log)).serve, "127.0.0.1", port, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description="A provider of every dialect that logs what it bills, on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=0, help="0 takes any free port; the port is printed")
    parser.add_argument("--log", type=Path, required=True, help="the truth log, appended to")
    options = parser.parse_args()
    asyncio.run(_serve(options.port, options.log))


if __name__ == "__main__":
    main()
