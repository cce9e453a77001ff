"""The turns of a conversation as Gemini reads them: ``contents``, each with its ``parts``.

Sources: ``Content``, ``Part``, ``FunctionCall``, ``FunctionResponse``, ``Blob`` and ``FileData`` of the v1beta API.
"""

from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from keeptrusts.core.calls.conversation import Audio, Document, Image, Part, Text, Thinking, ToolResult, ToolUse, Turn
from keeptrusts.core.dialects.anthropic_tools import input_of
from keeptrusts.core.dialects.gemini_thinking import UNSIGNED, unmarked
from keeptrusts.core.refusal import Reason, Refused

Names = Mapping[str, str]
"""The tool that each call of the conversation calls, by the call's id."""

_MEDIA_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "png": "image/png",
        "jpg": "image/jpeg",
        "jpeg": "image/jpeg",
        "webp": "image/webp",
        "gif": "image/gif",
        "heic": "image/heic",
        "pdf": "application/pdf",
        "txt": "text/plain",
        "md": "text/markdown",
        "html": "text/html",
        "csv": "text/csv",
    }
)
"""What a URL's ending says of the file, for clients that do not say it."""


def write_contents(turns: Iterable[Turn], sign_calls: bool) -> list[dict[str, Any]]:
    """The contents. Neighbours of one role become one, and a turn with nothing to say none; results of tools come first.

    A system turn is the user's text between ``<system>`` tags, as Gemini has no such role. ``sign_calls``: the first call of
    a turn must be signed, by a stand-in if its signature did not come back. Raises Refused(INVALID_REQUEST) for what has no
    form here.
    """
    turns = tuple(turns)
    names = {part.id: part.name for turn in turns for part in turn.parts if isinstance(part, ToolUse)}
    contents: list[dict[str, Any]] = []
    for turn in turns:
        role = "model" if turn.role == "assistant" else "user"
        if turn.role == "assistant":
            parts = _model_parts(turn.parts, names, sign_calls)
        else:
            said = [_instruction(part) for part in turn.parts] if turn.role == "system" else turn.parts
            parts = [_write(part, names) for part in said if not _is_silent(part)]
        if contents and contents[-1]["role"] == role:
            contents[-1]["parts"] += parts
        elif parts:
            contents.append({"role": role, "parts": parts})
    for content in contents:
        if content["role"] == "user":
            content["parts"].sort(key=_after_results)
    return contents


def _after_results(part: dict[str, Any]) -> bool:
    return "functionResponse" not in part


def _instruction(part: Part) -> Part:
    return Text(f"<system>\n{part.text}\n</system>") if isinstance(part, Text) and part.text else part


def _model_parts(parts: Iterable[Part], names: Names, sign_calls: bool) -> list[dict[str, Any]]:
    """A signature goes to the part that follows it: there Gemini gave it, and there it looks for it.

    The thoughts' own words are left out: they are summaries for people, and the signature holds what was thought.
    """
    written: list[dict[str, Any]] = []
    signature: str | None = None
    called = not sign_calls
    for part in parts:
        if isinstance(part, Thinking):
            own = unmarked(part.signature)
            if own is not None:
                if signature is not None:
                    written.append(_signature_alone(signature))
                signature = own
            continue
        if _is_silent(part):
            continue
        wire = _write(part, names)
        calls = isinstance(part, ToolUse)
        if signature is not None:
            wire["thoughtSignature"] = signature
        elif calls and not called:
            wire["thoughtSignature"] = UNSIGNED
        signature = None
        called = called or calls
        written.append(wire)
    if signature is not None:
        written.append(_signature_alone(signature))
    return written


def _signature_alone(signature: str) -> dict[str, Any]:
    """The form in which a stream ends whose signature comes after the last words."""
    return {"text": "", "thoughtSignature": signature}


def _is_silent(part: Part) -> bool:
    return isinstance(part, Thinking) or (isinstance(part, Text) and not part.text)


def _write(part: Part, names: Names) -> dict[str, Any]:
    return _WRITERS[type(part)](part, names)


def _write_text(part: Text, names: Names) -> dict[str, Any]:
    return {"text": part.text}


def _write_image(part: Image, names: Names) -> dict[str, Any]:
    return _blob(part.data, part.media_type) if part.data is not None else _file(part.url, part.media_type)


def _write_audio(part: Audio, names: Names) -> dict[str, Any]:
    return _blob(part.data, f"audio/{part.format}")


def _write_document(part: Document, names: Names) -> dict[str, Any]:
    if part.data is not None:
        return _blob(part.data, part.media_type)
    if part.text is not None:
        return _blob(b64encode(part.text.encode()).decode(), "text/plain")
    if part.file_id is not None:
        raise _refused("Gemini can't read a file by its id at another provider: send its data or a URL.")
    return _file(part.url, part.media_type)


def _write_tool_use(part: ToolUse, names: Names) -> dict[str, Any]:
    return {"functionCall": {"id": part.id, "name": part.name, "args": input_of(part.arguments)}}


def _write_tool_result(part: ToolResult, names: Names) -> dict[str, Any]:
    """``output`` and ``error`` are the keys that ``FunctionResponse.response`` gives a meaning to."""
    name = part.name or names.get(part.tool_use_id)
    if name is None:
        raise _refused(f"A tool's result is for the call {part.tool_use_id!r}, which the conversation does not hold.")
    said = "\n".join(piece.text for piece in part.parts if isinstance(piece, Text))
    response: dict[str, Any] = {
        "id": part.tool_use_id,
        "name": name,
        "response": {"error" if part.is_error else "output": said},
    }
    media = [_write(piece, names) for piece in part.parts if not isinstance(piece, Text)]
    return {"functionResponse": response | ({"parts": media} if media else {})}


_WRITERS: Mapping[type, Callable[[Any, Names], dict[str, Any]]] = MappingProxyType(
    {
        Text: _write_text,
        Image: _write_image,
        Audio: _write_audio,
        Document: _write_document,
        ToolUse: _write_tool_use,
        ToolResult: _write_tool_result,
    }
)


def _blob(data: str, media_type: str | None) -> dict[str, Any]:
    if media_type is None:
        raise _refused("Gemini must be told the media type of an image or a file that is sent as data.")
    return {"inlineData": {"mimeType": media_type, "data": data}}


def _file(url: str | None, media_type: str | None) -> dict[str, Any]:
    if url is None:
        raise _refused("An image or a file holds neither data nor a URL.")
    ending = urlsplit(url).path.rpartition(".")[2].lower() if "." in url else ""
    kind = media_type or _MEDIA_TYPES.get(ending)
    return {"fileData": {"fileUri": url} | ({"mimeType": kind} if kind else {})}


def _refused(message: str) -> Refused:
    return Refused(Reason.INVALID_REQUEST, message, {"param": "messages"})
