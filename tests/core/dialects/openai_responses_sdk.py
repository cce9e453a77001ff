"""The official SDK, told answers by a transport that has no network: what it makes of our bytes is what clients see."""

from collections.abc import Iterable
from functools import cache
from typing import Any

import httpx2
import openai
from pydantic import TypeAdapter

from keeptrusts.core.calls.conversation import Conversation, StreamEvent, Text, Turn
from keeptrusts.core.dialects.openai_responses_stream import StreamWriter

ASKED = Conversation(model="gpt-5", turns=(Turn("user", (Text("Hello"),)),))


def client(body: bytes, status: int = 200, content_type: str = "application/json") -> openai.OpenAI:
    """A client that is answered so, whatever it asks."""

    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, content=body, headers={"content-type": content_type})

    transport = httpx2.MockTransport(answer)
    return openai.OpenAI(
        api_key="k", base_url="http://test", max_retries=0, http_client=httpx2.Client(transport=transport)
    )


def streaming(stream: bytes) -> openai.OpenAI:
    """A client that is answered with this stream."""
    return client(stream, content_type="text/event-stream")


def written(events: Iterable[StreamEvent], asked: Conversation = ASKED) -> bytes:
    """The stream of these events."""
    writer = StreamWriter(asked, 1_700_000_000)
    return b"".join(map(writer.write, events))


def checked(kind: Any, value: Any) -> Any:
    """``value`` as the SDK's type, every field checked: the SDK itself takes whatever it gets."""
    return _adapter(kind).validate_python(value)


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
