"""Streams in the Responses dialect, as its clients read them: named events, numbered from 0, that build one response.

Source: the ``ResponseStreamEvent`` schemas of OpenAI's API description, and ``ResponseStreamState`` of openai-python, which
holds a stream to that order: created, in progress, each item and part added before it grows and done before the end.
"""

from collections.abc import Callable, Generator, Iterator, Mapping
from itertools import chain
from typing import Any

import msgspec

from keeptrusts.core.calls.conversation import (
    Begin,
    Broken,
    Conversation,
    Ended,
    Stopped,
    StopReason,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    ToolBegin,
    ToolDelta,
    UsageNews,
)
from keeptrusts.core.calls.usage import Usage
from keeptrusts.core.dialects.openai_responses_growth import Call, Event, Item, Message, Thought
from keeptrusts.core.dialects.openai_responses_reply import INCOMPLETE, outcome, response_object, status_of
from keeptrusts.core.dialects.openai_responses_usage import usage_object
from keeptrusts.core.dialects.sse import sse_event

_encode = msgspec.json.Encoder(decimal_format="number").encode

_UNNAMED = "resp_0"
"""The id of a response that broke before its provider gave it one."""

_ERROR_CODES = frozenset({"server_error", "rate_limit_exceeded", "invalid_prompt"})
"""What a failed response's ``error.code`` may say here; anything else is told as ``server_error``."""


class StreamWriter:
    """Writes one stream. The dialect knows one choice: what is said in others is not told."""

    def __init__(self, asked: Conversation, created_s: int) -> None:
        self._asked = asked
        self._created_s = created_s
        self._response: dict[str, Any] = {}
        self._items: list[Item] = []
        self._speaking: Message | Thought | None = None
        self._calls: dict[int, Call] = {}
        self._stop: StopReason = "stop"
        self._usage: Usage | None = None
        self._sequence_number = 0
        self._over = False

    def write(self, event: StreamEvent) -> bytes:
        """The events that tell this, zero or more. Nothing follows the end, nor an error."""
        if self._over or getattr(event, "choice", 0) != 0:
            return b""
        unbegun = not self._response and not isinstance(event, Begin)
        before = self._begin(Begin(_UNNAMED)) if unbegun else ()
        return b"".join(map(self._numbered, chain(before, _TELL[type(event)](self, event))))

    def _numbered(self, event: Event) -> bytes:
        event["sequence_number"] = self._sequence_number
        self._sequence_number += 1
        return sse_event(_encode(event), event["type"])

    def _begin(self, event: Begin) -> Iterator[Event]:
        if not self._response:
            self._usage = event.usage
            self._response = response_object(event.id, event.model, self._created_s, self._asked)
            yield {"type": "response.created", "response": self._response}
            yield {"type": "response.in_progress", "response": self._response}

    def _say(self, event: TextDelta) -> Iterator[Event]:
        if event.text:
            if not isinstance(self._speaking, Message):
                yield from self._fall_silent()
                self._speaking = Message(*self._next_place())
                yield self._open(self._speaking)
            yield from self._speaking.grow(event.text, event.refusal)

    def _think(self, event: ThinkingDelta) -> Iterator[Event]:
        if event.text:
            thought = yield from self._thought()
            yield from thought.grow(event.text)
        if event.signature is not None:
            thought = yield from self._thought()
            yield from thought.sign(event.signature)
            yield from self._fall_silent()
        if event.redacted is not None:
            yield from self._fall_silent()
            thought = yield from self._thought()
            thought.sealed = event.redacted
            yield from self._fall_silent()

    def _thought(self) -> Generator[Event, None, Thought]:
        """The thought that grows now, begun if there is none."""
        if isinstance(self._speaking, Thought):
            return self._speaking
        yield from self._fall_silent()
        self._speaking = thought = Thought(*self._next_place())
        yield self._open(thought)
        return thought

    def _begin_call(self, event: ToolBegin) -> Iterator[Event]:
        """Calls stay open to the end: what grows them may come in any order."""
        yield from self._fall_silent()
        self._calls[event.tool] = call = Call(*self._next_place(), event.id, event.name)
        yield self._open(call)

    def _grow_call(self, event: ToolDelta) -> Iterator[Event]:
        call = self._calls.get(event.tool)
        if call is not None and event.arguments:
            yield call.grow(event.arguments)

    def _stopped(self, event: Stopped) -> Iterator[Event]:
        self._stop = event.stop
        yield from ()

    def _note_usage(self, event: UsageNews) -> Iterator[Event]:
        self._usage = event.usage
        yield from ()

    def _end(self, event: Ended) -> Iterator[Event]:
        for item in self._items:
            yield from item.done(status_of(self._stop) if item is self._items[-1] else "completed")
        self._over = True
        kind = "response.incomplete" if self._stop in INCOMPLETE else "response.completed"
        yield self._final(kind, outcome(self._stop))

    def _break(self, event: Broken) -> Iterator[Event]:
        """The error, flat as the schema has it and in an envelope as OpenAI sends it, for which SDKs raise; then the end."""
        self._over = True
        told = {"code": event.kind, "message": event.message, "param": None}
        yield {"type": "error", **told, "error": {"type": event.kind or "server_error", **told}}
        code = event.kind if event.kind in _ERROR_CODES else "server_error"
        yield self._final("response.failed", {"status": "failed", "error": {"code": code, "message": event.message}})

    def _next_place(self) -> tuple[str, int]:
        """The response's id, and the place in its output of an item that begins now."""
        return self._response["id"], len(self._items)

    def _open(self, item: Item) -> Event:
        self._items.append(item)
        return item.added()

    def _fall_silent(self) -> Iterator[Event]:
        """What is being said or thought is complete."""
        if self._speaking is not None:
            yield from self._speaking.done("completed")
            self._speaking = None

    def _final(self, kind: str, how: Mapping[str, Any]) -> Event:
        output = [item.object() for item in self._items]
        return {
            "type": kind,
            "response": {**self._response, **how, "output": output, "usage": usage_object(self._usage)},
        }


_TELL: Mapping[type[StreamEvent], Callable[[StreamWriter, Any], Iterator[Event]]] = {
    Begin: StreamWriter._begin,
    TextDelta: StreamWriter._say,
    ThinkingDelta: StreamWriter._think,
    ToolBegin: StreamWriter._begin_call,
    ToolDelta: StreamWriter._grow_call,
    Stopped: StreamWriter._stopped,
    UsageNews: StreamWriter._note_usage,
    Ended: StreamWriter._end,
    Broken: StreamWriter._break,
}
