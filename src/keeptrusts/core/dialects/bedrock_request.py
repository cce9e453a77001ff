"""A conversation as a request to Amazon Bedrock (``Converse`` and ``ConverseStream``, API version 2023-09-30)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import msgspec

from keeptrusts.core.calls.conversation import Conversation, Format, Tool, ToolChoice, ToolResult, ToolUse
from keeptrusts.core.dialects.anthropic_tools import write_tool_choice
from keeptrusts.core.dialects.bedrock_models import cache_point, dials_of, family_of
from keeptrusts.core.dialects.bedrock_parts import write_messages
from keeptrusts.core.refusal import Reason, Refused

SERVICE = "bedrock"
"""The name under which a request is signed (``sigv4.sign``)."""

LEFT_OUT: Mapping[str, str] = MappingProxyType(
    {
        "seed": "a wish for the same answer again, which Converse can't be told",
        "user": "Bedrock takes no word for who asks",
        "presence_penalty": "a leaning in the choice of words; Converse has none",
        "frequency_penalty": "a leaning in the choice of words; Converse has none",
        "include_usage": "every answer tells the usage",
        "temperature": "above 1 it is 1; none for Claude since 4.7, nor while it thinks",
        "top_p": "none for Claude since 4.7, nor while it thinks",
        "top_k": "none for Claude since 4.7, nor while it thinks",
        "reasoning": "models other than Claude, Nova 2 and OpenAI's think as they do; a budget is Claude's alone",
        "response_format.strict": "a schema is always kept to",
        "parts.cache": "only Claude and Nova keep prompts; Nova not its tools, and nothing for an hour",
        "Image.detail": "Converse has no resolutions",
        "Thinking": "without a signature, or with Gemini's, it is another model's",
    }
)
"""What ``write_request`` does not say to Bedrock, wholly or in part, and why that changes no answer's meaning."""

_NO_PARAMETERS: Mapping[str, Any] = MappingProxyType({"type": "object", "properties": {}})

_encode = msgspec.json.Encoder().encode


def base_url_of(region: str) -> str:
    """Where a region's models are served."""
    return f"https://bedrock-runtime.{region}.amazonaws.com"


def path_of(model: str, stream: bool) -> str:
    """Where to send a request, below the base URL: ids hold colons, and ARNs slashes. It is signed as it stands."""
    name = quote(model, safe="~") if model.strip(".") else model.replace(".", "%2E")
    return f"/model/{name}/converse-stream" if stream else f"/model/{name}/converse"


def write_request(conversation: Conversation, model: str) -> bytes:
    """The body to send; LEFT_OUT says what it is silent about. The model and whether to stream stand in the path.

    Raises Refused(INVALID_REQUEST) for what Bedrock can't do and that would change the answer.
    """
    if conversation.n != 1:
        raise _refused("n", "Bedrock gives one answer to a request: leave `n` out, or ask several times.")
    if conversation.logprobs is not None:
        raise _refused("logprobs", "Bedrock's Converse tells no log probabilities: leave `logprobs` out.")
    messages = write_messages(conversation.turns, model)
    if not messages:
        raise _refused("messages", "Bedrock needs at least one message that is not blank.")
    tool_config, own_choice = _tool_config(conversation, model)
    dials = dials_of(conversation, model)
    limits = {"maxTokens": conversation.max_tokens, "stopSequences": conversation.stop or None, **dials.sampling}
    output = {"textFormat": _text_format(conversation.response_format), "effort": dials.effort}
    body = {
        "messages": messages,
        "system": _system(conversation, model),
        "inferenceConfig": _said(limits),
        "toolConfig": tool_config,
        "additionalModelRequestFields": {**dials.additional, **own_choice},
        "outputConfig": _said(output),
    }
    return _encode({name: value for name, value in body.items() if value})


def _said(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _system(conversation: Conversation, model: str) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    for text in conversation.system:
        if text.text.strip():
            blocks.append({"text": text.text})
        point = cache_point(text.cache, model) if text.cache is not None else None
        if point is not None and blocks:
            blocks.append(point)
    return blocks


def _tool_config(conversation: Conversation, model: str) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """``toolConfig``, and what must be said in Claude's own words instead.

    Bedrock refuses turns with calls in them unless it is told of the tools. Claude can be told of tools that it must not
    call; for others a request that says so is refused if there are such turns, and otherwise holds no tools at all.
    """
    choice = conversation.tool_choice or ToolChoice()
    used = _used_tools(conversation)
    if not conversation.tools:
        choice = ToolChoice("none")
    if choice.mode == "none" and not used:
        return None, {}
    claude = family_of(model) == "claude"
    if choice.mode == "none" and not claude:
        message = "This model on Bedrock can't be kept from calling the tools that the conversation has called before."
        raise _refused("tool_choice" if conversation.tools else "tools", message)
    if choice.parallel is False and not claude:
        message = (
            "This model on Bedrock can't be kept from calling several tools at once: leave `parallel_tool_calls` out."
        )
        raise _refused("parallel_tool_calls", message)
    tools = [block for tool in conversation.tools or used for block in _tool(tool, model)]
    if choice.mode == "none" or choice.parallel is False:
        return {"tools": tools}, {"tool_choice": write_tool_choice(choice)}
    return {"tools": tools} | _choice(choice, conversation.tool_choice is not None), {}


def _choice(choice: ToolChoice, said: bool) -> dict[str, Any]:
    forms: dict[str, dict[str, Any]] = {
        "auto": {"auto": {}},
        "required": {"any": {}},
        "named": {"tool": {"name": choice.name}},
    }
    return {"toolChoice": forms[choice.mode]} if said else {}


def _used_tools(conversation: Conversation) -> list[Tool]:
    """The tools that the turns speak of, by name alone."""
    parts = [part for turn in conversation.turns for part in turn.parts]
    names = [part.name for part in parts if isinstance(part, ToolUse | ToolResult) and part.name]
    return [Tool(name) for name in dict.fromkeys(names)]


def _tool(tool: Tool, model: str) -> list[dict[str, Any]]:
    spec: dict[str, Any] = {"name": tool.name, "inputSchema": {"json": tool.parameters or dict(_NO_PARAMETERS)}}
    if tool.description:
        spec["description"] = tool.description
    if tool.strict:
        spec["strict"] = True
    point = cache_point(tool.cache, model, in_tools=True) if tool.cache is not None else None
    return [{"toolSpec": spec}, *([point] if point is not None else [])]


def _text_format(wanted: Format | None) -> dict[str, Any] | None:
    if wanted is None:
        return None
    if wanted.schema is None:
        message = "Bedrock can't be held to JSON without a schema: give `json_schema`, or leave `response_format` out."
        raise _refused("response_format", message)
    schema = {"schema": _encode(wanted.schema).decode(), "name": wanted.name, "description": wanted.description}
    told = {name: value for name, value in schema.items() if value}
    return {"type": "json_schema", "structure": {"jsonSchema": told}}


def _refused(param: str, message: str) -> Refused:
    return Refused(Reason.INVALID_REQUEST, message, {"param": param})
