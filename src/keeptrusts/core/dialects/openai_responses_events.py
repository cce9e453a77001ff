"""Streams that providers send in the Responses dialect, read into the neutral form's events.

Source: the ``ResponseStreamEvent`` schemas of OpenAI's API description. Some who speak the dialect leave out deltas, or the
events that begin an item: what an item holds when it is done, and was not told before, is told then.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

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
from keeptrusts.core.dialects.openai_error import error_of
from keeptrusts.core.dialects.openai_responses_answer import (
    OutputItem,
    Response,
    call_id,
    decode_response,
    known_items,
    stop_of,
    texts_of,
    thought_of,
)
from keeptrusts.core.dialects.openai_responses_items import BETWEEN_SUMMARIES
from keeptrusts.core.dialects.openai_responses_usage import NOTHING, UNREADABLE, buckets
from keeptrusts.core.dialects.sse import EventsReader

MOST_ITEMS = 4_096
"""No output has more; what is beyond is not read."""


class _News(Struct, frozen=True):
    """An event: the union of the fields that we read."""

    type: str
    output_index: int = 0
    summary_index: int = 0
    delta: Any = None
    item: Raw = NOTHING
    response: Raw = NOTHING
    code: Any = None
    message: Any = None
    error: Any = None


_decode = msgspec.json.Decoder(_News).decode


class _Told:
    """What was told of an item: whether anything was, under which number its call, and by which event its thinking."""

    __slots__ = ("anything", "thinking", "tool")

    def __init__(self) -> None:
        self.anything = False
        self.tool: int | None = None
        self.thinking: str | None = None


class StreamReader(EventsReader):
    """Reads a provider's stream, cut anywhere, as events. What makes no sense is skipped; no bytes make it raise.

    After ``Ended`` or ``Broken`` nothing is read. A stream that stops without either did not come to its end.
    """

    def __init__(self) -> None:
        super().__init__()
        self._items: dict[int, _Told] = {}
        self._tool_count = 0
        self._begun = False
        self._over = False

    def _take(self, name: str, data: bytes) -> Iterator[StreamEvent]:
        try:
            news = _decode(data)
            read = _READ.get(news.type)
            if read is not None and not self._over and 0 <= news.output_index < MOST_ITEMS:
                # Read whole before any of it counts: an event that turns out to be malformed says nothing.
                yield from list(read(self, news))
        except UNREADABLE:
            return

    def _begin(self, news: _News) -> Iterator[StreamEvent]:
        yield from self._begin_with(decode_response(news.response))

    def _begin_with(self, response: Response) -> Iterator[StreamEvent]:
        if not self._begun:
            self._begun = True
            yield Begin(response.id, response.model)

    def _told(self, news: _News) -> _Told:
        return self._items.setdefault(news.output_index, _Told())

    def _item_added(self, news: _News) -> Iterator[StreamEvent]:
        for item in known_items([news.item]):
            self._items[news.output_index] = told = _Told()
            if item.type == "function_call":
                yield self._call(item, told)

    def _call(self, item: OutputItem, told: _Told) -> ToolBegin:
        told.tool = self._tool_count
        self._tool_count += 1
        return ToolBegin(call_id(item), item.name, told.tool)

    def _text(self, news: _News) -> Iterator[StreamEvent]:
        if isinstance(news.delta, str) and news.delta:
            self._told(news).anything = True
            yield TextDelta(news.delta, refusal=news.type == "response.refusal.delta")

    def _arguments(self, news: _News) -> Iterator[StreamEvent]:
        told = self._told(news)
        if isinstance(news.delta, str) and news.delta and told.tool is not None:
            told.anything = True
            yield ToolDelta(news.delta, told.tool)

    def _thinking(self, news: _News) -> Iterator[StreamEvent]:
        """Thinking, or a summary of it: where a provider tells both, the one that comes first."""
        told = self._told(news)
        told.thinking = told.thinking or news.type
        if isinstance(news.delta, str) and news.delta and news.type == told.thinking:
            told.anything = True
            yield ThinkingDelta(news.delta)

    def _next_summary(self, news: _News) -> Iterator[StreamEvent]:
        if news.summary_index > 0 and self._told(news).thinking in (None, "response.reasoning_summary_text.delta"):
            yield ThinkingDelta(BETWEEN_SUMMARIES)

    def _item_done(self, news: _News) -> Iterator[StreamEvent]:
        for item in known_items([news.item]):
            yield from _DONE[item.type](self, item, self._told(news))

    def _message_done(self, item: OutputItem, told: _Told) -> Iterator[StreamEvent]:
        if not told.anything:
            told.anything = True
            yield from (TextDelta(text.text, refusal=text.refusal) for text in texts_of(item) if text.text)

    def _call_done(self, item: OutputItem, told: _Told) -> Iterator[StreamEvent]:
        if told.tool is None:
            yield self._call(item, told)
        if not told.anything and item.arguments and told.tool is not None:
            told.anything = True
            yield ToolDelta(item.arguments, told.tool)

    def _thought_done(self, item: OutputItem, told: _Told) -> Iterator[StreamEvent]:
        thought = thought_of(item)
        if thought is None:
            return
        if thought.text and not told.anything:
            told.anything = True
            yield ThinkingDelta(thought.text)
        if thought.signature or thought.redacted:
            yield ThinkingDelta(signature=thought.signature, redacted=thought.redacted)

    def _ended(self, news: _News) -> Iterator[StreamEvent]:
        response = decode_response(news.response)
        untold = [] if self._items else list(known_items((response.output or [])[:MOST_ITEMS]))
        yield from self._begin_with(response)
        for item in untold:
            yield from _DONE[item.type](self, item, _Told())
        yield Stopped(stop_of(response, self._tool_count > 0))
        yield from _usage_of(response)
        self._over = True
        yield Ended()

    def _failed(self, news: _News) -> Iterator[StreamEvent]:
        response = decode_response(news.response)
        yield from _usage_of(response)
        yield self._broken(response.error)

    def _error(self, news: _News) -> Iterator[StreamEvent]:
        """An error is told flat, as the schema has it, or in an envelope, as OpenAI sends it."""
        yield self._broken(news.error or {"code": news.code, "message": news.message})

    def _broken(self, error: Any) -> Broken:
        self._over = True
        kind, message = error_of({"error": error})
        return Broken(message or "The provider reports an error.", kind)


def _usage_of(response: Response) -> Iterator[StreamEvent]:
    usage = buckets(response.usage)
    if usage is not None:
        yield UsageNews(usage)


_READ: Mapping[str, Callable[[StreamReader, _News], Iterator[StreamEvent]]] = {
    "response.created": StreamReader._begin,
    "response.in_progress": StreamReader._begin,
    "response.output_item.added": StreamReader._item_added,
    "response.output_text.delta": StreamReader._text,
    "response.refusal.delta": StreamReader._text,
    "response.function_call_arguments.delta": StreamReader._arguments,
    "response.reasoning_summary_text.delta": StreamReader._thinking,
    "response.reasoning_text.delta": StreamReader._thinking,
    "response.reasoning_summary_part.added": StreamReader._next_summary,
    "response.output_item.done": StreamReader._item_done,
    "response.completed": StreamReader._ended,
    "response.incomplete": StreamReader._ended,
    "response.failed": StreamReader._failed,
    "error": StreamReader._error,
}
"""How an event of each type is read. The others repeat what these tell, or are of tools that were not asked for."""

_DONE: Mapping[str, Callable[[StreamReader, OutputItem, _Told], Iterator[StreamEvent]]] = {
    "message": StreamReader._message_done,
    "function_call": StreamReader._call_done,
    "reasoning": StreamReader._thought_done,
}
