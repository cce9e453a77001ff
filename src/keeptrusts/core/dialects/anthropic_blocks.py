"""Content blocks of a Messages request, read into the neutral form's parts.

Source: ``ContentBlockParam`` of Anthropic's SDK. Citations of earlier answers are left out; what would make the answer
another one, and has no neutral form, is refused by its place.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from keeptrusts.core.calls.conversation import Document, Image, Part, Text, Thinking, ToolResult, ToolUse
from keeptrusts.core.dialects.anthropic_fields import objects, optional, refusal, required, within, wrong
from keeptrusts.core.dialects.anthropic_tools import arguments_of, read_cache_mark

Block = dict[str, Any]
ToolNames = dict[str, str]
"""The tools' names by the ids of their calls, for as far as the conversation is read."""


def read_content(value: Any, place: str, names: ToolNames) -> Iterator[Part]:
    """The parts of a message's content, a string or an array of blocks. Raises Refused."""
    for at, block in _blocks(value, place):
        kind = required(block, "type", str, at)
        reader = _READERS.get(kind)
        if reader is None:
            raise refusal(
                within(at, "type"),
                f"`{kind}` can't be handed to the model that serves this call: it takes {', '.join(_READERS)}.",
            )
        yield reader(block, at, names)


def read_texts(value: Any, place: str) -> Iterator[Text]:
    """The parts of instructions, which are text alone. Raises Refused."""
    for at, block in _blocks(value, place):
        if block.get("type") != "text":
            raise wrong(within(at, "type"), "text: instructions hold nothing else")
        yield _read_text(block, at, {})


def _blocks(value: Any, place: str) -> Iterator[tuple[str, Block]]:
    if isinstance(value, str):
        return iter([(place, {"type": "text", "text": value})] if value else [])
    if not isinstance(value, list):
        raise wrong(place, "a string or an array of content blocks")
    return objects(value, place)


def _read_text(block: Block, at: str, _: ToolNames) -> Text:
    return Text(required(block, "text", str, at), read_cache_mark(block, at))


def _read_image(block: Block, at: str, _: ToolNames) -> Image:
    source = required(block, "source", dict, at)
    place = within(at, "source")
    mark = read_cache_mark(block, at)
    match required(source, "type", str, place):
        case "base64":
            data = required(source, "data", str, place)
            return Image(data=data, media_type=required(source, "media_type", str, place), cache=mark)
        case "url":
            return Image(url=required(source, "url", str, place), cache=mark)
        case _:
            raise wrong(within(place, "type"), "base64 or url: the model that serves this call has no other pictures")


def _read_document(block: Block, at: str, _: ToolNames) -> Document:
    citations = optional(block, "citations", dict, at)
    if citations is not None and citations.get("enabled"):
        place = within(at, "citations")
        raise refusal(place, f"`{place}` asks for citations, which the model that serves this call can't give.")
    if block.get("context") is not None:
        place = within(at, "context")
        raise refusal(place, f"`{place}` has no place in this call: say it in a text block before the document.")
    source = required(block, "source", dict, at)
    place = within(at, "source")
    name, mark = optional(block, "title", str, at), read_cache_mark(block, at)
    match required(source, "type", str, place):
        case "base64":
            data = required(source, "data", str, place)
            media_type = required(source, "media_type", str, place)
            return Document(data=data, media_type=media_type, name=name, cache=mark)
        case "text":
            return Document(text=required(source, "data", str, place), name=name, cache=mark)
        case "content":
            return Document(text=required(source, "content", str, place), name=name, cache=mark)
        case "url":
            return Document(url=required(source, "url", str, place), name=name, cache=mark)
        case "file":
            return Document(file_id=required(source, "file_id", str, place), name=name, cache=mark)
        case _:
            raise wrong(within(place, "type"), "base64, text, content, url or file")


def _read_tool_use(block: Block, at: str, names: ToolNames) -> ToolUse:
    call, name = required(block, "id", str, at), required(block, "name", str, at)
    names[call] = name
    return ToolUse(call, name, arguments_of(block, at), read_cache_mark(block, at))


def _read_tool_result(block: Block, at: str, names: ToolNames) -> ToolResult:
    call = required(block, "tool_use_id", str, at)
    content = block.get("content")
    parts: list[Text | Image | Document] = []
    if content is not None:
        place = within(at, "content")
        for number, part in enumerate(read_content(content, place, names)):
            if not isinstance(part, Text | Image | Document):
                raise wrong(within(within(place, number), "type"), "text, image or document")
            parts.append(part)
    failed = bool(optional(block, "is_error", bool, at))
    return ToolResult(call, tuple(parts), failed, names.get(call), read_cache_mark(block, at))


def _read_thinking(block: Block, at: str, _: ToolNames) -> Thinking:
    return Thinking(required(block, "thinking", str, at), optional(block, "signature", str, at) or None)


def _read_redacted(block: Block, at: str, _: ToolNames) -> Thinking:
    return Thinking(redacted=required(block, "data", str, at))


_READERS: Mapping[str, Callable[[Block, str, ToolNames], Part]] = {
    "text": _read_text,
    "image": _read_image,
    "document": _read_document,
    "tool_use": _read_tool_use,
    "tool_result": _read_tool_result,
    "thinking": _read_thinking,
    "redacted_thinking": _read_redacted,
}
