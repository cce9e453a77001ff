"""A stream of Bedrock's: ``ConverseStreamOutput`` events in Amazon's binary framing.

Source: ``ConverseStream`` in Amazon Bedrock's API reference.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import msgspec
from msgspec import Raw, Struct

from keeptrusts.core.calls.conversation import (
    Begin,
    Broken,
    Ended,
    Stopped,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    ToolBegin,
    ToolDelta,
    UsageNews,
)
from keeptrusts.core.dialects.aws_event_stream import EventStreamReader, Message
from keeptrusts.core.dialects.bedrock_reply import UNREADABLE, clean, read_error, read_usage, stop_reason


class _ToolStart(Struct, frozen=True, rename="camel"):
    tool_use_id: str
    name: str


class _Start(Struct, frozen=True, rename="camel"):
    tool_use: _ToolStart | None = None


class _BlockStart(Struct, frozen=True, rename="camel"):
    start: _Start
    content_block_index: int = 0


class _BlockStop(Struct, frozen=True, rename="camel"):
    content_block_index: int = 0


class _ToolInput(Struct, frozen=True):
    input: str = ""


class _Thought(Struct, frozen=True, rename="camel"):
    text: str | None = None
    signature: str | None = None
    redacted_content: str | None = None


class _Delta(Struct, frozen=True, rename="camel"):
    text: str | None = None
    tool_use: _ToolInput | None = None
    reasoning_content: _Thought | None = None


class _BlockDelta(Struct, frozen=True, rename="camel"):
    delta: _Delta
    content_block_index: int = 0


class _Stop(Struct, frozen=True, rename="camel"):
    stop_reason: str


class _Metadata(Struct, frozen=True):
    usage: Raw = Raw(b"null")


_decode_start = msgspec.json.Decoder(_BlockStart).decode
_decode_delta = msgspec.json.Decoder(_BlockDelta).decode
_decode_block_stop = msgspec.json.Decoder(_BlockStop).decode
_decode_stop = msgspec.json.Decoder(_Stop).decode
_decode_metadata = msgspec.json.Decoder(_Metadata).decode


class StreamReader:
    """Reads one stream. The metadata with the usage is its last event; a stream that lacks it ends with ``finish``."""

    __slots__ = ("_calls", "_frames", "_open", "_over", "_stopped", "_unfed")

    def __init__(self) -> None:
        self._frames = EventStreamReader()
        self._calls = 0
        self._open: dict[int, int] = {}
        self._unfed: set[int] = set()
        self._stopped = False
        self._over = False

    @property
    def overfull(self) -> bool:
        """Whether an event has begun that is larger than any may be."""
        return self._frames.overfull

    def feed(self, data: bytes) -> list[StreamEvent]:
        """The events that ``data`` completes. Bytes that are no event stream break it."""
        events = [event for message in self._frames.feed(data) for event in self._read(message)]
        if self._frames.damaged is not None and not self._over:
            self._over = True
            events.append(Broken(f"Bedrock's event stream is damaged: {self._frames.damaged}."))
        return events

    def finish(self) -> list[StreamEvent]:
        """The stream came to its end: it is complete if the model had said why it stopped."""
        if self._over or not self._stopped:
            return []
        self._over = True
        return [Ended()]

    def _read(self, message: Message) -> list[StreamEvent]:
        if self._over:
            return []
        if message.headers.get(":message-type", "event") != "event":
            self._over = True
            return [_broken(message)]
        read = _READERS.get(message.headers.get(":event-type", ""))
        try:
            return read(self, message.payload) if read is not None else []
        except UNREADABLE:
            return []

    def _begin(self, payload: bytes) -> list[StreamEvent]:
        return [Begin("")]

    def _start(self, payload: bytes) -> list[StreamEvent]:
        block = _decode_start(payload)
        if block.start.tool_use is None:
            return []
        number = self._calls
        self._calls += 1
        self._open[block.content_block_index] = number
        self._unfed.add(number)
        return [ToolBegin(block.start.tool_use.tool_use_id, block.start.tool_use.name, number)]

    def _delta(self, payload: bytes) -> list[StreamEvent]:
        block = _decode_delta(payload)
        events: list[StreamEvent] = []
        thought = block.delta.reasoning_content
        if thought is not None:
            events.append(
                ThinkingDelta(thought.text or "", signature=thought.signature, redacted=thought.redacted_content)
            )
        if block.delta.text:
            events.append(TextDelta(block.delta.text))
        call, number = block.delta.tool_use, self._open.get(block.content_block_index)
        if call is not None and call.input and number is not None:
            self._unfed.discard(number)
            events.append(ToolDelta(call.input, number))
        return events

    def _close(self, payload: bytes) -> list[StreamEvent]:
        """A call without arguments may come without a piece of them; they are an empty object all the same."""
        number = self._open.pop(_decode_block_stop(payload).content_block_index, None)
        if number is None or number not in self._unfed:
            return []
        self._unfed.discard(number)
        return [ToolDelta("{}", number)]

    def _stop(self, payload: bytes) -> list[StreamEvent]:
        reason = _decode_stop(payload).stop_reason
        if self._stopped:
            return []
        self._stopped = True
        return [Stopped(stop_reason(reason))]

    def _metadata(self, payload: bytes) -> list[StreamEvent]:
        usage = read_usage(_decode_metadata(payload).usage)
        news: list[StreamEvent] = [UsageNews(usage)] if usage is not None else []
        return news + self.finish()


_READERS: Mapping[str, Callable[[StreamReader, bytes], list[StreamEvent]]] = MappingProxyType(
    {
        "messageStart": StreamReader._begin,
        "contentBlockStart": StreamReader._start,
        "contentBlockDelta": StreamReader._delta,
        "contentBlockStop": StreamReader._close,
        "messageStop": StreamReader._stop,
        "metadata": StreamReader._metadata,
    }
)


def _broken(message: Message) -> Broken:
    """An exception that the API names, or an error of whoever stands before it."""
    kind = message.headers.get(":exception-type") or message.headers.get(":error-code")
    words = read_error(message.payload)[1] or message.headers.get(":error-message")
    return Broken(clean(words) if words else "Bedrock reports an error without words.", kind)
