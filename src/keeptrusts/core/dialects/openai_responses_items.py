"""The items of a Responses request's ``input``, read into the turns of a conversation.

Source: the ``InputItem`` schemas of OpenAI's API description. What only OpenAI's servers can give a meaning to (references
to what they keep, calls of their own tools) is refused by its place.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from keeptrusts.core.calls.conversation import Document, Image, Part, Role, Text, Thinking, ToolResult, ToolUse, Turn
from keeptrusts.core.dialects.openai_fields import Fields, name, refused, text
from keeptrusts.core.dialects.openai_responses_fields import listed, needed, objects, optional

_ROLES: Mapping[str, Role] = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system"}

BETWEEN_SUMMARIES = "\n\n"
"""What stands between the parts of a summary when they become one text."""


def read_input(value: Any) -> tuple[tuple[Text, ...], tuple[Turn, ...]]:
    """Instructions that stand before the first turn, and the turns. Raises Refused(INVALID_REQUEST).

    All that the model did between two words of the user is one turn, and so are the results of tools that stand together.
    """
    if isinstance(value, str):
        return (), (Turn("user", (Text(value),)),)
    if not isinstance(value, list):
        raise refused("input", "must be a string or an array of items.")
    turns = _Turns()
    for place, item in objects(value, "input"):
        kind = "message" if item.get("type") is None and "role" in item else item.get("type")
        read = _ITEMS.get(kind) if isinstance(kind, str) else None
        if read is None:
            raise refused(f"{place}.type", f"must be one of {listed(_ITEMS)} for this model.")
        read(turns, item, place)
    return tuple(turns.system), tuple(Turn(role, tuple(parts)) for role, parts in turns.turns)


class _Turns:
    """The turns so far, and the names of the tools that were called in them, by the call's id."""

    def __init__(self) -> None:
        self.system: list[Text] = []
        self.turns: list[tuple[Role, list[Part]]] = []
        self.tool_names: dict[str, str] = {}

    def add(self, role: Role, parts: Iterable[Part], joins: bool) -> None:
        if joins and self.turns and self.turns[-1][0] == role:
            self.turns[-1][1].extend(parts)
        elif found := list(parts):
            self.turns.append((role, found))

    def ends_with_result(self) -> bool:
        return bool(self.turns) and isinstance(self.turns[-1][1][-1], ToolResult)


def _message(turns: _Turns, item: Fields, place: str) -> None:
    role = _ROLES.get(needed(item, "role", text, place))
    if role is None:
        raise refused(f"{place}.role", f"must be one of {listed(_ROLES)}.")
    content = _content(item.get("content"), f"{place}.content")
    if role == "user":
        turns.add(role, content, joins=False)
        return
    texts = [part for part in content if isinstance(part, Text)]
    if len(texts) != len(content):
        raise refused(f"{place}.content", "may hold only text, for it is not the user's.")
    if role == "system" and not turns.turns:
        turns.system += texts
    else:
        turns.add(role, texts, joins=role == "assistant")


def _function_call(turns: _Turns, item: Fields, place: str) -> None:
    call = ToolUse(
        needed(item, "call_id", name, place), needed(item, "name", name, place), needed(item, "arguments", text, place)
    )
    turns.tool_names[call.id] = call.name
    turns.add("assistant", [call], joins=True)


def _function_call_output(turns: _Turns, item: Fields, place: str) -> None:
    call_id = needed(item, "call_id", name, place)
    output = item.get("output")
    parts = () if output == "" else tuple(_content(output, f"{place}.output"))
    tool_name = turns.tool_names.get(call_id) or optional(item, "name", text, place)
    turns.add("user", [ToolResult(call_id, parts, name=tool_name)], joins=turns.ends_with_result())


def _reasoning(turns: _Turns, item: Fields, place: str) -> None:
    """With a summary, though it be empty text, the sealed content is its signature; without one it is all there is."""
    told = item.get("summary") or item.get("content") or []
    texts = [needed(part, "text", text, at) for at, part in objects(told, f"{place}.summary")]
    sealed = optional(item, "encrypted_content", text, place)
    if texts:
        turns.add("assistant", [Thinking(BETWEEN_SUMMARIES.join(texts), signature=sealed)], joins=True)
    elif sealed:
        turns.add("assistant", [Thinking(redacted=sealed)], joins=True)


_ITEMS: Mapping[str, Callable[[_Turns, Fields, str], None]] = {
    "message": _message,
    "function_call": _function_call,
    "function_call_output": _function_call_output,
    "reasoning": _reasoning,
}


def _content(value: Any, place: str) -> list[Text | Image | Document]:
    if isinstance(value, str):
        return [Text(value)]
    if not isinstance(value, list):
        raise refused(place, "must be a string or an array of parts.")
    parts = []
    for at, part in objects(value, place):
        read = _PARTS.get(needed(part, "type", text, at))
        if read is None:
            raise refused(f"{at}.type", f"must be one of {listed(_PARTS)} for this model.")
        parts.append(read(part, at))
    return parts


def _text(part: Fields, place: str) -> Text:
    return Text(needed(part, "text", text, place))


def _refusal(part: Fields, place: str) -> Text:
    return Text(needed(part, "refusal", text, place), refusal=True)


def _image(part: Fields, place: str) -> Image:
    url = optional(part, "image_url", name, place)
    detail = optional(part, "detail", text, place)
    if url is None:
        raise refused(f"{place}.image_url", "must be a URL or a data URL: a `file_id` names what only OpenAI has.")
    if not _is_data_url(url):
        return Image(url=url, detail=detail)
    media_type, data = _data_url(url, f"{place}.image_url")
    return Image(data=data, media_type=media_type, detail=detail)


def _file(part: Fields, place: str) -> Document:
    file_name = optional(part, "filename", text, place)
    data = optional(part, "file_data", text, place)
    if data is not None:
        media_type, data = _data_url(data, f"{place}.file_data") if _is_data_url(data) else (None, data)
        return Document(data=data, media_type=media_type, name=file_name)
    url, file_id = optional(part, "file_url", name, place), optional(part, "file_id", name, place)
    if url is None and file_id is None:
        raise refused(place, "must say `file_data`, `file_url` or `file_id`.")
    return Document(url=url, file_id=None if url else file_id, name=file_name)


_PARTS: Mapping[str, Callable[[Fields, str], Text | Image | Document]] = {
    "input_text": _text,
    "output_text": _text,
    "refusal": _refusal,
    "input_image": _image,
    "input_file": _file,
}


def _is_data_url(url: str) -> bool:
    return url[:5].lower() == "data:"


def _data_url(url: str, place: str) -> tuple[str | None, str]:
    """Media type and base64 data of a data URL (RFC 2397)."""
    head, _, data = url[5:].partition(",")
    media_type, *marks = (word.strip().lower() for word in head.split(";"))
    if "base64" not in marks:
        raise refused(place, "must be in base64: `data:<media type>;base64,<data>`.")
    return media_type or None, data
