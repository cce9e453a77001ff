"""A streamed answer in OpenAI's chat dialect: read from a provider's bytes as events, and written for an application.

Source: the ``CreateChatCompletionStreamResponse`` schema of OpenAI's API description; ``reasoning_content`` is DeepSeek's.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct

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
from keeptrusts.core.calls.replay import DONE_EVENT
from keeptrusts.core.calls.usage import Usage
from keeptrusts.core.dialects.openai_chat_reply import BROKEN_OFF, FINISH_REASONS, Content, call_id, spoken, stop_reason
from keeptrusts.core.dialects.openai_error import error_event, error_of
from keeptrusts.core.dialects.openai_usage import read_usage, write_usage
from keeptrusts.core.dialects.sse import EventsReader, sse_event

_encode = msgspec.json.Encoder().encode

DONE = b"[DONE]"
MOST_CHOICES = 128
MOST_TOOL_CALLS = 1_024
"""No answer has more; what is beyond is not read."""


class ChunkWriter:
    """What both streams of OpenAI have in common: the head of every chunk, and how a stream ends."""

    def __init__(self, asked: Conversation, created_s: int, kind: str) -> None:
        self._head: dict[str, Any] = {"id": "", "object": kind, "created": created_s, "model": asked.model}
        self._tells_usage = asked.include_usage
        self._usage: Usage | None = None

    def begin(self, event: Begin) -> None:
        """Takes note of what is said of the whole answer."""
        self._head["id"] = event.id
        self._head["model"] = event.model or self._head["model"]
        self._usage = event.usage

    def note_usage(self, event: UsageNews) -> None:
        """Takes note of the usage, to tell it at the end."""
        self._usage = event.usage

    def chunk(self, choice: Mapping[str, Any]) -> bytes:
        """A chunk of one choice."""
        usage = {"usage": None} if self._tells_usage else {}
        return sse_event(_encode({**self._head, "choices": [choice], **usage}))

    def end(self) -> bytes:
        """Usage, if it was asked for and is known, and the word that ends the stream."""
        if self._usage is None or not self._tells_usage:
            return DONE_EVENT
        return sse_event(_encode({**self._head, "choices": [], "usage": write_usage(self._usage)})) + DONE_EVENT


class StreamWriter:
    """Writes a stream for an application, event by event. Nothing is written after its end, or after a failure."""

    def __init__(self, asked: Conversation, created_s: int) -> None:
        self._chunks = ChunkWriter(asked, created_s, "chat.completion.chunk")
        self._begun: set[int] = set()
        self._over = False

    def write(self, event: StreamEvent) -> bytes:
        """The bytes of whole events that tell this one; none where the dialect has no word for it."""
        if self._over:
            return b""
        write: Callable[[StreamWriter, Any], bytes] = _WRITERS[type(event)]
        return write(self, event)

    def _begin(self, event: Begin) -> bytes:
        self._chunks.begin(event)
        return self._delta(0, {"content": ""})

    def _text(self, event: TextDelta) -> bytes:
        return self._delta(event.choice, {"refusal" if event.refusal else "content": event.text})

    def _thinking(self, event: ThinkingDelta) -> bytes:
        return self._delta(event.choice, {"reasoning_content": event.text}) if event.text else b""

    def _tool(self, event: ToolBegin) -> bytes:
        call = {"id": event.id, "type": "function", "function": {"name": event.name, "arguments": ""}}
        return self._delta(event.choice, {"tool_calls": [{"index": event.tool, **call}]})

    def _arguments(self, event: ToolDelta) -> bytes:
        call = {"index": event.tool, "function": {"arguments": event.arguments}}
        return self._delta(event.choice, {"tool_calls": [call]})

    def _stopped(self, event: Stopped) -> bytes:
        return self._delta(event.choice, {}, FINISH_REASONS[event.stop])

    def _usage(self, event: UsageNews) -> bytes:
        self._chunks.note_usage(event)
        return b""

    def _ended(self, _: Ended) -> bytes:
        self._over = True
        return self._chunks.end()

    def _broken(self, event: Broken) -> bytes:
        self._over = True
        return error_event(event.message, event.kind)

    def _delta(self, choice: int, delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        if choice not in self._begun:
            self._begun.add(choice)
            delta = {"role": "assistant", **delta}
        return self._chunks.chunk({"index": choice, "delta": delta, "logprobs": None, "finish_reason": finish_reason})


_WRITERS: Mapping[type[Any], Any] = {
    Begin: StreamWriter._begin,
    TextDelta: StreamWriter._text,
    ThinkingDelta: StreamWriter._thinking,
    ToolBegin: StreamWriter._tool,
    ToolDelta: StreamWriter._arguments,
    Stopped: StreamWriter._stopped,
    UsageNews: StreamWriter._usage,
    Ended: StreamWriter._ended,
    Broken: StreamWriter._broken,
}


class _Function(Struct, frozen=True):
    name: str | None = None
    arguments: str | None = None


class _Call(Struct, frozen=True):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Delta(Struct, frozen=True):
    content: Content = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(Struct, frozen=True):
    index: int = 0
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Chunk(Struct, frozen=True):
    id: str | None = None
    model: str | None = None
    choices: list[_Choice] | None = None
    usage: Any = None
    error: Any = None


_decode = msgspec.json.Decoder(_Chunk).decode
_NO_DELTA = _Delta()
_NO_FUNCTION = _Function()


class _OpenChoice:
    """What is known of a choice that is being told: its calls by their index there, as number and id, and their count."""

    def __init__(self) -> None:
        self.calls: dict[int, tuple[int, str]] = {}
        self.count = 0
        self.stopped = False


class StreamReader(EventsReader):
    """Reads a provider's stream, cut anywhere, as events. What makes no sense is skipped; no bytes make it raise.

    After ``Ended`` or ``Broken`` nothing is read. A stream that stops without either did not come to its end.
    """

    def __init__(self) -> None:
        super().__init__()
        self._choices: dict[int, _OpenChoice] = {}
        self._id: str | None = None
        self._over = False

    def _take(self, name: str, data: bytes) -> Iterator[StreamEvent]:
        if self._over:
            return
        if data.strip() == DONE:
            self._over = True
            yield Ended()
            return
        try:
            chunk = _decode(data)
        except (ValueError, RecursionError):
            return
        if chunk.error is not None:
            yield self._broken(chunk.error)
            return
        if self._id is None and (chunk.id or chunk.choices or chunk.usage):  # Azure's first chunk says nothing yet
            self._id = chunk.id or ""
            yield Begin(self._id, chunk.model or None)
        for choice in chunk.choices or ():
            if 0 <= choice.index < MOST_CHOICES and not self._over:
                yield from self._choice(choice)
        usage = read_usage(chunk.usage)
        if usage is not None and not self._over:
            yield UsageNews(usage)

    def _broken(self, error: Any) -> Broken:
        self._over = True
        kind, message = error_of({"error": error})
        return Broken(message or "The provider reports an error.", kind)

    def _choice(self, told: _Choice) -> Iterator[StreamEvent]:
        index, delta = told.index, told.delta or _NO_DELTA
        choice = self._choices.setdefault(index, _OpenChoice())
        if choice.stopped:
            return
        thought = delta.reasoning_content or delta.reasoning
        if thought:
            yield ThinkingDelta(thought, index)
        for text in spoken(delta.content):
            yield TextDelta(text, index)
        if delta.refusal:
            yield TextDelta(delta.refusal, index, refusal=True)
        for call in delta.tool_calls or ():
            yield from self._call(call, choice, index)
        if told.finish_reason in BROKEN_OFF:
            self._over = True
            yield Broken(f"The provider broke off its answer: {told.finish_reason}.", told.finish_reason)
        elif told.finish_reason is not None:
            choice.stopped = True
            yield Stopped(stop_reason(told.finish_reason, bool(choice.count)), index)

    def _call(self, call: _Call, choice: _OpenChoice, index: int) -> Iterator[StreamEvent]:
        """A piece of a call. A call begins with its name; a second one may come under the same index, or under none
        (Gemini's OpenAI endpoint), and is told by its id."""
        function, at = call.function or _NO_FUNCTION, call.index or 0
        known = choice.calls.get(at)
        if known is None or (function.name and call.id and call.id != known[1]):
            if not function.name or choice.count >= MOST_TOOL_CALLS:
                return
            known = (choice.count, call_id(call.id, f"{self._id}_{index}", choice.count))
            choice.calls[at] = known
            choice.count += 1
            yield ToolBegin(known[1], function.name, known[0], index)
        if function.arguments:
            yield ToolDelta(function.arguments, known[0], index)
