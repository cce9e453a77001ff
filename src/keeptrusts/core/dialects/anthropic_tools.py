"""Tools of the Messages API, both ways: what the model may call, whether it must, and the arguments of its calls.

Source: ``ToolParam``, ``ToolChoiceParam`` and ``ToolUseBlock`` of Anthropic's SDK.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw

from keeptrusts.core.calls.conversation import CacheMark, Tool, ToolChoice
from keeptrusts.core.dialects.anthropic_fields import Fields, objects, optional, refusal, required, within, wrong

_decode_object = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.Encoder().encode

_MODES_IN: Mapping[str, str] = {"auto": "auto", "any": "required", "tool": "named", "none": "none"}
_MODES_OUT: Mapping[str, str] = {mode: kind for kind, mode in _MODES_IN.items()}
_ANYTHING: Mapping[str, Any] = {"type": "object", "properties": {}}

BROKEN_ARGUMENTS = "INVALID_JSON"
"""Arguments that are no JSON object are handed on under this key, as Anthropic's page on fine-grained tool streaming says."""


def read_cache_mark(fields: Fields, place: str) -> CacheMark | None:
    """The ``cache_control`` of a block. Raises Refused."""
    control = optional(fields, "cache_control", dict, place)
    if control is None:
        return None
    at = within(place, "cache_control")
    if control.get("type") != "ephemeral":
        raise wrong(within(at, "type"), "ephemeral")
    ttl = control.get("ttl")
    if ttl not in (None, "5m", "1h"):
        raise wrong(within(at, "ttl"), "5m or 1h")
    return "1h" if ttl == "1h" else "5m"


def marked(block: dict[str, Any], mark: CacheMark | None) -> dict[str, Any]:
    """The block, with its cache mark if it has one; five minutes need not be said."""
    if mark is not None:
        block["cache_control"] = {"type": "ephemeral"} if mark == "5m" else {"type": "ephemeral", "ttl": mark}
    return block


def read_tools(fields: Fields) -> tuple[Tool, ...]:
    """The tools of a request. Raises Refused for what only Anthropic's servers and models know."""
    return tuple(_read_tool(tool, at) for at, tool in objects(optional(fields, "tools", list) or [], "tools"))


def _read_tool(fields: dict[str, Any], at: str) -> Tool:
    kind = optional(fields, "type", str, at)
    if kind not in (None, "custom"):
        raise refusal(
            within(at, "type"),
            f"`{kind}` is a tool of Anthropic's own, which the model that serves this call does not know: "
            "describe a tool of yours with `input_schema`, or call a model of Anthropic's.",
        )
    callers = optional(fields, "allowed_callers", list, at)
    if callers is not None and "direct" not in callers:
        place = within(at, "allowed_callers")
        raise refusal(place, f"`{place}` must hold `direct`: no code that calls tools runs for this model.")
    return Tool(
        required(fields, "name", str, at),
        optional(fields, "description", str, at),
        required(fields, "input_schema", dict, at),
        optional(fields, "strict", bool, at),
        read_cache_mark(fields, at),
    )


def write_tool(tool: Tool) -> dict[str, Any]:
    """A tool as it is sent: its schema is one of an object, whatever else it says."""
    written: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        written["description"] = tool.description
    written["input_schema"] = {"type": "object", **tool.parameters} if tool.parameters else _ANYTHING
    if tool.strict is not None:
        written["strict"] = tool.strict
    return marked(written, tool.cache)


def read_tool_choice(fields: Fields) -> ToolChoice | None:
    """Whether the model must call a tool. Raises Refused."""
    choice = optional(fields, "tool_choice", dict)
    if choice is None:
        return None
    mode = _MODES_IN.get(required(choice, "type", str, "tool_choice"))
    alone = optional(choice, "disable_parallel_tool_use", bool, "tool_choice")
    parallel = None if alone is None else not alone
    match mode:
        case "auto" | "required" | "none":
            return ToolChoice(mode, parallel=parallel)
        case "named":
            return ToolChoice("named", required(choice, "name", str, "tool_choice"), parallel)
        case _:
            raise wrong("tool_choice.type", "auto, any, tool or none")


def write_tool_choice(choice: ToolChoice) -> dict[str, Any]:
    """The choice as it is sent."""
    written: dict[str, Any] = {"type": _MODES_OUT[choice.mode]}
    if choice.name is not None and choice.mode == "named":
        written["name"] = choice.name
    if choice.parallel is not None and choice.mode != "none":
        written["disable_parallel_tool_use"] = not choice.parallel
    return written


def input_of(arguments: str) -> Raw:
    """A call's ``input``: the arguments as they were written, for they must be an object; see BROKEN_ARGUMENTS."""
    if not arguments or arguments.isspace():
        return Raw(b"{}")
    try:
        _decode_object(arguments)
    except (msgspec.DecodeError, RecursionError):
        return Raw(_encode({BROKEN_ARGUMENTS: arguments}))
    return Raw(arguments.encode())


def arguments_of(fields: Fields, place: str) -> str:
    """The arguments of a call whose ``input`` is decoded. Raises Refused when that is not to be written again."""
    try:
        return _encode(required(fields, "input", dict, place)).decode()
    except (OverflowError, RecursionError, ValueError):
        at = within(place, "input")
        raise refusal(at, f"`{at}` holds a number that is too large, or is nested too deeply.") from None
