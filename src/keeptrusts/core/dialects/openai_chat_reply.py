"""A whole answer in OpenAI's chat dialect: written for an application, and read from a provider's.

Source: the ``CreateChatCompletionResponse`` schema of OpenAI's API description; ``reasoning_content`` is DeepSeek's.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from keeptrusts.core.calls.conversation import Choice, Conversation, Reply, StopReason, Text, Thinking, ToolUse
from keeptrusts.core.dialects.openai_messages import write_call
from keeptrusts.core.dialects.openai_usage import read_usage, write_usage

_encode = msgspec.json.Encoder().encode

FINISH_REASONS: Mapping[StopReason, str] = {
    "stop": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "pause": "length",  # the answer goes on after it, and nobody should take it for whole
    "tool_use": "tool_calls",
    "content_filter": "content_filter",
}

STOP_REASONS: Mapping[str, StopReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "content_filter",
    "model_length": "length",  # Mistral: the context is full
}
"""Any other word means ``stop``, as ``eos`` does (Together)."""

BROKEN_OFF = frozenset({"error", "insufficient_system_resource"})
"""Finish reasons of Mistral, OpenRouter and DeepSeek that mean: this is no answer, the provider failed."""


def stop_reason(finish_reason: str | None, called: bool) -> StopReason:
    """Why a choice stopped. OpenAI says ``stop`` of a call that ``tool_choice`` named: who ``called`` stopped for that."""
    stop = STOP_REASONS.get(finish_reason or "", "stop")
    return "tool_use" if called and stop == "stop" else stop


def write_reply(reply: Reply, asked: Conversation) -> bytes:
    """The body of a whole answer. What was thought is told as ``reasoning_content``; its signature has no place there."""
    body: dict[str, Any] = {
        "id": reply.id,
        "object": "chat.completion",
        "created": reply.created_s or 0,
        "model": reply.model or asked.model,
        "choices": [_write_choice(index, choice) for index, choice in enumerate(reply.choices)],
    }
    if reply.usage is not None:
        body["usage"] = write_usage(reply.usage)
    return _encode(body)


def _write_choice(index: int, choice: Choice) -> dict[str, Any]:
    texts = [part for part in choice.parts if isinstance(part, Text)]
    calls = [write_call(part) for part in choice.parts if isinstance(part, ToolUse)]
    said = _joined(part.text for part in texts if not part.refusal)
    refusal = _joined(part.text for part in texts if part.refusal)
    thought = _joined(part.text for part in choice.parts if isinstance(part, Thinking))
    # Applications expect words where there is nothing else, but null beside calls.
    message: dict[str, Any] = {
        "role": "assistant",
        "content": said if said or calls or refusal else "",
        "refusal": refusal,
    }
    if thought:
        message["reasoning_content"] = thought
    if calls:
        message["tool_calls"] = calls
    return {
        "index": index,
        "message": message,
        "logprobs": choice.logprobs,
        "finish_reason": FINISH_REASONS[choice.stop],
    }


def _joined(texts: Iterable[str]) -> str | None:
    return "".join(texts) or None


Content = str | list[dict[str, Any]] | None
"""An answer's ``content``."""


class _Function(Struct, frozen=True):
    name: str
    arguments: str | None = None


class _Call(Struct, frozen=True):
    function: _Function
    id: str | None = None


class _Message(Struct, frozen=True):
    content: Content = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(Struct, frozen=True):
    message: _Message
    finish_reason: str | None = None
    logprobs: Any = None


class _Reply(Struct, frozen=True):
    choices: list[_Choice]
    id: str | None = None
    model: str | None = None
    created: Any = None
    usage: Any = None


_decode = msgspec.json.Decoder(_Reply).decode


def read_reply(body: bytes) -> Reply:
    """A provider's whole answer. Raises ValueError when it is none."""
    try:
        told = _decode(body)
    except RecursionError:
        raise ValueError("the answer is nested too deeply") from None
    if not told.choices:
        raise ValueError("the answer has no choices")
    reply_id = told.id or ""
    choices = tuple(_read_choice(choice, f"{reply_id}_{at}") for at, choice in enumerate(told.choices))
    created_s = told.created if isinstance(told.created, int) else None
    return Reply(reply_id, told.model, choices, read_usage(told.usage), created_s)


def _read_choice(choice: _Choice, place: str) -> Choice:
    if choice.finish_reason in BROKEN_OFF:
        raise ValueError(f"the answer broke off: {choice.finish_reason}")
    message = choice.message
    calls = message.tool_calls or []
    thought = message.reasoning_content or message.reasoning
    parts = (
        *((Thinking(thought),) if thought else ()),
        *map(Text, spoken(message.content)),
        *((Text(message.refusal, refusal=True),) if message.refusal else ()),
        *(
            ToolUse(call_id(call.id, place, at), call.function.name, call.function.arguments or "")
            for at, call in enumerate(calls)
        ),
    )
    return Choice(parts, stop_reason(choice.finish_reason, bool(calls)), logprobs=choice.logprobs)


def spoken(content: Content) -> list[str]:
    """The texts of an answer, or of a piece of it; Mistral may tell them as parts, with what it thought among them."""
    told = [content] if isinstance(content, str) else [part.get("text") for part in content or ()]
    return [text for text in told if isinstance(text, str) and text]


def call_id(told: str | None, place: str, tool: int) -> str:
    """The id of a call: one must be there to answer it by, and some providers tell none (Gemini's OpenAI endpoint)."""
    return told or f"call_{place}_{tool}"
