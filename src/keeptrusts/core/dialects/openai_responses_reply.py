"""Whole answers in the Responses dialect, as its clients read them, and the parts that streams share with them.

Source: the ``Response`` and ``OutputItem`` schemas of OpenAI's API description. Errors have the envelope of
``openai_error``. The dialect has no word for some stops: ``stop_sequence`` and ``pause`` are told as a completed answer.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from keeptrusts.core.calls.conversation import Choice, Conversation, Reply, StopReason, Text, Thinking, ToolUse
from keeptrusts.core.dialects.openai_responses_tools import choice_value, format_object, tool_object
from keeptrusts.core.dialects.openai_responses_usage import usage_object

_NOTHING_SAID = Choice(())

_encode = msgspec.json.Encoder(decimal_format="number").encode

INCOMPLETE: Mapping[StopReason, str] = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""Stops that make an answer incomplete, and the reason that is told. Every other stop completes it."""

_ID_PREFIXES: Mapping[str, str] = {"message": "msg", "function_call": "fc", "reasoning": "rs"}


def write_reply(reply: Reply, asked: Conversation) -> bytes:
    """The body of a whole answer. The dialect knows one choice: others are not told."""
    choice = reply.choices[0] if reply.choices else _NOTHING_SAID
    output: list[dict[str, Any]] = []
    for part in choice.parts:
        if isinstance(part, Text) and output and output[-1]["type"] == "message":
            output[-1]["content"].append(content_part(part.text, part.refusal))
        else:
            output.append(_item(part, reply.id, len(output)))
    if output:
        output[-1]["status"] = status_of(choice.stop)
    _add_logprobs(output, choice.logprobs)
    response = response_object(reply.id, reply.model, reply.created_s or 0, asked)
    response.update(outcome(choice.stop), output=output, usage=usage_object(reply.usage))
    return _encode(response)


def _item(part: Text | ToolUse | Thinking, response_id: str, index: int) -> dict[str, Any]:
    if isinstance(part, Text):
        return message_item(item_id("message", response_id, index), [content_part(part.text, part.refusal)])
    if isinstance(part, ToolUse):
        return call_item(item_id("function_call", response_id, index), part)
    its_id = item_id("reasoning", response_id, index)
    if part.redacted is not None:
        return reasoning_item(its_id, None, part.redacted)
    return reasoning_item(its_id, part.text, part.signature)


def status_of(stop: StopReason) -> str:
    """The status of a response that stopped so, and of its last item."""
    return "incomplete" if stop in INCOMPLETE else "completed"


def outcome(stop: StopReason) -> dict[str, Any]:
    """The fields of a response that say how it ended."""
    reason = INCOMPLETE.get(stop)
    return {
        "status": status_of(stop),
        "incomplete_details": None if reason is None else {"reason": reason},
    }


def response_object(response_id: str, model: str | None, created_s: int, asked: Conversation) -> dict[str, Any]:
    """A response that is in progress: nothing said yet, and what was asked, which this dialect repeats in every answer."""
    choice, thought = asked.tool_choice, asked.reasoning
    effort = thought.effort if thought is not None else None
    return {
        "id": response_id,
        "object": "response",
        "created_at": created_s,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": "\n\n".join(text.text for text in asked.system) or None,
        "max_output_tokens": asked.max_tokens,
        "model": model or asked.model,
        "output": [],
        "parallel_tool_calls": choice is None or choice.parallel is not False,
        "previous_response_id": None,
        "reasoning": {"effort": effort, "summary": "auto" if thought is not None and thought.shown else None},
        "store": False,
        "temperature": asked.temperature,
        "text": {"format": format_object(asked.response_format)},
        "tool_choice": choice_value(choice),
        "tools": [tool_object(tool) for tool in asked.tools],
        "top_p": asked.top_p,
        "truncation": "disabled",
        "usage": None,
        "user": asked.user,
        "metadata": {},
    }


def item_id(kind: str, response_id: str, index: int) -> str:
    """The id of the item at ``index`` of a response's output."""
    return f"{_ID_PREFIXES[kind]}_{response_id}_{index}"


def content_part(text: str, refusal: bool) -> dict[str, Any]:
    """A part of a message."""
    if refusal:
        return {"type": "refusal", "refusal": text}
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def message_item(its_id: str, content: list[dict[str, Any]], status: str = "completed") -> dict[str, Any]:
    """A message of the model as an item of the output."""
    return {
        "id": its_id,
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": content,
    }


def call_item(its_id: str, call: ToolUse, status: str = "completed") -> dict[str, Any]:
    """A call of a function as an item of the output."""
    return {
        "id": its_id,
        "type": "function_call",
        "status": status,
        "call_id": call.id,
        "name": call.name,
        "arguments": call.arguments,
    }


def reasoning_item(its_id: str, summary: str | None, sealed: str | None, status: str = "completed") -> dict[str, Any]:
    """Thinking as an item of the output. ``sealed`` is what proves it, or what only its provider can read: clients send it
    back unread. Thinking that is not told at all (``summary`` None) has no part of a summary; other thinking has one,
    though it be empty, so that the two can be told apart when they come back."""
    item = {
        "id": its_id,
        "type": "reasoning",
        "status": status,
        "summary": [] if summary is None else [summary_part(summary)],
    }
    return item if sealed is None else {**item, "encrypted_content": sealed}


def summary_part(text: str) -> dict[str, Any]:
    """A part of what is told of the model's thinking."""
    return {"type": "summary_text", "text": text}


def _add_logprobs(output: list[dict[str, Any]], logprobs: Any) -> None:
    """Chat tells them once for a whole choice, this dialect within the text that they are of: the first one gets them."""
    told = logprobs.get("content") if isinstance(logprobs, Mapping) else None
    parts = (part for item in output for part in item.get("content", ()) if part["type"] == "output_text")
    first = next(parts, None)
    if told and first is not None:
        first["logprobs"] = told
