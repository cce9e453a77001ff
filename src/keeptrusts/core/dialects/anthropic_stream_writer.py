"""The neutral form's events, written as a stream of the Messages API.

Source: ``RawMessageStreamEvent`` of Anthropic's SDK, whose reader goes by the events' names and the blocks' indexes.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from keeptrusts.core.calls.conversation import (
    Begin,
    Broken,
    Conversation,
    Ended,
    Stopped,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    ToolBegin,
    ToolDelta,
    UsageNews,
)
from keeptrusts.core.calls.usage import Usage
from keeptrusts.core.dialects.anthropic_errors import broken_body
from keeptrusts.core.dialects.anthropic_reply import STOPS_OUT
from keeptrusts.core.dialects.anthropic_thinking import telling
from keeptrusts.core.dialects.anthropic_usage import write_usage
from keeptrusts.core.dialects.sse import sse_event

_encode = msgspec.json.Encoder().encode


def _event(name: str, **fields: Any) -> bytes:
    return sse_event(_encode({"type": name, **fields}), name)


class StreamWriter:
    """Writes one stream for a client that asked for ``asked``. The dialect knows one choice, and tells no time: events of
    other choices are passed over, and so is ``created_s``. Nothing is written after the end or an error.

    One block is open at a time, as the dialect has it. A late piece of a call whose block is closed goes out under that
    block's index, by which the SDK puts it in its place.
    """

    __slots__ = ("_asked", "_begun", "_index", "_open", "_over", "_stopped", "_telling", "_tools", "_usage")

    def __init__(self, asked: Conversation, created_s: int) -> None:
        self._asked = asked
        self._telling = telling(asked)
        self._begun = False
        self._over = False
        self._index = -1  # of the newest block
        self._open: str | None = None  # the type of the block that is open
        self._tools: dict[int, int] = {}  # the index of each call's block, by the call's number
        self._stopped = Stopped("stop")
        self._usage: Usage | None = None

    def write(self, event: StreamEvent) -> bytes:
        """What the event adds to the stream: whole server-sent events, or nothing yet."""
        if self._over or getattr(event, "choice", 0) != 0:
            return b""
        return b"".join(_WRITERS[type(event)](self, event))

    def _begin(self, event: Begin) -> Iterator[bytes]:
        if self._begun:
            return
        self._begun = True
        self._usage = event.usage
        message: dict[str, Any] = {
            "id": event.id,
            "type": "message",
            "role": "assistant",
            "model": event.model or self._asked.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": write_usage(event.usage),
        }
        yield _event("message_start", message=message)

    def _text(self, event: TextDelta) -> Iterator[bytes]:
        yield from self._within("text", {"text": ""})
        yield self._delta("text_delta", self._index, text=event.text)

    def _thinking(self, event: ThinkingDelta) -> Iterator[bytes]:
        if self._telling == "nothing":
            return
        if event.redacted:
            yield from self._block("redacted_thinking", {"data": event.redacted})
            yield from self._close()
        if event.text and self._telling == "all":
            yield from self._within("thinking", _NO_THINKING)
            yield self._delta("thinking_delta", self._index, thinking=event.text)
        if event.signature:
            yield from self._within("thinking", _NO_THINKING)
            yield self._delta("signature_delta", self._index, signature=event.signature)
            yield from self._close()

    def _tool_begin(self, event: ToolBegin) -> Iterator[bytes]:
        yield from self._block("tool_use", {"id": event.id, "name": event.name, "input": {}})
        self._tools[event.tool] = self._index

    def _tool_delta(self, event: ToolDelta) -> Iterator[bytes]:
        if event.tool in self._tools:
            yield self._delta("input_json_delta", self._tools[event.tool], partial_json=event.arguments)

    def _stop(self, event: Stopped) -> Iterator[bytes]:
        self._stopped = event
        return self._close()

    def _news(self, event: UsageNews) -> Iterator[bytes]:
        self._usage = event.usage
        return iter(())

    def _end(self, _: Ended) -> Iterator[bytes]:
        self._over = True
        yield from self._begin(Begin(""))
        yield from self._close()
        delta = {"stop_reason": STOPS_OUT[self._stopped.stop], "stop_sequence": self._stopped.stop_sequence}
        yield _event("message_delta", delta=delta, usage=write_usage(self._usage))
        yield _event("message_stop")

    def _break(self, event: Broken) -> Iterator[bytes]:
        self._over = True
        yield sse_event(broken_body(event.message, event.kind), "error")

    def _delta(self, kind: str, index: int, **said: str) -> bytes:
        return _event("content_block_delta", index=index, delta={"type": kind, **said})

    def _within(self, kind: str, empty: Mapping[str, Any]) -> Iterator[bytes]:
        """A block of that type is open."""
        if self._open != kind:
            yield from self._block(kind, empty)

    def _block(self, kind: str, content: Mapping[str, Any]) -> Iterator[bytes]:
        """A new block."""
        yield from self._begin(Begin(""))
        yield from self._close()
        self._open = kind
        self._index += 1
        yield _event("content_block_start", index=self._index, content_block={"type": kind, **content})

    def _close(self) -> Iterator[bytes]:
        if self._open is not None:
            self._open = None
            yield _event("content_block_stop", index=self._index)


_NO_THINKING: Mapping[str, Any] = {"thinking": "", "signature": ""}

_WRITERS: Mapping[type, Callable[[StreamWriter, Any], Iterator[bytes]]] = {
    Begin: StreamWriter._begin,
    TextDelta: StreamWriter._text,
    ThinkingDelta: StreamWriter._thinking,
    ToolBegin: StreamWriter._tool_begin,
    ToolDelta: StreamWriter._tool_delta,
    Stopped: StreamWriter._stop,
    UsageNews: StreamWriter._news,
    Ended: StreamWriter._end,
    Broken: StreamWriter._break,
}
