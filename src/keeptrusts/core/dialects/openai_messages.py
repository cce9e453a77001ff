"""The messages of OpenAI's chat dialect: read into turns, and written from them.

Tools' messages are parts of one user's turn here, and come before what the user says in that turn there: OpenAI wants
them right after the calls. What a tool shows besides text follows in a user's message, as its own may hold only text.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from keeptrusts.core.calls.conversation import Conversation, Part, Text, Thinking, ToolResult, ToolUse, Turn
from keeptrusts.core.dialects.openai_fields import Fields, fields_of, items_of, name, one_of, refused, text
from keeptrusts.core.dialects.openai_parts import ANSWERED, ASKED, SAID, SHOWN, read_content, write_content

_Kind = TypeVar("_Kind")

_UNSAYABLE: Mapping[str, str] = {
    "function_call": "is superseded by `tool_calls`: use that.",
    "audio": "names an earlier audio answer, which only its own provider can find.",
}
"""Fields of an assistant's message that can't be told to others."""

_REASONING_FIELDS = ("reasoning_content", "reasoning")
"""Where what the model thought is put: DeepSeek's word, and OpenRouter's. OpenAI itself does not tell it."""


def read_messages(value: Any) -> tuple[tuple[Text, ...], tuple[Turn, ...]]:
    """The system's texts before the first other message, and the turns after them."""
    messages = items_of(value, "messages")
    if not messages:
        raise refused("messages", "must have a message at least.")
    reader = _Messages()
    for at, message in enumerate(messages):
        param = f"messages[{at}]"
        fields = fields_of(message, param)
        _READERS[one_of(fields.get("role"), f"{param}.role", _READERS)](reader, fields, param)
    return tuple(reader.system), tuple(reader.turns)


class _Messages:
    """What the messages so far say. ``tools`` has the names of the tools that were called, by the call's id."""

    def __init__(self) -> None:
        self.system: list[Text] = []
        self.turns: list[Turn] = []
        self.tools: dict[str, str] = {}
        self._answering = False

    def add(self, turn: Turn, answering: bool = False) -> None:
        """Adds a turn; a tool's answer goes into the turn of the one before it."""
        if answering and self._answering:
            turn = Turn("user", self.turns.pop().parts + turn.parts)
        self._answering = answering
        self.turns.append(turn)


def _read_system(messages: _Messages, fields: Fields, param: str) -> None:
    texts = read_content(fields.get("content"), f"{param}.content", SAID)
    if messages.turns:
        messages.add(Turn("system", texts))
    else:
        messages.system += texts


def _read_user(messages: _Messages, fields: Fields, param: str) -> None:
    messages.add(Turn("user", read_content(fields.get("content"), f"{param}.content", ASKED)))


def _read_assistant(messages: _Messages, fields: Fields, param: str) -> None:
    for field, why in _UNSAYABLE.items():
        if fields.get(field) is not None:
            raise refused(f"{param}.{field}", why)
    calls = _read_calls(fields.get("tool_calls"), f"{param}.tool_calls")
    messages.tools.update((call.id, call.name) for call in calls)
    content, refusal = fields.get("content"), fields.get("refusal")
    parts: list[Part] = []
    thought = reasoning_of(fields)
    if thought:
        parts.append(Thinking(thought))
    if content is not None and (content != "" or not (calls or refusal)):
        parts += read_content(content, f"{param}.content", ANSWERED)
    if refusal is not None:
        parts.append(Text(text(refusal, f"{param}.refusal"), refusal=True))
    parts += calls
    if not parts:
        raise refused(f"{param}.content", "must be a string or an array of parts, as there are no `tool_calls`.")
    messages.add(Turn("assistant", tuple(parts)))


def reasoning_of(message: Mapping[str, Any]) -> str:
    """What a message says the model thought, "" when it does not."""
    return next((said for field in _REASONING_FIELDS if isinstance(said := message.get(field), str)), "")


def _read_calls(value: Any, param: str) -> list[ToolUse]:
    if value is None:
        return []
    return [_read_call(call, f"{param}[{at}]") for at, call in enumerate(items_of(value, param))]


def _read_call(value: Any, param: str) -> ToolUse:
    fields = fields_of(value, param)
    one_of(fields.get("type"), f"{param}.type", ("function",))
    function = fields_of(fields.get("function"), f"{param}.function")
    return ToolUse(
        name(fields.get("id"), f"{param}.id"),
        name(function.get("name"), f"{param}.function.name"),
        text(function.get("arguments"), f"{param}.function.arguments"),
    )


def _read_tool(messages: _Messages, fields: Fields, param: str) -> None:
    call = name(fields.get("tool_call_id"), f"{param}.tool_call_id")
    parts = read_content(fields.get("content"), f"{param}.content", SHOWN)
    messages.add(Turn("user", (ToolResult(call, parts, name=messages.tools.get(call)),)), answering=True)


_READERS: Mapping[str, Callable[[_Messages, Fields, str], None]] = {
    "system": _read_system,
    "developer": _read_system,
    "user": _read_user,
    "assistant": _read_assistant,
    "tool": _read_tool,
}


def write_messages(conversation: Conversation) -> list[dict[str, Any]]:
    """The messages that say a conversation. Raises Refused for a part that this dialect has no place for."""
    messages = [_message("system", conversation.system)] if conversation.system else []
    for turn in conversation.turns:
        messages += _WRITERS[turn.role](turn)
    return messages


def _message(role: str, parts: Sequence[Part]) -> dict[str, Any]:
    return {"role": role, "content": write_content(parts)}


def _write_system(turn: Turn) -> list[dict[str, Any]]:
    return [_message("system", turn.parts)]


def _write_user(turn: Turn) -> list[dict[str, Any]]:
    results, asked = _parted(turn.parts, ToolResult)
    messages = []
    shown: list[Part] = []
    for result in results:
        texts, others = _parted(result.parts, Text)
        messages.append({**_message("tool", texts), "tool_call_id": result.tool_use_id})
        shown += others
    if shown or asked or not results:
        messages.append(_message("user", shown + asked))
    return messages


def _write_assistant(turn: Turn) -> list[dict[str, Any]]:
    calls, rest = _parted(turn.parts, ToolUse)
    _, said = _parted(rest, Thinking)
    message: dict[str, Any] = {"role": "assistant", "content": write_content(said) if said or not calls else None}
    if calls:
        message["tool_calls"] = [write_call(call) for call in calls]
    return [message]


def write_call(call: ToolUse) -> dict[str, Any]:
    """A call of a tool, in a message."""
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _parted(parts: Sequence[Part], kind: type[_Kind]) -> tuple[list[_Kind], list[Part]]:
    """The parts of this kind, and the others."""
    return [part for part in parts if isinstance(part, kind)], [part for part in parts if not isinstance(part, kind)]


_WRITERS: Mapping[str, Callable[[Turn], list[dict[str, Any]]]] = {
    "system": _write_system,
    "user": _write_user,
    "assistant": _write_assistant,
}
