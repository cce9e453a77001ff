"""Tools, the choice among them and the form of the answer in the Responses dialect, read and written.

Source: the ``FunctionTool``, ``ToolChoice*`` and ``TextResponseFormat*`` schemas of OpenAI's API description.
"""

from collections.abc import Mapping
from typing import Any, Literal

from keeptrusts.core.calls.conversation import Format, Tool, ToolChoice
from keeptrusts.core.dialects.openai_fields import Fields, fields_of, flag, name, one_of, refused, text
from keeptrusts.core.dialects.openai_responses_fields import needed, objects, optional

_MODES: Mapping[str, Literal["auto", "none", "required"]] = {"auto": "auto", "none": "none", "required": "required"}


def read_tools(value: Any) -> tuple[Tool, ...]:
    """The functions of ``tools``. Raises Refused(INVALID_REQUEST) for tools that OpenAI's servers would run."""
    return tuple(_tool(tool, place) for place, tool in objects(value, "tools"))


def _tool(tool: Fields, place: str) -> Tool:
    kind = needed(tool, "type", text, place)
    if kind != "function":
        raise refused(f"{place}.type", f"is `{kind}`, which this model's provider can't run: use `function` tools.")
    return Tool(
        name=needed(tool, "name", name, place),
        description=optional(tool, "description", text, place),
        parameters=optional(tool, "parameters", fields_of, place),
        strict=optional(tool, "strict", flag, place),
    )


def read_choice(
    value: Any, parallel: bool | None, tools: tuple[Tool, ...]
) -> tuple[ToolChoice | None, tuple[Tool, ...]]:
    """The choice, and the tools that it leaves to choose from. Raises Refused(INVALID_REQUEST)."""
    if value is None:
        return (ToolChoice(parallel=parallel) if tools and parallel is not None else None), tools
    chosen: Fields = {"type": value} if isinstance(value, str) else fields_of(value, "tool_choice")
    kind = needed(chosen, "type", text, "tool_choice")
    if kind == "allowed_tools":
        allowed = {needed(tool, "name", name, at) for at, tool in objects(chosen.get("tools"), "tool_choice.tools")}
        tools = tuple(tool for tool in tools if tool.name in allowed)
        kind = needed(chosen, "mode", text, "tool_choice")
    if kind == "function":
        tool_name = needed(chosen, "name", name, "tool_choice")
        if all(tool.name != tool_name for tool in tools):
            raise refused("tool_choice", f"names `{tool_name}`, which is not one of `tools`.")
        return ToolChoice("named", tool_name, parallel), tools
    mode = _MODES.get(kind)
    if mode is None:
        raise refused("tool_choice", "must be `auto`, `none`, `required` or a function of `tools`.")
    if mode == "required" and not tools:
        raise refused("tool_choice", "is `required`, but there are no `tools` to choose from.")
    return (ToolChoice(mode, None, parallel) if tools else None), tools


def read_format(settings: Fields | None) -> Format | None:
    """The form that ``text.format`` asks for; None: plain words. Raises Refused(INVALID_REQUEST)."""
    form = optional(settings or {}, "format", fields_of, "text")
    if form is None:
        return None
    kind = one_of(form.get("type"), "text.format.type", ("text", "json_object", "json_schema"))
    if kind == "text":
        return None
    if kind == "json_object":
        return Format("json")
    return Format(
        "schema",
        needed(form, "name", name, "text.format"),
        needed(form, "schema", fields_of, "text.format"),
        optional(form, "strict", flag, "text.format"),
        optional(form, "description", text, "text.format"),
    )


def tool_object(tool: Tool) -> dict[str, Any]:
    """A tool on the wire. ``strict`` is always said: left out, this dialect takes it for true, and every other for false."""
    written: dict[str, Any] = {
        "type": "function",
        "name": tool.name,
        "parameters": tool.parameters,
        "strict": tool.strict is True,
    }
    if tool.description is not None:
        written["description"] = tool.description
    return written


def choice_value(choice: ToolChoice | None) -> Any:
    """``tool_choice`` on the wire."""
    if choice is None:
        return "auto"
    return {"type": "function", "name": choice.name} if choice.mode == "named" else choice.mode


def format_object(form: Format | None) -> dict[str, Any]:
    """``text.format`` on the wire."""
    if form is None:
        return {"type": "text"}
    if form.kind == "json":
        return {"type": "json_object"}
    written = {
        "type": "json_schema",
        "name": form.name,
        "schema": form.schema or {},
        "strict": form.strict,
        "description": form.description,
    }
    return {key: value for key, value in written.items() if value is not None}
