"""As much of JSON Schema (draft 2020-12) as our schema uses, after the specification: does a document pass?"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

KNOWN = frozenset(
    {
        "$schema", "$defs", "$ref", "additionalProperties", "anyOf", "oneOf", "const", "default", "description", "enum",
        "examples", "exclusiveMaximum", "exclusiveMinimum", "items", "maxItems", "maxLength", "maximum", "minItems",
        "minLength", "minimum", "pattern", "properties", "required", "title", "type", "uniqueItems", "format",
        "propertyNames", "maxProperties", "minProperties", "discriminator",
    }
)  # fmt: skip
TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,), "array": (list,), "string": (str,), "integer": (int,), "number": (int, float, Decimal),
    "boolean": (bool,), "null": (type(None),),
}  # fmt: skip


def passes(value: Any, schema: Any, root: Mapping[str, Any]) -> bool:
    """Whether the value is one that the schema allows."""
    if isinstance(schema, bool):
        return schema
    assert set(schema) <= KNOWN, set(schema) - KNOWN
    if "$ref" in schema and not passes(value, root["$defs"][schema["$ref"].rpartition("/")[2]], root):
        return False
    for several in ("anyOf", "oneOf"):
        if several in schema and not any(passes(value, each, root) for each in schema[several]):
            return False
    if "const" in schema and value != schema["const"]:
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    return _type(value, schema) and _bounds(value, schema) and _inside(value, schema, root)


def _type(value: Any, schema: Any) -> bool:
    wanted = schema.get("type")
    if wanted is None:
        return True
    kinds = [wanted] if isinstance(wanted, str) else wanted
    return any(isinstance(value, TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool)) for kind in kinds)


def _bounds(value: Any, schema: Any) -> bool:
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return (
            value >= schema.get("minimum", value)
            and value <= schema.get("maximum", value)
            and ("exclusiveMinimum" not in schema or value > schema["exclusiveMinimum"])
            and ("exclusiveMaximum" not in schema or value < schema["exclusiveMaximum"])
        )
    if isinstance(value, str):
        sound = schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value))
        return sound and re.search(schema.get("pattern", ""), value) is not None
    if isinstance(value, list):
        return bool(schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)))
    return True


def _inside(value: Any, schema: Any, root: Mapping[str, Any]) -> bool:
    if isinstance(value, list):
        return all(passes(item, schema.get("items", True), root) for item in value)
    if isinstance(value, dict):
        known, others = schema.get("properties", {}), schema.get("additionalProperties", True)
        return set(schema.get("required", ())) <= set(value) and all(
            passes(inner, known.get(name, others), root) for name, inner in value.items()
        )
    return True
