"""Editors are told the same as the gateway checks, aliases included."""

import json
from typing import get_args

from pydantic import TypeAdapter

from keeptrusts.core.policies.registry import KINDS
from keeptrusts.core.routing.target import Strategy as StrategyName
from keeptrusts.core.rulebook.from_yaml import compile_layers, compile_rulebook
from keeptrusts.core.rulebook.layers import Layer
from keeptrusts.core.rulebook.policy_file.routing import Spelling, Strategy
from keeptrusts.core.rulebook.schema import editor_schema, policy_file_schema
from tests.architecture.sources import ROOT
from tests.core.rulebook.files import SMALLEST
from tests.core.rulebook.small_json_schema import passes
from tests.core.rulebook.test_problems import ADDED


def test_the_schema_is_json_and_knows_every_spelling():
    schema = json.loads(json.dumps(policy_file_schema()))
    assert {"model_allowlist", "allowed_models", "budget_alerts", "alert_thresholds"} <= set(schema["properties"])
    group = schema["$defs"]["ConsumerGroup"]["properties"]
    assert group["rate_limit"]["$ref"] == group["rate_limits"]["$ref"]
    assert schema["additionalProperties"] is False


def test_the_schema_names_the_kinds_of_policy_and_their_settings():
    policy = policy_file_schema()["$defs"]["Policy"]["properties"]
    assert policy["type"]["enum"] == sorted(KINDS)
    assert "categories" in policy["config"]["anyOf"][0]["properties"]


def test_money_may_be_written_as_a_number_or_as_text():
    cap = policy_file_schema()["$defs"]["SpendControl"]["properties"]["hard_cap"]
    assert {kind["type"] for kind in cap["anyOf"]} == {"number", "string"}


def test_every_spelling_of_a_strategy_that_editors_offer_is_one_that_the_gateway_takes():
    offered = get_args(Spelling)
    assert {TypeAdapter(Strategy).validate_python(word) for word in offered} == set(get_args(StrategyName))
    group = policy_file_schema()["$defs"]["ModelGroup"]["properties"]
    assert group["routing"]["enum"] == list(offered)


STRUCTURE = {"unknown_key", "wrong_type", "unknown_value", "missing_key", "out_of_range", "not_supported"}
"""What a schema can see. Rules across entries, and what a text says inside, it can't."""

UNSEEN = {
    "a store without an address",
    "a group of nothing",
    "target of any model",
    "enforcement without api",
    "ten decimals",
    "ten decimals behind many digits",
    "money without end",
}
"""Cases that are such rules, by their names."""


def test_every_example_passes():
    schema = editor_schema()
    for example in sorted((ROOT / "examples").glob("*.yaml")):
        text = example.read_text()
        assert text.startswith("# yaml-language-server: $schema=../docs/reference/policy-file.schema.json\n"), example
        compiled = compile_layers([Layer(example.name, text)])
        assert compiled.rulebook is not None, example
        assert passes(compiled.document, schema, schema), example


def test_what_the_linter_finds_in_the_structure_the_schema_refuses():
    schema = editor_schema()
    missed = []
    for name, (more, code, path, *_) in ADDED.items():
        if name in UNSEEN or code not in STRUCTURE or path.startswith("policies["):
            continue
        compiled = compile_rulebook(SMALLEST + more)
        if compiled.document is not None and passes(compiled.document, schema, schema):
            missed.append(name)
    assert missed == []


def test_every_key_says_something():
    schema = editor_schema()
    silent = [
        f"{name}.{key}"
        for name, part in {"": schema, **schema["$defs"]}.items()
        for key, value in part.get("properties", {}).items()
        if not value.get("description")
    ]
    assert silent == []
