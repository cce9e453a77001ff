"""A whole policy file as it is written: the types that ``from_yaml`` checks and the JSON Schema shows."""

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BeforeValidator, Field

from keeptrusts.core.rulebook.policy_file.entry import Entry
from keeptrusts.core.rulebook.policy_file.groups import ConsumerGroup, ModelGroup
from keeptrusts.core.rulebook.policy_file.serving import Api, Cache, Gateway, Policy, RequiredAttribution
from keeptrusts.core.rulebook.policy_file.spending import (
    ALERT_EXAMPLE,
    ALERT_KEYS,
    BudgetAlerts,
    CostTracking,
    SpendControl,
)
from keeptrusts.core.rulebook.policy_file.targets import Providers
from keeptrusts.core.rulebook.policy_file.values import Models


def _version(value: Any) -> Any:
    return "1" if type(value) is int and value == 1 else value


Version = Annotated[Literal["1"], BeforeValidator(_version, json_schema_input_type=Literal["1", 1])]


class PolicyFile(Entry):
    """policy-config.yaml."""

    version: Version = Field(examples=["'1'"])
    providers: Providers = Field(examples=["{targets: [{id: openai, provider: openai}]}"])
    consumer_groups: list[ConsumerGroup] = Field([], examples=["[{name: engineering, ...}]"])
    model_groups: list[ModelGroup] = Field([], examples=["[{name: cost-optimized, ...}]"])
    spend_controls: list[SpendControl] = Field([], examples=["[{team: search, hard_cap: 10000}]"])
    policies: list[Policy] = Field([], examples=["[{name: content-filter, type: content_filter, ...}]"])
    cache: Cache = Field(Cache(), examples=["{enabled: true, ttl: 3600}"])
    cost_tracking: CostTracking = Field(CostTracking(), examples=["{enabled: true}"])
    budget_alerts: BudgetAlerts | None = Field(None, validation_alias=ALERT_KEYS, examples=[ALERT_EXAMPLE])
    api: Api | None = Field(None, examples=["{url: 'http://localhost:8080'}"])
    allowed_models: Models | None = Field(
        None, validation_alias=AliasChoices("model_allowlist", "allowed_models"), examples=["[gpt-4o-mini]"]
    )
    attribution: RequiredAttribution = Field(RequiredAttribution(), examples=["{required: [team]}"])
    gateway: Gateway = Field(Gateway(), examples=["{max_body_bytes: 16777216}"])
