"""Many callers at once on raw sockets, in one event loop: they connect, wait for each other, then all ask together."""

import asyncio
import json
from collections.abc import Sequence
from itertools import cycle

from tests.journeys.web import Answer

_CONNECTING_MAX = 200


def ask_together(ports: Sequence[int], requests: Sequence[bytes], deadline_s: float = 90.0) -> list[Answer]:
    """Send every request on a connection of its own, none before all are connected; answers in the order of requests.

    The requests go to the ports of 127.0.0.1 in turn.
    """

    async def run() -> list[Answer]:
        async with asyncio.timeout(deadline_s):
            return await _ask_together(ports, requests)

    return asyncio.run(run())


def post_bytes(path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """A whole request as bytes, its connection to be closed after the answer."""
    lines = {"host": "127.0.0.1", "content-type": "application/json", "connection": "close", **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {path} HTTP/1.1\r\n{head}content-length: {len(body)}\r\n\r\n".encode() + body


def chat_bytes(model: str, prompt: str, headers: dict[str, str], **more: object) -> bytes:
    """A chat completion request as bytes."""
    body = {"model": model, "messages": [{"role": "user", "content": prompt}], **more}
    return post_bytes("/v1/chat/completions", json.dumps(body).encode(), headers)


def parse_answer(raw: bytes) -> Answer:
    """The one answer of a connection that was closed after it. Raises ValueError when it is cut short."""
    head, found, rest = raw.partition(b"\r\n\r\n")
    if not found:
        raise ValueError(f"no answer: {raw[:80]!r}")
    status_line, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)}
    if headers.get("transfer-encoding") == "chunked":
        rest = _dechunked(rest)
    elif len(rest) < int(headers.get("content-length", 0)):
        raise ValueError("the body is cut short")
    return Answer(int(status_line.split()[1]), headers, rest)


def _dechunked(data: bytes) -> bytes:
    parts: list[bytes] = []
    while True:
        size_line, found, data = data.partition(b"\r\n")
        if not found:
            raise ValueError("the body is cut short")
        size = int(size_line, 16)
        if size == 0:
            return b"".join(parts)
        parts.append(data[:size])
        data = data[size + 2 :]


async def _ask_together(ports: Sequence[int], requests: Sequence[bytes]) -> list[Answer]:
    connecting = asyncio.Semaphore(_CONNECTING_MAX)
    everyone_is_here = asyncio.Barrier(len(requests))

    async def caller(port: int, request: bytes) -> Answer:
        async with connecting:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            await everyone_is_here.wait()
            writer.write(request)
            return parse_answer(await reader.read(-1))
        finally:
            writer.close()

    async with asyncio.TaskGroup() as group:
        callers = [group.create_task(caller(*one)) for one in zip(cycle(ports), requests, strict=False)]
    return [task.result() for task in callers]
