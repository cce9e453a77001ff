"""A whole Messages answer, read from Anthropic and written for a client.

Source: ``Message``, ``ContentBlock`` and ``StopReason`` of Anthropic's SDK. Blocks that only Anthropic's own servers make
(their tools' calls and results), and citations, have no neutral form and are left out.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

from keeptrusts.core.calls.conversation import Choice, Conversation, Reply, StopReason, Text, Thinking, ToolUse
from keeptrusts.core.dialects.anthropic_thinking import told
from keeptrusts.core.dialects.anthropic_tools import input_of
from keeptrusts.core.dialects.anthropic_usage import read_figures, usage_of, write_usage

STOPS_IN: Mapping[str, StopReason] = {
    "end_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool_use",
    "pause_turn": "pause",
    "compaction": "pause",
    "refusal": "content_filter",
}
"""Any other reason is ``stop``: the answer is complete, and that is all we know."""

STOPS_OUT: Mapping[StopReason, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool_use",
    "pause": "pause_turn",
    "content_filter": "refusal",
}

NO_INPUT = Raw(b"{}")


class Block(Struct, frozen=True):
    """A content block of an answer, whatever its type. ``input`` is kept as the model wrote it."""

    type: str
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: Raw = NO_INPUT


class _Message(Struct, frozen=True):
    type: Literal["message"]
    content: list[Block]
    id: str = ""
    model: str | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    usage: Raw = Raw()


_decode = msgspec.json.Decoder(_Message).decode
_encode = msgspec.json.Encoder().encode


def read_reply(body: bytes) -> Reply:
    """The answer. Raises ValueError when it is not one of this dialect."""
    try:
        message = _decode(body)
        parts = tuple(_READERS[block.type](block) for block in message.content if block.type in _READERS)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"not a Messages answer: {error}") from None
    figures = read_figures(message.usage)
    choice = Choice(parts, STOPS_IN.get(message.stop_reason or "", "stop"), message.stop_sequence)
    return Reply(message.id, message.model, (choice,), None if figures is None else usage_of(figures))


def _read_text(block: Block) -> Text:
    return Text(block.text or "")


def _read_thinking(block: Block) -> Thinking:
    return Thinking(block.thinking or "", block.signature or None)


def _read_redacted(block: Block) -> Thinking:
    return Thinking(redacted=block.data or "")


def _read_tool_use(block: Block) -> ToolUse:
    return ToolUse(block.id or "", block.name or "", bytes(block.input).decode())


_READERS: Mapping[str, Callable[[Block], Text | Thinking | ToolUse]] = {
    "text": _read_text,
    "thinking": _read_thinking,
    "redacted_thinking": _read_redacted,
    "tool_use": _read_tool_use,
}


def write_reply(reply: Reply, asked: Conversation) -> bytes:
    """The body of the answer: its first choice, for the dialect knows one. Thinking is told to who asked for it."""
    choice = reply.choices[0] if reply.choices else Choice(())
    parts = [told(part, asked) if isinstance(part, Thinking) else part for part in choice.parts]
    return _encode(
        {
            "id": reply.id,
            "type": "message",
            "role": "assistant",
            "model": reply.model or asked.model,
            "content": [_WRITERS[type(part)](part) for part in parts if part is not None],
            "stop_reason": STOPS_OUT[choice.stop],
            "stop_sequence": choice.stop_sequence,
            "usage": write_usage(reply.usage),
        }
    )


def _write_text(part: Text) -> dict[str, Any]:
    return {"type": "text", "text": part.text}


def _write_thinking(part: Thinking) -> dict[str, Any]:
    if part.redacted is not None:
        return {"type": "redacted_thinking", "data": part.redacted}
    return {"type": "thinking", "thinking": part.text, "signature": part.signature or ""}


def _write_tool_use(part: ToolUse) -> dict[str, Any]:
    return {"type": "tool_use", "id": part.id, "name": part.name, "input": input_of(part.arguments)}


_WRITERS: Mapping[type, Callable[[Any], dict[str, Any]]] = {
    Text: _write_text,
    Thinking: _write_thinking,
    ToolUse: _write_tool_use,
}
