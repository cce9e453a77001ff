"""The neutral form as a request in the Responses dialect, for providers that speak it (``POST /v1/responses``).

Source: the ``CreateResponse`` and ``InputItem`` schemas of OpenAI's API description. Nothing refers to what the provider
might keep: every call carries its whole conversation, and asks that it not be stored.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from keeptrusts.core.calls.chat import thinks_unseen
from keeptrusts.core.calls.conversation import (
    Conversation,
    Document,
    Image,
    Part,
    Reasoning,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    Turn,
)
from keeptrusts.core.dialects.openai_fields import refused
from keeptrusts.core.dialects.openai_responses_reply import summary_part
from keeptrusts.core.dialects.openai_responses_seals import unmarked
from keeptrusts.core.dialects.openai_responses_tools import choice_value, format_object, tool_object

_encode = msgspec.json.Encoder().encode

LEFT_OUT: Mapping[str, str] = {
    "seed": "it only asks for the same answer again, and no provider promises it",
    "top_k": "without it the answer is one of those that top_p lets pass",
    "CacheMark": "these providers keep prompts by themselves",
    "ToolResult.is_error": "the result's own text says so",
    "Thinking": "where the provider did not seal it: it refuses what others did",
    "Reasoning": "but for an effort in words, where the model does not think: it would refuse the call",
}
"""What a provider of this dialect is not told, and why its answer means the same."""

_CANT: tuple[tuple[str, str, Callable[[Conversation], bool]], ...] = (
    ("n", "must be 1: this model's provider gives one answer to a call.", lambda c: c.n > 1),
    ("stop", "is not known to this model's provider.", lambda c: bool(c.stop)),
    ("presence_penalty", "is not known to this model's provider.", lambda c: bool(c.presence_penalty)),
    ("frequency_penalty", "is not known to this model's provider.", lambda c: bool(c.frequency_penalty)),
    ("logprobs", "can't be told in a stream of this model.", lambda c: c.stream and c.logprobs is not None),
)
"""What would change the answer, and can't be said: the parameter, what is wrong with it, and whether it is there."""

_EFFORTS: tuple[tuple[int, str], ...] = ((0, "none"), (4_096, "low"), (16_384, "medium"))
"""The effort that a budget of so many tokens at most amounts to; a larger one is ``high``."""


def write_request(conversation: Conversation, model: str) -> bytes:
    """The body to send. Raises Refused(INVALID_REQUEST) for what would change the answer and can't be said."""
    for param, message, present in _CANT:
        if present(conversation):
            raise refused(param, message)
    body: dict[str, Any] = {
        "model": model,
        "input": list(_input(conversation)),
        "store": False,
        "max_output_tokens": conversation.max_tokens,
        "temperature": conversation.temperature,
        "top_p": conversation.top_p,
        "top_logprobs": conversation.logprobs or None,
        "include": _include(conversation, thinks_unseen(model)),
        "reasoning": _reasoning(conversation.reasoning or Reasoning(), thinks_unseen(model)),
        "user": conversation.user,
        "stream": conversation.stream or None,
    }
    if conversation.response_format is not None:
        body["text"] = {"format": format_object(conversation.response_format)}
    if conversation.tools:
        body["tools"] = [tool_object(tool) for tool in conversation.tools]
        if conversation.tool_choice is not None:
            body["tool_choice"] = choice_value(conversation.tool_choice)
            body["parallel_tool_calls"] = conversation.tool_choice.parallel
    return _encode({name: value for name, value in body.items() if value is not None})


def _include(conversation: Conversation, thinks: bool) -> list[str] | None:
    include = {
        "message.output_text.logprobs": conversation.logprobs is not None,
        "reasoning.encrypted_content": thinks,
    }
    return [word for word, wanted in include.items() if wanted] or None


def _reasoning(thought: Reasoning, thinks: bool) -> dict[str, Any] | None:
    effort, budget = thought.effort, thought.budget_tokens
    if effort is None and budget is not None and thinks:
        effort = next((word for most, word in _EFFORTS if budget <= most), "high")
    told = {"effort": effort, "summary": "auto" if thought.shown and thinks else None}
    return {name: value for name, value in told.items() if value is not None} or None


def _input(conversation: Conversation) -> Iterator[dict[str, Any]]:
    if conversation.system:
        yield from _items(Turn("system", conversation.system))
    for turn in conversation.turns:
        yield from _items(turn)


def _items(turn: Turn) -> Iterator[dict[str, Any]]:
    """A turn's items: what stands together of its words, images and files is one message."""
    content: list[dict[str, Any]] = []
    for part in turn.parts:
        if isinstance(part, Thinking) and not _sealed(part):
            continue
        write = _ITEMS.get(type(part))
        if write is None:
            content.append(_content(part, turn.role))
            continue
        if content:
            yield _message(turn.role, content)
            content = []
        yield write(part)
    if content:
        yield _message(turn.role, content)


def _message(role: str, content: list[dict[str, Any]]) -> dict[str, Any]:
    """A message. Mere text is written as a string, which everyone who speaks the dialect reads."""
    only = content[0] if len(content) == 1 else {}
    return {"type": "message", "role": role, "content": only.get("text", content)}


def _content(part: Part, role: str) -> dict[str, Any]:
    write = (_USER_PARTS if role == "user" else _ASSISTANT_PARTS if role == "assistant" else _SYSTEM_PARTS).get(
        type(part)
    )
    if write is None:
        kind = type(part).__name__.lower()
        raise refused("messages", f"hold {kind} from the {role}, which this model's provider can't be told.")
    return write(part)


def _input_text(part: Text) -> dict[str, Any]:
    return {"type": "input_text", "text": part.text}


def _output_text(part: Text) -> dict[str, Any]:
    if part.refusal:
        return {"type": "refusal", "refusal": part.text}
    return {"type": "output_text", "text": part.text, "annotations": []}


def _input_image(part: Image) -> dict[str, Any]:
    url = part.url if part.data is None else _data_url(part.media_type, part.data)
    return {"type": "input_image", "image_url": url, "detail": part.detail or "auto"}


def _input_file(part: Document) -> dict[str, Any]:
    if part.text is not None:
        return {"type": "input_text", "text": part.text}
    if part.data is not None:
        data = part.data if part.media_type is None else _data_url(part.media_type, part.data)
        return {"type": "input_file", "filename": part.name or _file_name(part.media_type), "file_data": data}
    source = {"file_url": part.url} if part.url is not None else {"file_id": part.file_id}
    return {"type": "input_file", **source}


def _data_url(media_type: str | None, data: str) -> str:
    return f"data:{media_type or 'application/octet-stream'};base64,{data}"


def _file_name(media_type: str | None) -> str:
    """The dialect wants a name with data, and may tell by its ending what it is."""
    return "document.pdf" if media_type in (None, "application/pdf") else "document"


def _function_call(part: ToolUse) -> dict[str, Any]:
    return {"type": "function_call", "call_id": part.id, "name": part.name, "arguments": part.arguments}


def _function_call_output(part: ToolResult) -> dict[str, Any]:
    parts = [_USER_PARTS[type(inner)](inner) for inner in part.parts]
    only_text = len(parts) == 1 and parts[0]["type"] == "input_text"
    output = parts[0]["text"] if only_text else parts or ""
    return {"type": "function_call_output", "call_id": part.tool_use_id, "output": output}


def _sealed(part: Thinking) -> str | None:
    return unmarked(part.signature if part.redacted is None else part.redacted)


def _reasoning_item(part: Thinking) -> dict[str, Any]:
    """A reasoning item without an id: sealed content is refused beside any id but the one that it was sealed with."""
    summary = [summary_part(part.text)] if part.redacted is None else []
    return {"type": "reasoning", "summary": summary, "encrypted_content": _sealed(part)}


_USER_PARTS: Mapping[type, Callable[[Any], dict[str, Any]]] = {
    Text: _input_text,
    Image: _input_image,
    Document: _input_file,
}
_ASSISTANT_PARTS: Mapping[type, Callable[[Any], dict[str, Any]]] = {Text: _output_text}
_SYSTEM_PARTS: Mapping[type, Callable[[Any], dict[str, Any]]] = {Text: _input_text}
_ITEMS: Mapping[type, Callable[[Any], dict[str, Any]]] = {
    ToolUse: _function_call,
    ToolResult: _function_call_output,
    Thinking: _reasoning_item,
}
