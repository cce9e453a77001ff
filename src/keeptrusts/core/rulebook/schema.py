"""The JSON Schema of a policy file, for editors: from the same types that check it, aliases included."""

from typing import Any

from pydantic import BaseModel

from keeptrusts.core.policies.registry import KINDS
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
    policy["config"] = {"anyOf": [kind.settings.model_json_schema() for kind in KINDS.values()], "title": "Config"}
    return {**schema, "$schema": "https://json-schema.org/draft/2020-12/schema", "title": "policy-config.yaml"}


def _add_aliases(entry: type[BaseModel], schema: dict[str, Any]) -> None:
    properties = schema.get("properties", {})
    for name, field in entry.model_fields.items():
        usual, *others = spellings(name, field)
        for other in others:
            if usual in properties:
                properties[other] = {**properties[usual], "description": f"The same as `{usual}`."}
