"""A request in OpenAI's chat dialect: read from an application's, and written for a provider that speaks it.

Source: the ``CreateChatCompletionRequest`` schema of OpenAI's API description.
"""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from keeptrusts.core.calls.chat import limit_field, thinks_unseen
from keeptrusts.core.calls.conversation import Conversation, Format, Reasoning, Tool, ToolChoice
from keeptrusts.core.dialects.openai_fields import (
    SETTINGS,
    Fields,
    fields_of,
    flag,
    items_of,
    limit,
    name,
    one_of,
    read_model,
    read_settings,
    refuse_unsayable,
    refused,
    text,
    whole,
)
from keeptrusts.core.dialects.openai_messages import read_messages, write_messages
from keeptrusts.core.dialects.openai_parts import read_cache

_encode = msgspec.json.Encoder().encode

_READ = frozenset(
    {
        *SETTINGS,
        *("model", "messages", "stream_options", "max_tokens", "max_completion_tokens", "logprobs", "top_logprobs"),
        *("tools", "tool_choice", "parallel_tool_calls", "response_format", "reasoning_effort"),
    }
)

_LEFT_OUT = frozenset(
    {
        *("metadata", "store", "service_tier", "safety_identifier"),  # matter to OpenAI's own records and queues
        *("prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"),  # make the same answer cheaper
        "prediction",  # makes the same answer sooner
        "verbosity",  # a hint that no other dialect knows
    }
)
"""What an application may say and other providers are not told, as the answer means the same without it. So are
``name`` and ``prompt_cache_breakpoint`` inside of messages."""

_UNSAYABLE: Mapping[str, str] = {
    "audio": "asks for an answer in audio, which can't be had from this model's provider.",
    "modalities": "can only be `text` with this model's provider.",
    "web_search_options": "asks for a search that only OpenAI does: offer a tool of your own.",
    "moderation": "asks for a check that only OpenAI does.",
    "logit_bias": "names tokens of OpenAI's models, which this model does not know.",
    "functions": "is superseded by `tools`: use that.",
    "function_call": "is superseded by `tool_choice`: use that.",
}

_IDLE: Fields = {"modalities": (["text"],), "logit_bias": ({},), "functions": ([],), "function_call": ("none", "auto")}
"""Values of those that ask for nothing."""

UNTOLD: Mapping[str, str] = {
    "top_k": "OpenAI refuses it; without it the answer is one of those that top_p lets pass",
    "Reasoning.shown": "no answer of this dialect shows more when asked",
    "Reasoning.budget_tokens": "told as an effort, to models that think",
    "Thinking": "what the model thought before is no part of this dialect's messages",
    "CacheMark": "OpenAI keeps prompts by itself",
    "ToolResult.is_error": "the result's own text says so",
}
"""What a conversation may say and a provider of this dialect is not told, and why that is no loss."""

_EFFORTS: Mapping[str, str] = {
    **{effort: effort for effort in ("none", "minimal", "low", "medium", "high", "xhigh")},
    "max": "xhigh",  # the most that the neutral form has a word for
}
_EFFORT_BUDGETS = ((4_096, "low"), (16_384, "medium"))
"""An effort stands for thinking of so many tokens at most; ``high`` for any more. Every model that thinks knows these."""

_MODES: Mapping[str, Literal["auto", "none", "required"]] = {"auto": "auto", "none": "none", "required": "required"}
_read_top_logprobs = whole(0, 20)
MOST_STOPS = 4


def read_request(fields: Fields) -> Conversation:
    """The conversation that a decoded request asks to continue. Raises Refused(INVALID_REQUEST) with the field's name."""
    refuse_unsayable(fields, _READ | _LEFT_OUT, _UNSAYABLE, _IDLE)
    model = read_model(fields)
    system, turns = read_messages(fields.get("messages"))
    tools = _read_tools(fields.get("tools"))
    effort = fields.get("reasoning_effort")
    conversation = Conversation(
        model=model,
        turns=turns,
        system=system,
        tools=tools,
        tool_choice=_read_tool_choice(fields, tools),
        max_tokens=_read_limit(fields),
        logprobs=_read_logprobs(fields),
        response_format=_read_format(fields.get("response_format")),
        reasoning=None if effort is None else Reasoning(_EFFORTS[one_of(effort, "reasoning_effort", _EFFORTS)]),
        **read_settings(fields),
    )
    _refuse_streamed_logprobs(conversation)
    return conversation


def _read_limit(fields: Fields) -> int | None:
    """Of both limits the larger one, as it is the one that the call's cost was bounded by."""
    names = ("max_tokens", "max_completion_tokens")
    limits = [limit(fields[field], field) for field in names if fields.get(field) is not None]
    return max(limits, default=None)


def _read_logprobs(fields: Fields) -> int | None:
    wanted, most = fields.get("logprobs"), fields.get("top_logprobs")
    count = 0 if most is None else _read_top_logprobs(most, "top_logprobs")
    if wanted is not None and flag(wanted, "logprobs"):
        return count
    if count:
        raise refused("top_logprobs", "needs `logprobs` to be true.")
    return None


def _refuse_streamed_logprobs(conversation: Conversation) -> None:
    if conversation.stream and conversation.logprobs is not None:
        raise refused("logprobs", "can't be told in a stream by this model's provider: ask without `stream`.")


def _read_tools(value: Any) -> tuple[Tool, ...]:
    if value is None:
        return ()
    return tuple(_read_tool(tool, f"tools[{at}]") for at, tool in enumerate(items_of(value, "tools")))


def _read_tool(value: Any, param: str) -> Tool:
    fields = fields_of(value, param)
    one_of(fields.get("type"), f"{param}.type", ("function",))
    function = fields_of(fields.get("function"), f"{param}.function")
    return Tool(
        name(function.get("name"), f"{param}.function.name"),
        _said(text, function, "description", f"{param}.function"),
        _said(fields_of, function, "parameters", f"{param}.function"),
        _said(flag, function, "strict", f"{param}.function"),
        read_cache(fields, param),
    )


def _said(read: Any, fields: Fields, field: str, param: str) -> Any:
    """A field that need not be there."""
    value = fields.get(field)
    return None if value is None else read(value, f"{param}.{field}")


def _read_tool_choice(fields: Fields, tools: tuple[Tool, ...]) -> ToolChoice | None:
    choice, parallel = fields.get("tool_choice"), fields.get("parallel_tool_calls")
    if parallel is not None:
        flag(parallel, "parallel_tool_calls")
    if choice is None:
        return None if parallel is None else ToolChoice(parallel=parallel)
    if isinstance(choice, str):
        mode = _MODES[one_of(choice, "tool_choice", _MODES)]
        if mode == "required" and not tools:
            raise refused("tool_choice", "requires a tool, but `tools` has none.")
        return ToolChoice(mode, parallel=parallel)
    named = fields_of(choice, "tool_choice")
    one_of(named.get("type"), "tool_choice.type", ("function",))
    function = fields_of(named.get("function"), "tool_choice.function")
    wanted = name(function.get("name"), "tool_choice.function.name")
    if wanted not in {tool.name for tool in tools}:
        raise refused("tool_choice.function.name", "must be the name of one of `tools`.")
    return ToolChoice("named", wanted, parallel)


def _read_format(value: Any) -> Format | None:
    if value is None:
        return None
    fields = fields_of(value, "response_format")
    kind = one_of(fields.get("type"), "response_format.type", ("text", "json_object", "json_schema"))
    if kind == "text":
        return None
    if kind == "json_object":
        return Format("json")
    place = "response_format.json_schema"
    schema = fields_of(fields.get("json_schema"), place)
    return Format(
        "schema",
        name(schema.get("name"), f"{place}.name"),
        _said(fields_of, schema, "schema", place),
        _said(flag, schema, "strict", place),
        _said(text, schema, "description", place),
    )


def write_request(conversation: Conversation, model: str) -> bytes:
    """The body to send to a provider. Raises Refused(INVALID_REQUEST) for what this dialect can't ask for."""
    _refuse_streamed_logprobs(conversation)
    if len(conversation.stop) > MOST_STOPS:
        raise refused("stop", f"can have {MOST_STOPS} sequences at most with this model's provider.")
    body: dict[str, Any] = {
        "model": model,
        "messages": write_messages(conversation),
        limit_field(model): conversation.max_tokens,
        "temperature": conversation.temperature,
        "top_p": conversation.top_p,
        "stop": conversation.stop or None,
        "seed": conversation.seed,
        "n": None if conversation.n == 1 else conversation.n,
        "presence_penalty": conversation.presence_penalty,
        "frequency_penalty": conversation.frequency_penalty,
        "logprobs": None if conversation.logprobs is None else True,
        "top_logprobs": conversation.logprobs or None,
        "response_format": _write_format(conversation.response_format),
        "reasoning_effort": _write_effort(conversation.reasoning, model),
        "user": conversation.user,
    }
    if conversation.tools:
        body |= {"tools": [_write_tool(tool) for tool in conversation.tools], **_write_choice(conversation.tool_choice)}
    if conversation.stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return _encode(_told(body))


def _told(fields: dict[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in fields.items() if value is not None}


def _write_tool(tool: Tool) -> dict[str, Any]:
    function = {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
        "strict": tool.strict,
    }
    return {"type": "function", "function": _told(function)}


def _write_choice(choice: ToolChoice | None) -> dict[str, Any]:
    """The fields for it; OpenAI refuses them without tools."""
    if choice is None:
        return {}
    named = {"type": "function", "function": {"name": choice.name}}
    mode = named if choice.mode == "named" else choice.mode
    return _told({"tool_choice": mode, "parallel_tool_calls": choice.parallel})


def _write_format(wanted: Format | None) -> dict[str, Any] | None:
    if wanted is None:
        return None
    if wanted.kind == "json":
        return {"type": "json_object"}
    schema = {
        "name": wanted.name,
        "description": wanted.description,
        "schema": wanted.schema,
        "strict": wanted.strict,
    }
    return {"type": "json_schema", "json_schema": _told(schema)}


def _write_effort(reasoning: Reasoning | None, model: str) -> str | None:
    """An effort is told as it is. A budget is a wish of another dialect: models that don't think would refuse it."""
    if reasoning is None or reasoning.effort is not None:
        return None if reasoning is None else reasoning.effort
    if reasoning.budget_tokens is None or not thinks_unseen(model):
        return None
    return next((effort for most, effort in _EFFORT_BUDGETS if reasoning.budget_tokens <= most), "high")
