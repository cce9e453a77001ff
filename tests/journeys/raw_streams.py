"""Streams asked for on raw sockets, many at once: each caller reads as many events as it likes, and leaves."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tests.journeys.crowd import post_bytes
from tests.journeys.world import Till

_TOGETHER_MAX = 12
_ALL = 1_000_000

PATHS: Mapping[str, str] = {
    "chat": "/v1/chat/completions",
    "completions": "/v1/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
}
_PROMPTS: Mapping[str, Callable[[str], dict[str, object]]] = {
    "chat": lambda prompt: {"messages": [{"role": "user", "content": prompt}], "max_completion_tokens": 64},
    "completions": lambda prompt: {"prompt": prompt, "max_tokens": 64},
    "responses": lambda prompt: {"input": prompt, "max_output_tokens": 64},
    "messages": lambda prompt: {"messages": [{"role": "user", "content": prompt}], "max_tokens": 64},
}
ENDS: Mapping[str, bytes] = {
    "chat": b"data: [DONE]",
    "completions": b"data: [DONE]",
    "responses": b"event: response.completed",
    "messages": b"event: message_stop",
}
"""What tells a client of this door that the answer is complete."""


@dataclass(frozen=True, slots=True)
class Caller:
    """One call. It leaves after ``events`` events of the answer, or stays to the end."""

    prompt: str
    events: int = _ALL


def request(till: Till, door: str, model: str, prompt: str, stream: bool = True) -> bytes:
    """A request as bytes, under the till's next id."""
    body = {"model": model, "stream": stream, **_PROMPTS[door](prompt)}
    headers = {"authorization": f"Bearer {till.key.secret}", "x-request-id": till.next_id()}
    return post_bytes(PATHS[door], json.dumps(body).encode(), headers)


def call_all(till: Till, door: str, model: str, callers: Sequence[Caller], deadline_s: float = 60.0) -> list[bytes]:
    """What each caller saw, in their order."""
    requests = [request(till, door, model, caller.prompt) for caller in callers]

    async def run() -> list[bytes]:
        room = asyncio.Semaphore(_TOGETHER_MAX)

        async def one(data: bytes, caller: Caller) -> bytes:
            async with room:
                return await _call(till.world.gateway_port, data, caller.events)

        async with asyncio.timeout(deadline_s):
            return await asyncio.gather(*map(one, requests, callers))

    return asyncio.run(run())


async def _call(port: int, data: bytes, events: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    seen = b""
    try:
        while seen.count(b"\n\n") < events:
            more = await reader.read(65_536)
            if not more:
                break
            seen += more
    except ConnectionResetError:
        pass
    finally:
        writer.close()
    return seen
