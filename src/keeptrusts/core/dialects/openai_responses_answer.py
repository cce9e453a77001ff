"""What providers answer in the Responses dialect, read into the neutral form. Streams are in ``openai_responses_events``.

Source: the ``Response`` and ``OutputItem`` schemas of OpenAI's API description. Errors have the envelope of
``openai_error``. Items of tools that were not asked for are passed over; so are citations.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct

from keeptrusts.core.calls.conversation import Choice, Reply, StopReason, Text, Thinking, ToolUse
from keeptrusts.core.dialects.openai_responses_items import BETWEEN_SUMMARIES
from keeptrusts.core.dialects.openai_responses_seals import marked
from keeptrusts.core.dialects.openai_responses_usage import NOTHING, UNREADABLE, buckets


class OutputPart(Struct, frozen=True):
    """A part of a message, of a summary or of what was thought."""

    type: str = ""
    text: str | None = None
    refusal: str | None = None
    logprobs: list[Any] | None = None


class OutputItem(Struct, frozen=True):
    """An item of a type that we know (OUTPUT_ITEMS): the union of their fields."""

    type: str
    id: str | None = None
    content: list[OutputPart] | None = None
    summary: list[OutputPart] | None = None
    encrypted_content: str | None = None
    call_id: str | None = None
    name: str = ""
    arguments: str = ""


class _Incomplete(Struct, frozen=True):
    reason: str | None = None


class Response(Struct, frozen=True):
    """A response, whole or in an event. Items and usage are read apart, so that one that is odd does not spoil the rest."""

    id: str
    output: list[Raw] | None = None
    model: str | None = None
    status: str | None = None
    incomplete_details: _Incomplete | None = None
    error: Any = None
    usage: Raw = NOTHING
    created_at: float | None = None


class _Typed(Struct, frozen=True):
    type: str


decode_response = msgspec.json.Decoder(Response).decode
_decode_type = msgspec.json.Decoder(_Typed).decode
_decode_item = msgspec.json.Decoder(OutputItem).decode

_STOPS: Mapping[str | None, StopReason] = {"content_filter": "content_filter"}
"""Reasons to be incomplete that are not for want of room."""

_LATEST_S = 253_402_300_800
"""The year 10000: a time that can't be."""


def read_reply(body: bytes) -> Reply:
    """A whole answer. Raises ValueError when it is none: not of this dialect, failed, or not yet complete."""
    try:
        response = decode_response(body)
        items = list(known_items(response.output or []))
    except UNREADABLE as error:
        raise ValueError(f"not an answer of the Responses dialect: {error}") from None
    if response.output is None:
        raise ValueError("not an answer of the Responses dialect: it has no output")
    if response.status not in (None, "completed", "incomplete"):
        raise ValueError(f"the response is {response.status[:40]}, and so no answer")
    created_s = response.created_at
    return Reply(
        id=response.id,
        model=response.model,
        choices=(Choice(parts_of(items), stop_of(response, calls(items)), None, _logprobs(items)),),
        usage=buckets(response.usage),
        created_s=int(created_s) if created_s is not None and 0 <= created_s < _LATEST_S else None,
    )


def known_items(output: Sequence[Raw]) -> Iterator[OutputItem]:
    """The items of types that we know. Raises UNREADABLE for one that is not as its type says."""
    return (_decode_item(raw) for raw in output if _decode_type(raw).type in OUTPUT_ITEMS)


def calls(items: Sequence[OutputItem]) -> bool:
    """Whether the model calls a function."""
    return any(item.type == "function_call" for item in items)


def stop_of(response: Response, called: bool) -> StopReason:
    """Why the model stopped; ``called``: it calls functions."""
    if response.status == "incomplete" or response.incomplete_details is not None:
        reason = response.incomplete_details.reason if response.incomplete_details is not None else None
        return _STOPS.get(reason, "length")
    return "tool_use" if called else "stop"


def parts_of(items: Sequence[OutputItem]) -> tuple[Text | ToolUse | Thinking, ...]:
    """What the model said, did and thought."""
    return tuple(part for item in items for part in OUTPUT_ITEMS[item.type](item))


def call_id(item: OutputItem) -> str:
    """What a function call's result refers to."""
    return item.call_id or item.id or ""


def thought_of(item: OutputItem) -> Thinking | None:
    """With a summary, though it be empty text, the sealed content is its signature; without one it is all there is."""
    told = item.summary or item.content
    sealed = marked(item.encrypted_content) if item.encrypted_content else None
    if told:
        return Thinking(BETWEEN_SUMMARIES.join(part.text or "" for part in told), signature=sealed)
    return Thinking(redacted=sealed) if sealed else None


def texts_of(item: OutputItem) -> Iterator[Text]:
    """What a message says."""
    for part in item.content or ():
        if part.type == "output_text":
            yield Text(part.text or "")
        elif part.type == "refusal":
            yield Text(part.refusal or "", refusal=True)


def _function_call(item: OutputItem) -> Iterator[ToolUse]:
    yield ToolUse(call_id(item), item.name, item.arguments)


def _reasoning(item: OutputItem) -> Iterator[Thinking]:
    thought = thought_of(item)
    if thought is not None:
        yield thought


OUTPUT_ITEMS: Mapping[str, Callable[[OutputItem], Iterator[Text | ToolUse | Thinking]]] = {
    "message": texts_of,
    "function_call": _function_call,
    "reasoning": _reasoning,
}
"""How an item of each type is read into parts."""


def _logprobs(items: Sequence[OutputItem]) -> Any:
    parts = [part for item in items if item.type == "message" for part in item.content or ()]
    told = [logprob for part in parts for logprob in part.logprobs or ()]
    return {"content": told, "refusal": None} if told else None
