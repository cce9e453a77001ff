"""A whole policy file as it is written: the types that ``from_yaml`` checks and the JSON Schema shows."""

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BeforeValidator, Field

from keeptrusts.core.rulebook.policy_file.caching import Cache
from keeptrusts.core.rulebook.policy_file.entry import Entry
from keeptrusts.core.rulebook.policy_file.groups import ConsumerGroup, ModelGroup
from keeptrusts.core.rulebook.policy_file.limits import (
    AddressWindow,
    RateLimitDefaults,
    RateLimits,
    RequestWindow,
    SharedLimits,
    SizeLimits,
    TokenWindow,
    UserWindow,
)
from keeptrusts.core.rulebook.policy_file.policies import Policy
from keeptrusts.core.rulebook.policy_file.routing import FAILOVER_KEYS, CircuitBreaker, Failover, ProviderRouting
from keeptrusts.core.rulebook.policy_file.serving import Api, Gateway, RequiredAttribution
from keeptrusts.core.rulebook.policy_file.spending import (
    ALERT_EXAMPLE,
    ALERT_KEYS,
    BudgetAlerts,
    CostTracking,
    SpendControl,
)
from keeptrusts.core.rulebook.policy_file.targets import Providers
from keeptrusts.core.rulebook.policy_file.values import Models
from keeptrusts.core.rulebook.policy_file.watching import Telemetry


def _version(value: Any) -> Any:
    return "1" if type(value) is int and value == 1 else value


Version = Annotated[Literal["1"], BeforeValidator(_version, json_schema_input_type=Literal["1", 1])]


class PolicyFile(Entry):
    """policy-config.yaml."""

    version: Version = Field(examples=["'1'"])
    providers: Providers = Field(examples=["{targets: [{id: openai, provider: openai}]}"])
    consumer_groups: list[ConsumerGroup] = Field(default=[], examples=["[{name: engineering, ...}]"])
    model_groups: list[ModelGroup] = Field(default=[], examples=["[{name: cost-optimized, ...}]"])
    failover: Failover | None = Field(
        default=None, validation_alias=FAILOVER_KEYS, examples=["{retry: {max_attempts: 2}}"]
    )
    circuit_breaker: CircuitBreaker = Field(default=CircuitBreaker(), examples=["{failure_threshold: 5}"])
    provider_routing: ProviderRouting = Field(default=ProviderRouting(), examples=["{strategy: lowest-latency}"])
    spend_controls: list[SpendControl] = Field(default=[], examples=["[{team: search, hard_cap: 10000}]"])
    policies: list[Policy] = Field(default=[], examples=["[{name: content-filter, type: content_filter, ...}]"])
    cache: Cache = Field(default=Cache(), examples=["{enabled: true, ttl: 3600}"])
    cost_tracking: CostTracking = Field(default=CostTracking(), examples=["{enabled: true}"])
    budget_alerts: BudgetAlerts | None = Field(default=None, validation_alias=ALERT_KEYS, examples=[ALERT_EXAMPLE])
    api: Api | None = Field(default=None, examples=["{url: 'http://localhost:8080'}"])
    allowed_models: Models | None = Field(
        default=None, validation_alias=AliasChoices("model_allowlist", "allowed_models"), examples=["[gpt-4o-mini]"]
    )
    attribution: RequiredAttribution = Field(default=RequiredAttribution(), examples=["{required: [team]}"])
    gateway: Gateway = Field(default=Gateway(), examples=["{max_body_bytes: 16777216}"])
    rate_limits: RateLimits = Field(default=RateLimits(), examples=["{per_key: {rpm: 500}, global: {rpm: 5000}}"])
    rate_limit_defaults: RateLimitDefaults = Field(
        default=RateLimitDefaults(), examples=["{requests_per_minute: 10, tokens_per_day: 100000}"]
    )
    response_headers: bool | None = Field(default=None, description="As in `rate_limit_defaults`.")
    global_rate_limit: RequestWindow | None = Field(
        default=None, description="Of everybody together.", examples=["{max_requests: 1000, window_seconds: 60}"]
    )
    ip_rate_limit: AddressWindow | None = Field(default=None, examples=["{max_requests: 100, window_seconds: 60}"])
    user_rate_limit: UserWindow | None = Field(default=None, examples=["{max_requests: 50, window_seconds: 60}"])
    token_rate_limit: TokenWindow | None = Field(
        default=None, examples=["{max_tokens: 100000, window_seconds: 60, scope: global}"]
    )
    size_limits: SizeLimits = Field(default=SizeLimits(), examples=["{max_body_bytes: 1048576}"])
    limits: SharedLimits = Field(default=SharedLimits(), examples=["{store: 'redis://valkey.internal:6379/0'}"])
    telemetry: Telemetry = Field(default=Telemetry(), examples=["{access_log: true}"])
