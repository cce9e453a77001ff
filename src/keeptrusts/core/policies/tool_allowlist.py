"""``tool_allowlist``: which tools calls may give to a model. One without a name of its own is known by its type."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Self

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from keeptrusts.core.calls.request import TextRequest
from keeptrusts.core.policies import kind
from keeptrusts.core.policies.kind import ALL_BUT_REDACT, INPUT_ONLY, Kind
from keeptrusts.core.policies.name_list import NameList

Named = Annotated[str, StringConstraints(min_length=1, max_length=128)]


class Settings(kind.Settings):
    """``config`` of a tool_allowlist policy: one of the lists, or both."""

    allowed: list[Named] | None = Field(
        default=None,
        validation_alias=kind.either("allowed", "allowed_tools", "tools"),
        description="A `*` in a name stands for anything. An empty list allows no tool.",
        examples=["[search, 'read_*']"],
    )
    blocked: list[Named] = Field(
        default=[], validation_alias=kind.either("blocked", "blocked_tools"), examples=["[shell, 'delete_*']"]
    )

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.allowed is None and not self.blocked:
            raise PydanticCustomError(
                "no_tools", "names no tools", {"suggestion": "list the tools under `allowed` or `blocked`"}
            )
        return self


class ToolRules:
    """The lists of one policy."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        settings = Settings.model_validate(config)
        self._allowed = None if settings.allowed is None else NameList(settings.allowed)
        self._blocked = NameList(settings.blocked)

    def refuses(self, tool: str) -> bool:
        """Whether the tool may not be given."""
        return tool in self._blocked or (self._allowed is not None and tool not in self._allowed)


TOOL_FIELDS = frozenset({"tools", "tool_choice", "functions", "function_call", "mcp_servers", "web_search_options"})
FREE_CHOICES = frozenset({"auto", "none", "required", "any"})
"""A choice of no tool in particular."""


def tools_of(request: TextRequest) -> Iterator[str]:
    """The tools that a call gives or asks for, by their names."""
    for field in sorted(request.fields.keys() & TOOL_FIELDS):
        value = request.value(field)
        if field == "web_search_options":
            yield from () if value is None else (field,)
            continue
        chosen = field in ("tool_choice", "function_call")
        for tool in value if isinstance(value, list) else [value]:
            yield from _names(tool, chosen)


def _names(tool: Any, chosen: bool) -> Iterator[str]:
    if isinstance(tool, str):
        if tool not in FREE_CHOICES:
            yield tool
        return
    if not isinstance(tool, dict):
        return
    # Servers differ in where they look for the name: all of them count, and so do tools within a tool.
    told = (tool, *(tool[key] for key in ("function", "custom") if isinstance(tool.get(key), dict)))
    names = [each["name"] for each in told if isinstance(each.get("name"), str)]
    within, kind_of_tool = tool.get("tools"), tool.get("type")
    yield from names
    if isinstance(within, list):
        for each in within:
            yield from _names(each, chosen)
    elif names:
        return
    elif isinstance(kind_of_tool, str) and not (chosen and kind_of_tool in FREE_CHOICES):
        yield kind_of_tool


KIND = Kind(settings=Settings, judges="call", phases=INPUT_ONLY, actions=ALL_BUT_REDACT)
