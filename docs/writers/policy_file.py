"""`policy-file.md`: every key of a policy file, from the types that check one."""

import json
from collections.abc import Mapping
from typing import Any

from keeptrusts.core.policies.registry import KINDS, NAMES
from keeptrusts.core.rulebook.later import LATER_KEYS, LATER_VALUES
from keeptrusts.core.rulebook.policy_file.document import PolicyFile
from keeptrusts.core.rulebook.policy_file.entry import spellings
from keeptrusts.core.rulebook.schema import editor_schema, policy_file_schema
from keeptrusts.core.rulebook.shape import entries_under
from writers.json_schema import Schema, described, either, kind_when_said, shown_default
from writers.markdown import anchor, code, joined, opening, prose, table

INTRODUCTION = """\
A gateway takes its rules from one YAML file. `kt policy lint --file FILE` names every mistake in one, with line, column and what would be
right; an unknown key is a mistake. `kt policy schema` prints the JSON Schema for editors, which is [policy-file.schema.json](policy-file.schema.json).
[`examples/every-setting.yaml`](../../examples/every-setting.yaml) uses every key; the tests load it.

Amounts are USD with at most nine decimals, prices USD per 1,000 tokens. A key in brackets is another spelling of the same thing."""

LATER = """\
Other versions of the format know these words. This one refuses them by name rather than pass over them."""

TOP = "The file"


def schema_text() -> str:
    """The JSON Schema as editors take it."""
    return json.dumps(editor_schema(), indent=2) + "\n"


def page() -> str:
    """The whole page."""
    schema = policy_file_schema()
    entries = {entry.__name__: entry for entry in entries_under(PolicyFile)}
    places = _places(schema)

    def link(name: str) -> str:
        return f"[{places[name]}]({anchor(places[name])})"

    blocks = opening("The policy file", INTRODUCTION)
    for name, place in {"PolicyFile": TOP, **places}.items():
        part = schema if name == "PolicyFile" else schema["$defs"][name]
        heading = place if name == "PolicyFile" else code(place)
        blocks += [f"## {heading}", "" if name == "PolicyFile" else prose(part.get("description"))]
        others = {usual: more for usual, *more in (spellings(n, f) for n, f in entries[name].model_fields.items())}
        blocks.append(_keys(part, others, link))
        if name == "Policy":
            blocks += _policy_kinds()
    return joined([*blocks, *_later()])


def _places(schema: Schema) -> dict[str, str]:
    """Where each definition stands in a file, in the order of the file: ``Limits`` is ``consumer_groups[].rate_limits``."""
    found: dict[str, str] = {}

    def walk(part: Schema, path: str) -> None:
        for key, inner in part.get("properties", {}).items():
            for name, is_item in _references(inner):
                if name not in found:
                    found[name] = f"{path}{key}{'[]' * is_item}"
                    walk(schema["$defs"][name], f"{found[name]}.")

    walk(schema, "")
    return found


def _references(schema: Schema, is_item: bool = False) -> list[tuple[str, bool]]:
    if "$ref" in schema:
        return [(schema["$ref"].rpartition("/")[2], is_item)]
    found = _references(schema["items"], True) if "items" in schema else []
    return found + [each for inner in schema.get("anyOf", ()) for each in _references(inner, is_item)]


def _keys(part: Schema, others: Mapping[str, list[str]], link: Any) -> str:
    aliases = {other for more in others.values() for other in more}
    rows = []
    for key, inner in part.get("properties", {}).items():
        if key in aliases:
            continue
        more = "".join(f" ({code(other)})" for other in others.get(key, ()))
        kind = kind_when_said(inner, link)
        rows.append((code(key) + more, kind, shown_default(inner, key in part.get("required", ())), _meaning(inner)))
    return table(("Key", "Value", "Default", "Meaning"), rows)


def _meaning(schema: Schema) -> str:
    example = next(iter(schema.get("examples", ())), None)
    return " ".join(filter(None, [described(schema), "" if example is None else f"For example {code(example)}."]))


def _policy_kinds() -> list[str]:
    blocks = []
    for name, known in NAMES.items():
        others = [code(spelled) for spelled, kind in KINDS.items() if kind is known and spelled != name]
        settings = known.settings.model_json_schema()
        blocks.append(f"### `policies[].config` of `type: {name}`")
        blocks.append(f"Also {either(others)}." if others else "")
        blocks.append(_keys(settings, {}, str))
    return blocks


def _later() -> list[str]:
    keys = [(code(place) if place else "top level", _words(words)) for place, words in LATER_KEYS.items()]
    values = [(code(place), _words(words)) for place, words in LATER_VALUES.items()]
    tables = [table(("Under", "Keys"), keys), table(("Key", "Values"), values)]
    return ["## Not in this version", LATER, *tables]


def _words(words: frozenset[str]) -> str:
    return ", ".join(map(code, sorted(words)))
