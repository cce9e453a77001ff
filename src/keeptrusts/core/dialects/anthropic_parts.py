"""The neutral form's turns, written as messages of a Messages request.

Source: ``MessageParam`` of Anthropic's SDK, and the errors of the API: it takes no blank text, no ids with other signs than
letters, digits, ``_`` and ``-``, and wants a turn's tool results before all else in it.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from keeptrusts.core.calls.conversation import (
    Audio,
    Document,
    Image,
    Part,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    Turn,
)
from keeptrusts.core.dialects.anthropic_fields import refusal
from keeptrusts.core.dialects.anthropic_thinking import is_proven
from keeptrusts.core.dialects.anthropic_tools import input_of, marked

Block = dict[str, Any]

_OTHER_SIGNS = re.compile(r"[^a-zA-Z0-9_-]")
_PDF = "application/pdf"


def write_turns(turns: Iterable[Turn]) -> list[dict[str, Any]]:
    """The messages: neighbouring turns of one role are one, and a turn in which nothing is left to say is none.

    A system turn is the user's text between ``<system>`` tags: only the newest models take messages of that role, and those
    only in some places. Raises Refused for parts that Anthropic's models can't take.
    """
    messages: list[dict[str, Any]] = []
    for turn in turns:
        role = "assistant" if turn.role == "assistant" else "user"
        write = _instruction if turn.role == "system" else write_part
        content = [block for part in turn.parts if (block := write(part)) is not None]
        if content and messages and messages[-1]["role"] == role:
            messages[-1]["content"] += content
        elif content:
            messages.append({"role": role, "content": content})
    for message in messages:
        message["content"].sort(key=_after_results)
    return messages


def _after_results(block: Block) -> bool:
    return bool(block["type"] != "tool_result")


def _instruction(part: Part) -> Block | None:
    if isinstance(part, Text) and not part.text.isspace() and part.text:
        return write_part(Text(f"<system>\n{part.text}\n</system>", part.cache))
    return write_part(part)


def write_part(part: Part) -> Block | None:
    """A part's block; None when it is nothing that may be sent. Raises Refused."""
    return _WRITERS[type(part)](part)


def write_text(part: Text) -> Block | None:
    """A text block; None for blank text, which the API refuses."""
    if not part.text or part.text.isspace():
        return None
    return marked({"type": "text", "text": part.text}, part.cache)


def _write_image(part: Image) -> Block:
    if part.url is not None:
        source = {"type": "url", "url": part.url}
    elif part.data is not None and part.media_type is not None:
        source = {"type": "base64", "media_type": part.media_type, "data": part.data}
    else:
        raise refusal("messages", "A picture must have a `url`, or data and its media type.")
    return marked({"type": "image", "source": source}, part.cache)


def _refuse_audio(_: Audio) -> Block:
    raise refusal("messages", "Anthropic's models can't hear: a message holds audio.")


def _write_document(part: Document) -> Block:
    if part.text is not None:
        source = {"type": "text", "media_type": "text/plain", "data": part.text}
    elif part.url is not None:
        source = {"type": "url", "url": part.url}
    elif part.file_id is not None:
        source = {"type": "file", "file_id": part.file_id}
    elif part.data is not None and part.media_type == _PDF:
        source = {"type": "base64", "media_type": _PDF, "data": part.data}
    else:
        raise refusal(
            "messages", f"Anthropic's models read {_PDF} and plain text, not {part.media_type or 'other files'}."
        )
    block: Block = {"type": "document", "source": source}
    if part.name is not None:
        block["title"] = part.name
    return marked(block, part.cache)


def tool_id(id: str) -> str:
    """A call's id in the letters that the API takes: the same for the call and for its result."""
    return _OTHER_SIGNS.sub("_", id)


def _write_tool_use(part: ToolUse) -> Block:
    block = {"type": "tool_use", "id": tool_id(part.id), "name": part.name, "input": input_of(part.arguments)}
    return marked(block, part.cache)


def _write_tool_result(part: ToolResult) -> Block:
    block: Block = {"type": "tool_result", "tool_use_id": tool_id(part.tool_use_id)}
    content = [said for inner in part.parts if (said := write_part(inner)) is not None]
    if content:
        block["content"] = content
    if part.is_error:
        block["is_error"] = True
    return marked(block, part.cache)


def _write_thinking(part: Thinking) -> Block | None:
    if not is_proven(part):
        return None  # another model's: the API refuses what Anthropic did not sign
    if part.redacted:
        return {"type": "redacted_thinking", "data": part.redacted}
    return {"type": "thinking", "thinking": part.text, "signature": part.signature}


_WRITERS: Mapping[type, Callable[[Any], Block | None]] = {
    Text: write_text,
    Image: _write_image,
    Audio: _refuse_audio,
    Document: _write_document,
    ToolUse: _write_tool_use,
    ToolResult: _write_tool_result,
    Thinking: _write_thinking,
}
