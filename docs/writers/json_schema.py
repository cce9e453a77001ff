"""A JSON Schema in words: what a value may be, and the rows of a table for an object's properties."""

from collections.abc import Callable, Mapping
from typing import Any

from writers.markdown import code, prose

Schema = Mapping[str, Any]
Link = Callable[[str], str]
"""How a page points to the definition of that name."""

KINDS = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false", "null": "null"}


MANY = 10**9
"""From here on a power of ten is written as one."""


def kind_of(schema: Schema, link: Link) -> str:
    """What the value may be, in words."""
    if "$ref" in schema:
        return link(schema["$ref"].rpartition("/")[2])
    for one_of in ("anyOf", "oneOf"):
        if one_of in schema:
            return either([kind_of(each, link) for each in schema[one_of]])
    if "const" in schema:
        return code(schema["const"])
    if "enum" in schema:
        return either([code(value) for value in map(str, schema["enum"])])
    match schema.get("type"):
        case "array":
            return f"list of {kind_of(schema.get('items', {}), link)}"
        case "object":
            inner = schema.get("additionalProperties")
            return f"mapping to {kind_of(inner, link)}" if isinstance(inner, Mapping) and inner else "mapping"
        case "string":
            return "time" if schema.get("format") == "date-time" else "text" + _bounds(schema, "Length", " characters")
        case "integer" | "number" as kind:
            return KINDS[kind] + _bounds(schema, "imum", "")
        case None:
            return "anything"
        case kind:
            return KINDS[kind]


def kind_when_said(schema: Schema, link: Link) -> str:
    """The same without null, for pages where that is the same as to say nothing."""
    alternatives = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
    return kind_of({**schema, "anyOf": alternatives} if alternatives else schema, link)


def either(words: list[str]) -> str:
    """``a``, ``a or b``, ``a, b or c``; a comma before the ``or`` where the words have commas of their own."""
    *others, last = dict.fromkeys(words)
    if not others:
        return last
    return ", ".join(others) + (", or " if any("," in word for word in others) else " or ") + last


def _bounds(schema: Schema, suffix: str, unit: str) -> str:
    low, high = schema.get(f"min{suffix}"), schema.get(f"max{suffix}")
    if suffix == "imum" and "exclusiveMinimum" in schema:
        return f" above {_figure(schema['exclusiveMinimum'])}" + (f", at most {_figure(high)}" if high else "")
    if low == 1 and high is not None and unit:
        return f", at most {_figure(high)}{unit}"
    if low is not None and high is not None:
        return f" from {_figure(low)} to {_figure(high)}{unit}"
    if low is not None:
        return f", at least {_figure(low)}{unit}"
    return f", at most {_figure(high)}{unit}" if high is not None else ""


def _figure(number: float) -> str:
    if number != int(number):
        return str(number)
    text = str(int(number))
    return f"10^{len(text) - 1}" if number >= MANY and text.strip("0") == "1" else f"{int(number):,}"


def shown_default(schema: Schema, required: bool) -> str:
    """What holds when the property is left out."""
    if required:
        return "required"
    default = schema.get("default")
    if default is None or isinstance(default, Mapping):
        return ""
    if isinstance(default, bool):
        return code(str(default).lower())
    if isinstance(default, list):
        return code(f"[{', '.join(map(str, default))}]") if default else ""
    return code(f"{default:g}" if isinstance(default, float) else default)


def described(schema: Schema) -> str:
    """The property's own words, wherever in the alternatives they stand."""
    parts = [schema, *schema.get("anyOf", ())]
    return prose(next((part["description"] for part in parts if "description" in part), ""))
