"""Items of a Responses stream's output while they grow: each yields the events that add it, extend it and finish it.

Source: the ``ResponseStreamEvent`` schemas of OpenAI's API description.
"""

from collections.abc import Generator, Iterator
from typing import Any

from keeptrusts.core.calls.conversation import ToolUse
from keeptrusts.core.dialects.openai_responses_reply import (
    call_item,
    content_part,
    item_id,
    message_item,
    reasoning_item,
    summary_part,
)

Event = dict[str, Any]
"""An event as it is written, but for its number."""


class Item:
    """An item at ``index`` of a response's output. It is in progress until it is done, and not done twice."""

    kind: str

    def __init__(self, response_id: str, index: int) -> None:
        self.id = item_id(self.kind, response_id, index)
        self.index = index
        self.status = "in_progress"

    def object(self) -> dict[str, Any]:
        """The item as it is now."""
        raise NotImplementedError

    def added(self) -> Event:
        """It has begun."""
        return {"type": "response.output_item.added", "output_index": self.index, "item": self.object()}

    def done(self, status: str) -> Iterator[Event]:
        """It is complete, or as complete as it will be."""
        if self.status == "in_progress":
            yield from self._close()
            self.status = status
            yield {"type": "response.output_item.done", "output_index": self.index, "item": self.object()}

    def _close(self) -> Iterator[Event]:
        raise NotImplementedError

    def _event(self, kind: str, **fields: Any) -> Event:
        return {"type": f"response.{kind}", "item_id": self.id, "output_index": self.index, **fields}


class Message(Item):
    """What the model says: parts of text and of refusal, of which the last one grows."""

    kind = "message"

    def __init__(self, response_id: str, index: int) -> None:
        super().__init__(response_id, index)
        self._parts: list[tuple[bool, list[str]]] = []

    def object(self) -> dict[str, Any]:
        parts = [content_part("".join(pieces), refusal) for refusal, pieces in self._parts]
        return message_item(self.id, parts, self.status)

    def grow(self, text: str, refusal: bool) -> Iterator[Event]:
        """More words."""
        if not self._parts or self._parts[-1][0] != refusal:
            yield from self._close()
            self._parts.append((refusal, []))
            yield self._part_event("content_part.added", part=content_part("", refusal))
        self._parts[-1][1].append(text)
        if refusal:
            yield self._part_event("refusal.delta", delta=text)
        else:
            yield self._part_event("output_text.delta", delta=text, logprobs=[])

    def _close(self) -> Iterator[Event]:
        if not self._parts:
            return
        refusal, pieces = self._parts[-1]
        text = "".join(pieces)
        if refusal:
            yield self._part_event("refusal.done", refusal=text)
        else:
            yield self._part_event("output_text.done", text=text, logprobs=[])
        yield self._part_event("content_part.done", part=content_part(text, refusal))

    def _part_event(self, kind: str, **fields: Any) -> Event:
        return self._event(kind, content_index=len(self._parts) - 1, **fields)


class Call(Item):
    """A call of a function, whose arguments grow."""

    kind = "function_call"

    def __init__(self, response_id: str, index: int, call_id: str, name: str) -> None:
        super().__init__(response_id, index)
        self._call_id = call_id
        self._name = name
        self._pieces: list[str] = []

    def object(self) -> dict[str, Any]:
        return call_item(self.id, ToolUse(self._call_id, self._name, "".join(self._pieces)), self.status)

    def grow(self, arguments: str) -> Event:
        """More of the arguments."""
        self._pieces.append(arguments)
        return self._event("function_call_arguments.delta", delta=arguments)

    def _close(self) -> Iterator[Event]:
        yield self._event("function_call_arguments.done", arguments="".join(self._pieces))


class Thought(Item):
    """What the model thinks. ``sealed`` is what proves it, or what only its provider can read."""

    kind = "reasoning"

    def __init__(self, response_id: str, index: int) -> None:
        super().__init__(response_id, index)
        self._pieces: list[str] | None = None
        self.sealed: str | None = None

    def object(self) -> dict[str, Any]:
        summary = None if self._pieces is None else "".join(self._pieces)
        return reasoning_item(self.id, summary, self.sealed, self.status)

    def grow(self, text: str) -> Iterator[Event]:
        """More of what is told of it."""
        pieces = yield from self._summary()
        pieces.append(text)
        yield self._event("reasoning_summary_text.delta", summary_index=0, delta=text)

    def sign(self, signature: str) -> Iterator[Event]:
        """Its proof, which needs a summary beside it, though it be empty."""
        yield from self._summary()
        self.sealed = signature

    def _summary(self) -> Generator[Event, None, list[str]]:
        if self._pieces is None:
            self._pieces = []
            yield self._event("reasoning_summary_part.added", summary_index=0, part=summary_part(""))
        return self._pieces

    def _close(self) -> Iterator[Event]:
        if self._pieces is not None:
            text = "".join(self._pieces)
            yield self._event("reasoning_summary_text.done", summary_index=0, text=text)
            yield self._event("reasoning_summary_part.done", summary_index=0, part=summary_part(text))
