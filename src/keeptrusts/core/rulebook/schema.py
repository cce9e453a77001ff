"""The JSON Schema of a policy file, for editors: from the same types that check it, aliases included."""

from typing import Any

from pydantic import BaseModel

from keeptrusts.core.policies.registry import KINDS
from keeptrusts.core.providers.vendors import ALIASES
from keeptrusts.core.rulebook.key_words import KEY_WORDS
from keeptrusts.core.rulebook.policy_file.document import PolicyFile
from keeptrusts.core.rulebook.policy_file.entry import spellings
from keeptrusts.core.rulebook.shape import entries_under


def policy_file_schema() -> dict[str, Any]:
    """A JSON Schema (draft 2020-12) that accepts every file which ``compile_rulebook`` takes, but for rules across entries."""
    schema = PolicyFile.model_json_schema()
    definitions = schema["$defs"]
    for entry in entries_under(PolicyFile):
        _add_aliases(entry, schema if entry is PolicyFile else definitions[entry.__name__])
    policy = definitions["Policy"]["properties"]
    policy["type"] = {"enum": sorted(KINDS), "title": "Type"}
    policy["config"] = {"anyOf": [_hoisted(kind.settings, definitions) for kind in KINDS.values()], "title": "Config"}
    provider = definitions["Target"]["properties"]["provider"]
    provider["anyOf"] = [
        {"enum": [*provider.pop("enum"), *ALIASES]},
        {"type": "string", "pattern": "^[a-z-]+:"},
    ]
    provider.pop("type", None)
    for part in (schema, *definitions.values()):
        _add_words(part.get("properties", {}))
    schema = _in_its_own_words(schema)
    return {**schema, "$schema": "https://json-schema.org/draft/2020-12/schema", "title": "policy-config.yaml"}


def editor_schema() -> dict[str, Any]:
    """The same for editors, in which every key says something: a key without words of its own what the whole is that it is in."""
    schema = policy_file_schema()
    for part in (schema, *schema["$defs"].values()):
        for value in part.get("properties", {}).values():
            value.setdefault("description", part.get("description", ""))
    return schema


BOUNDS = {"gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum"}
"""Bounds that pydantic leaves in its own words where a validator stands before them."""


def _in_its_own_words(value: Any) -> Any:
    if isinstance(value, dict):
        is_number = value.get("type") in ("number", "integer")
        return {(BOUNDS.get(key, key) if is_number else key): _in_its_own_words(inner) for key, inner in value.items()}
    return [_in_its_own_words(inner) for inner in value] if isinstance(value, list) else value


def _hoisted(settings: type[BaseModel], definitions: dict[str, Any]) -> dict[str, Any]:
    """A kind's settings; what they refer to stands with the other definitions."""
    schema = settings.model_json_schema()
    definitions |= schema.pop("$defs", {})
    return schema


def _add_words(properties: dict[str, Any]) -> None:
    for key, value in properties.items():
        if "description" not in value and "$ref" not in value and key in KEY_WORDS:
            value["description"] = KEY_WORDS[key]


def _add_aliases(entry: type[BaseModel], schema: dict[str, Any]) -> None:
    properties = schema.get("properties", {})
    for name, field in entry.model_fields.items():
        usual, *others = spellings(name, field)
        for other in others:
            if usual in properties:
                properties[other] = {**properties[usual], "description": f"The same as `{usual}`."}
