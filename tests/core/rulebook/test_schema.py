"""Editors are told the same as the gateway checks, aliases included."""

import json
from typing import get_args

from pydantic import TypeAdapter

from keeptrusts.core.policies.registry import KINDS
from keeptrusts.core.routing.target import Strategy as StrategyName
from keeptrusts.core.rulebook.policy_file.routing import Spelling, Strategy
from keeptrusts.core.rulebook.schema import policy_file_schema


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
