"""A stream of Anthropic's Messages API, read into the neutral form's events.

Source: ``RawMessageStreamEvent`` of Anthropic's SDK, and "Streaming Messages": ``message_start``, then blocks one after the
other, then ``message_delta`` with cumulative usage, then ``message_stop``; ``ping`` and ``error`` anywhere.
"""

from collections.abc import Callable, Iterator, Mapping

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
from keeptrusts.core.dialects.anthropic_reply import NO_INPUT, STOPS_IN, Block
from keeptrusts.core.dialects.anthropic_usage import Figures, read_figures, usage_of
from keeptrusts.core.dialects.sse import EventsReader

_UNREADABLE = "The provider reports an error in words that can't be read."
_NOTHING_SAID = (bytes(NO_INPUT), b"null")


class _Start(Struct, frozen=True):
    id: str = ""
    model: str | None = None
    usage: Raw = Raw()


class _Delta(Struct, frozen=True):
    type: str | None = None
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: str | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None


class _Error(Struct, frozen=True):
    message: str
    type: str | None = None


class _Event(Struct, frozen=True):
    """One event's data, whatever its type."""

    type: str | None = None
    index: int = 0
    message: _Start = _Start()
    content_block: Block = Block("")
    delta: _Delta = _Delta()
    usage: Raw = Raw()
    error: _Error = _Error(_UNREADABLE)


_decode = msgspec.json.Decoder(_Event).decode


class StreamReader(EventsReader):
    """Reads one stream, cut anywhere. Events that are not of the dialect, and blocks that only Anthropic's own servers make,
    are passed over; nothing is read after the end or an error."""

    __slots__ = ("_figures", "_over", "_tools")

    def __init__(self) -> None:
        super().__init__()
        self._figures = Figures()
        self._tools: dict[int, int] = {}  # the number of each call, by its block's index
        self._over = False

    def _take(self, name: str, data: bytes) -> Iterator[StreamEvent]:
        if self._over:
            return
        try:
            event = _decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            if name != "error":
                return
            event = _Event("error")
        kind = event.type or name
        self._over = kind in ("error", "message_stop")
        if kind in _TAKERS:
            yield from _TAKERS[kind](self, event)

    def _start(self, event: _Event) -> Iterator[StreamEvent]:
        self._figures = read_figures(event.message.usage) or Figures()
        yield Begin(event.message.id, event.message.model, usage_of(self._figures))

    def _block(self, event: _Event) -> Iterator[StreamEvent]:
        """A block begins, empty as a rule; some providers send all of it at once."""
        block = event.content_block
        match block.type:
            case "text" if block.text:
                yield TextDelta(block.text)
            case "thinking":
                yield from self._thinking(block.thinking, block.signature)
            case "redacted_thinking" if block.data:
                yield ThinkingDelta(redacted=block.data)
            case "tool_use":
                tool = self._tools[event.index] = len(self._tools)
                yield ToolBegin(block.id or "", block.name or "", tool)
                if bytes(block.input) not in _NOTHING_SAID:
                    yield ToolDelta(bytes(block.input).decode(errors="replace"), tool)

    def _delta(self, event: _Event) -> Iterator[StreamEvent]:
        delta = event.delta
        match delta.type:
            case "text_delta" if delta.text:
                yield TextDelta(delta.text)
            case "thinking_delta" | "signature_delta":
                yield from self._thinking(delta.thinking, delta.signature)
            case "input_json_delta" if delta.partial_json and event.index in self._tools:
                yield ToolDelta(delta.partial_json, self._tools[event.index])

    def _thinking(self, text: str | None, signature: str | None) -> Iterator[StreamEvent]:
        if text:
            yield ThinkingDelta(text)
        if signature:
            yield ThinkingDelta(signature=signature)

    def _message_delta(self, event: _Event) -> Iterator[StreamEvent]:
        if event.delta.stop_reason is not None:
            yield Stopped(STOPS_IN.get(event.delta.stop_reason, "stop"), stop_sequence=event.delta.stop_sequence)
        figures = read_figures(event.usage)
        if figures is not None:
            self._figures = self._figures.then(figures)
            usage = usage_of(self._figures)
            if usage is not None:
                yield UsageNews(usage)

    def _stop(self, _: _Event) -> Iterator[StreamEvent]:
        yield Ended()

    def _error(self, event: _Event) -> Iterator[StreamEvent]:
        yield Broken(event.error.message, event.error.type)


_TAKERS: Mapping[str, Callable[[StreamReader, _Event], Iterator[StreamEvent]]] = {
    "message_start": StreamReader._start,
    "content_block_start": StreamReader._block,
    "content_block_delta": StreamReader._delta,
    "message_delta": StreamReader._message_delta,
    "message_stop": StreamReader._stop,
    "error": StreamReader._error,
}
