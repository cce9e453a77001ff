"""What Bedrock answers: a whole ``ConverseResponse``, its usage, or an error.

Source: ``ConverseResponse``, ``StopReason`` and ``TokenUsage`` of Amazon Bedrock's API reference.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

import msgspec
from msgspec import Raw, Struct

from keeptrusts.core.calls.conversation import Choice, Reply, StopReason, Text, Thinking, ToolUse
from keeptrusts.core.calls.usage import MOST_TOKENS, Usage

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _ToolUse(Struct, frozen=True, rename="camel"):
    tool_use_id: str
    name: str
    input: Raw = Raw(b"{}")


class _ReasoningText(Struct, frozen=True):
    text: str = ""
    signature: str | None = None


class _Reasoning(Struct, frozen=True, rename="camel"):
    reasoning_text: _ReasoningText | None = None
    redacted_content: str | None = None


class _CitedText(Struct, frozen=True):
    text: str = ""


class _Citations(Struct, frozen=True):
    content: list[_CitedText] | None = None


class _Block(Struct, frozen=True, rename="camel"):
    text: str | None = None
    tool_use: _ToolUse | None = None
    reasoning_content: _Reasoning | None = None
    citations_content: _Citations | None = None


class _Message(Struct, frozen=True):
    content: list[_Block]


class _Output(Struct, frozen=True):
    message: _Message


class _Response(Struct, frozen=True, rename="camel"):
    output: _Output
    stop_reason: str
    usage: Raw = Raw(b"null")


class _CacheDetail(Struct, frozen=True, rename="camel"):
    ttl: str
    input_tokens: int


class _Usage(Struct, frozen=True, rename="camel"):
    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    cache_details: list[_CacheDetail] | None = None


class _Error(Struct, frozen=True):
    message: str | None = None
    message_too: str | None = msgspec.field(default=None, name="Message")
    type: str | None = msgspec.field(default=None, name="__type")
    code: str | None = None


_decode_response = msgspec.json.Decoder(_Response).decode
_decode_usage = msgspec.json.Decoder(_Usage | None).decode
_decode_error = msgspec.json.Decoder(_Error).decode

_STOPS: Mapping[str, StopReason] = MappingProxyType(
    {
        "end_turn": "stop",
        "tool_use": "tool_use",
        "max_tokens": "length",
        "model_context_window_exceeded": "length",
        "stop_sequence": "stop_sequence",
    }
)
"""Every other reason means that something was withheld, by a guardrail or a filter, or because the model wrote what can't
be parsed (malformed_tool_use...). The neutral word for that is ``content_filter``."""


def stop_reason(reason: str) -> StopReason:
    """Why the model stopped."""
    return _STOPS.get(reason, "content_filter")


def read_reply(body: bytes) -> Reply:
    """A whole answer. It has no id (a header of the response holds the request's) and does not name its model.

    Raises ValueError when it is not an answer of Converse.
    """
    try:
        if not body.isascii():
            body.decode()  # the arguments of calls are not decoded
        response = _decode_response(body)
    except UNREADABLE as error:
        raise ValueError(f"not an answer of Bedrock's Converse: {error}") from None
    parts = [part for block in response.output.message.content for part in _parts(block)]
    choice = Choice(tuple(parts), stop_reason(response.stop_reason))
    return Reply("", None, (choice,), read_usage(response.usage))


def _parts(block: _Block) -> list[Text | ToolUse | Thinking]:
    parts: list[Text | ToolUse | Thinking] = []
    if block.reasoning_content is not None:
        thought = block.reasoning_content.reasoning_text or _ReasoningText()
        parts.append(Thinking(thought.text, thought.signature, block.reasoning_content.redacted_content))
    if block.text:
        parts.append(Text(block.text))
    if block.citations_content is not None:
        cited = "".join(piece.text for piece in block.citations_content.content or ())
        parts += [Text(cited)] if cited else []
    if block.tool_use is not None:
        call = block.tool_use
        arguments = msgspec.json.format(call.input, indent=-1).decode() if call.input != b"null" else "{}"
        parts.append(ToolUse(call.tool_use_id, call.name, arguments))
    return parts


def read_usage(usage: Raw) -> Usage | None:
    """Disjoint buckets of a ``TokenUsage``; None when there is none, or its figures contradict each other.

    ``inputTokens`` is what was neither read from the cache nor written to it ("Prompt caching", user guide). The writes are
    broken down by how long they are kept in ``cacheDetails``. Reasoning is in ``outputTokens``; how much is not told.
    """
    try:
        told = _decode_usage(usage)
    except UNREADABLE:
        return None
    if told is None:
        return None
    read, written = told.cache_read_input_tokens or 0, told.cache_write_input_tokens or 0
    details = told.cache_details or ()
    for_hour = sum(detail.input_tokens for detail in details if detail.ttl == "1h")
    figures = (told.input_tokens, told.output_tokens, read, written, *(detail.input_tokens for detail in details))
    if min(figures) < 0 or told.input_tokens + read + written > MOST_TOKENS or told.output_tokens > MOST_TOKENS:
        return None
    if for_hour > written:
        return None
    return Usage(told.input_tokens, read, written - for_hour, for_hour, told.output_tokens)


_SECRETS = re.compile(r"\s*The Canonical String for this request.*|\b(?:AKIA|ASIA)[A-Z0-9]{12,}", re.DOTALL)
"""A signature that does not match is explained with all that was signed, the session token included."""


def clean(message: str) -> str:
    """A provider's message without what must not be told on."""
    return _SECRETS.sub("", message)


def read_error(body: bytes) -> tuple[str | None, str | None]:
    """The kind (``ValidationException``...) and message of an error; (None, None) when it is none.

    The kind is in the body only at times; the response's header ``x-amzn-errortype`` always has it.
    """
    try:
        error = _decode_error(body)
    except UNREADABLE:
        return None, None
    message = error.message or error.message_too
    kind = error.type or error.code
    if kind is not None:
        kind = kind.partition(":")[0].rpartition("#")[2]
    return kind, clean(message) if message is not None else None
