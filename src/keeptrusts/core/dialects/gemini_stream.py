"""A stream of Gemini's: server-sent events, each a ``GenerateContentResponse`` with more of the answer."""

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
from keeptrusts.core.calls.usage import Usage
from keeptrusts.core.dialects.gemini_reply import (
    UNREADABLE,
    Answer,
    Candidate,
    FunctionCall,
    arguments_of,
    call_id,
    decode_answer,
    error_of,
    read_usage,
    stop_reason,
)
from keeptrusts.core.dialects.gemini_thinking import marked
from keeptrusts.core.dialects.sse import SseReader


class StreamReader:
    """Reads one stream. Nothing in it says that it is complete: that shows when it ends, so ``finish`` reports it."""

    __slots__ = ("_begun", "_calls", "_id", "_over", "_reasons", "_sse", "_usage")

    def __init__(self) -> None:
        self._sse = SseReader()
        self._begun = False
        self._over = False
        self._id = ""
        self._calls: dict[int, int] = {}
        self._reasons: dict[int, str | None] = {}
        self._usage: Usage | None = None

    @property
    def overfull(self) -> bool:
        """Whether an event has begun that is larger than any may be."""
        return self._sse.overfull

    def feed(self, data: bytes) -> list[StreamEvent]:
        """The events that ``data`` completes."""
        return [event for _, payload in self._sse.feed(data) for event in self._read(payload)]

    def finish(self) -> list[StreamEvent]:
        """The stream came to its end: what is left in it, and, if every choice said why it stopped, that it is complete.

        Some models say STOP with every piece, so that a reason holds only once nothing follows it.
        """
        events = [event for _, payload in self._sse.finish() for event in self._read(payload)]
        if self._over or not self._reasons or None in self._reasons.values():
            return events
        self._over = True
        reasons = sorted(self._reasons.items())
        stops = [Stopped(stop_reason(reason, choice in self._calls), choice) for choice, reason in reasons]
        return [*events, *stops, Ended()]

    def _read(self, payload: bytes) -> list[StreamEvent]:
        if self._over:
            return []
        try:
            answer = decode_answer(payload)
        except UNREADABLE:
            return []
        if answer.error is not None:
            self._over = True
            kind, message = error_of(answer)
            return [Broken(message or "Gemini reports an error without words.", kind)]
        return self._events(answer)

    def _events(self, answer: Answer) -> list[StreamEvent]:
        events: list[StreamEvent] = []
        if not self._begun:
            self._begun = True
            self._id = answer.response_id or ""
            events.append(Begin(self._id, answer.model_version))
        if answer.blocked:
            self._reasons[0] = "BLOCKED"
        for candidate in answer.candidates or ():
            self._take(candidate, events)
        usage = read_usage(answer.usage_metadata)
        if usage is not None and usage != self._usage:
            self._usage = usage
            events.append(UsageNews(usage))
        return events

    def _take(self, candidate: Candidate, events: list[StreamEvent]) -> None:
        choice = candidate.index
        self._reasons[choice] = candidate.finish_reason or self._reasons.get(choice)
        for part in candidate.parts:
            signature = marked(part.thought_signature) if part.thought_signature is not None else None
            if part.thought:
                events.append(ThinkingDelta(part.text or "", choice, signature))
                continue
            if signature is not None:
                events.append(ThinkingDelta(choice=choice, signature=signature))
            if part.function_call is not None:
                events += self._call(part.function_call, choice)
            elif part.text:
                events.append(TextDelta(part.text, choice))

    def _call(self, call: FunctionCall, choice: int) -> list[StreamEvent]:
        """Gemini sends a call in one piece."""
        number = self._calls.get(choice, 0)
        self._calls[choice] = number + 1
        begin = ToolBegin(call_id(call, self._id, choice, number), call.name, number, choice)
        return [begin, ToolDelta(arguments_of(call), number, choice)]
