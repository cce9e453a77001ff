"""The turns of a conversation as Bedrock's Converse reads them: ``messages``, each with its ``content`` blocks.

Source: ``Message``, ``ContentBlock`` and what they hold, in Amazon Bedrock's API reference.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from keeptrusts.core.calls.conversation import Audio, Document, Image, Part, Text, Thinking, ToolResult, ToolUse, Turn
from keeptrusts.core.dialects.anthropic_thinking import is_proven
from keeptrusts.core.dialects.anthropic_tools import input_of
from keeptrusts.core.dialects.bedrock_models import cache_point
from keeptrusts.core.refusal import Reason, Refused

_IMAGE_FORMATS: Mapping[str, str] = MappingProxyType(
    {"image/png": "png", "image/jpeg": "jpeg", "image/jpg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
)
_DOCUMENT_FORMATS: Mapping[str, str] = MappingProxyType(
    {
        "application/pdf": "pdf",
        "text/csv": "csv",
        "application/msword": "doc",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
        "application/vnd.ms-excel": "xls",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
        "text/html": "html",
        "text/plain": "txt",
        "text/markdown": "md",
    }
)
_AUDIO_FORMATS = frozenset(
    {"mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", "m4a", "mpeg", "mpga", "pcm", "webm"}
)
_ENDINGS: Mapping[str, str] = MappingProxyType({"jpg": "jpeg", "htm": "html"})

_CALL_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9\s()\[\]-]+")
_MOST_OF_NAME = 200


def write_messages(turns: Iterable[Turn], model: str) -> list[dict[str, Any]]:
    """The messages. Bedrock wants the roles to take turns: neighbours of one role become one, and silent turns none.

    A system turn is the user's text between ``<system>`` tags: hardly a model takes messages of that role. The results of
    tools come first in their message, as Claude wants them. Raises Refused(INVALID_REQUEST) for what has no form here.
    """
    writer = _Writer()
    messages: list[tuple[str, list[list[dict[str, Any]]]]] = []
    for turn in turns:
        role = "assistant" if turn.role == "assistant" else "user"
        parts = [_instruction(part) for part in turn.parts] if turn.role == "system" else turn.parts
        groups = [blocks for part in parts if (blocks := writer.blocks(part, model))]
        if groups and messages and messages[-1][0] == role:
            messages[-1][1].extend(groups)
        elif groups:
            messages.append((role, groups))
    for _, groups in messages:
        groups.sort(key=_after_results)
    return [{"role": role, "content": [block for blocks in groups for block in blocks]} for role, groups in messages]


def _after_results(blocks: list[dict[str, Any]]) -> bool:
    return "toolResult" not in blocks[0]


def _instruction(part: Part) -> Part:
    if isinstance(part, Text) and part.text.strip():
        return Text(f"<system>\n{part.text}\n</system>", part.cache)
    return part


def call_id(id: str) -> str:
    """A call's id in the characters and length that Bedrock takes; another provider's may need a stand-in."""
    return id if _CALL_ID.fullmatch(id) else "call_" + hashlib.sha256(id.encode(errors="replace")).hexdigest()[:32]


class _Writer:
    """Writes parts; it remembers the documents' names, as no two of a request may be the same."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._write: Mapping[type, Callable[[Any], dict[str, Any] | None]] = {
            Text: self._text,
            Image: self._image,
            Audio: self._audio,
            Document: self._document,
            ToolUse: self._tool_use,
            ToolResult: self._tool_result,
            Thinking: self._thinking,
        }

    def blocks(self, part: Part, model: str) -> list[dict[str, Any]]:
        """The part, and the cache point that it carries. Nothing for an empty text."""
        block = self._write[type(part)](part)
        mark = _mark(part)
        point = cache_point(mark, model) if mark is not None else None
        return [written for written in (block, point) if written is not None]

    def _text(self, part: Text) -> dict[str, Any] | None:
        return {"text": part.text} if part.text.strip() else None

    def _image(self, part: Image) -> dict[str, Any]:
        source = _source("image", part.data, part.url)
        return {"image": {"format": _format("image", part.media_type, part.url, _IMAGE_FORMATS), "source": source}}

    def _audio(self, part: Audio) -> dict[str, Any]:
        if part.format not in _AUDIO_FORMATS:
            raise _refused(f"Bedrock reads no audio of the format {part.format!r}.")
        return {"audio": {"format": part.format, "source": {"bytes": part.data}}}

    def _document(self, part: Document) -> dict[str, Any]:
        if part.file_id is not None:
            raise _refused("Bedrock can't read a file by its id at another provider: send its data.")
        if part.data is None and part.text is not None:
            told: dict[str, Any] = {"format": "txt", "source": {"text": part.text}}
        else:
            source = _source("document", part.data, part.url)
            told = {"format": _format("document", part.media_type, part.url, _DOCUMENT_FORMATS), "source": source}
        return {"document": told | {"name": self._name(part.name)}}

    def _name(self, name: str | None) -> str:
        clean = " ".join(_NOT_IN_NAMES.sub(" ", name or "").split())[: _MOST_OF_NAME - 8] or "document"
        number, unique = 1, clean
        while unique in self._names:
            number += 1
            unique = f"{clean} ({number})"
        self._names.add(unique)
        return unique

    def _tool_use(self, part: ToolUse) -> dict[str, Any]:
        return {"toolUse": {"toolUseId": call_id(part.id), "name": part.name, "input": input_of(part.arguments)}}

    def _tool_result(self, part: ToolResult) -> dict[str, Any]:
        blocks = [self._write[type(piece)](piece) for piece in part.parts]
        result = {
            "toolUseId": call_id(part.tool_use_id),
            "content": [block for block in blocks if block is not None],
        }
        return {"toolResult": result | ({"status": "error"} if part.is_error else {})}

    def _thinking(self, part: Thinking) -> dict[str, Any] | None:
        """Thinking that is not proved to be the model's own is refused there, so it is left out."""
        if not is_proven(part):
            return None
        if part.redacted is not None:
            return {"reasoningContent": {"redactedContent": part.redacted}}
        return {"reasoningContent": {"reasoningText": {"text": part.text, "signature": part.signature}}}


def _mark(part: Part) -> Any:
    """The part's cache mark. Inside a tool's result there is no place for one: there it holds for the whole result."""
    own = getattr(part, "cache", None)
    if own is None and isinstance(part, ToolResult):
        return next((piece.cache for piece in reversed(part.parts) if piece.cache is not None), None)
    return own


def _source(what: str, data: str | None, url: str | None) -> dict[str, Any]:
    if data is not None:
        return {"bytes": data}
    if url is not None and url.startswith("s3://"):
        return {"s3Location": {"uri": url}}
    raise _refused(f"Bedrock fetches no URLs: send the {what}'s data in base64, or an s3:// address.")


def _format(what: str, media_type: str | None, url: str | None, formats: Mapping[str, str]) -> str:
    ending = url.rpartition(".")[2].lower() if url is not None else ""
    format = formats.get(media_type) if media_type is not None else _ENDINGS.get(ending, ending)
    if format is None or format not in formats.values():
        known = ", ".join(dict.fromkeys(formats.values()))
        raise _refused(f"Bedrock reads no {what} of the type {media_type or ending!r}: it reads {known}.")
    return format


def _refused(message: str) -> Refused:
    return Refused(Reason.INVALID_REQUEST, message, {"param": "messages"})
