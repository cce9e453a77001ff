"""How calls find their way: strategies, what follows a failed attempt, when a target rests, prices above which none is used."""

from typing import Annotated, Any, Literal, get_args

from pydantic import AliasChoices, BeforeValidator, Field

from keeptrusts.core.routing.target import Strategy as StrategyName
from keeptrusts.core.rulebook.policy_file.entry import Entry
from keeptrusts.core.rulebook.policy_file.values import Count, Fraction, Name, PicosPerToken, Seconds, UrlPath

STRATEGY_WORDS = {
    "priority": "ordered",
    "latency": "lowest-latency",
    "cost": "lowest-cost",
    "throughput": "highest-throughput",
}
"""Other words for a strategy."""


def _strategy(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    word = value.replace("_", "-")
    return STRATEGY_WORDS.get(word, word) if word in STRATEGY_WORDS or word in get_args(StrategyName) else value


Spelling = Literal[
    "cost-priority",
    "ordered",
    "single",
    "weighted",
    "round-robin",
    "random",
    "least-busy",
    "lowest-latency",
    "lowest-cost",
    "highest-throughput",
    "cost_priority",
    "round_robin",
    "least_busy",
    "lowest_latency",
    "lowest_cost",
    "highest_throughput",
    "priority",
    "latency",
    "cost",
    "throughput",
]
"""What editors are told: ours first, then other ways to write the same."""

Strategy = Annotated[StrategyName, BeforeValidator(_strategy, json_schema_input_type=Spelling)]
"""A strategy by any of its spellings."""

Trigger = Literal[
    "rate_limit",
    "rate_limit_exceeded",
    "429",
    "timeout",
    "unavailable",
    "service_unavailable",
    "server_error",
    "5xx",
    "connection_error",
]


def _trigger(value: Any) -> Any:
    return str(value) if type(value) is int else value


Triggers = list[Annotated[Trigger, BeforeValidator(_trigger, json_schema_input_type=Trigger | Literal[429])]]


class MaxPrice(Entry):
    """What is dearer is not used; nor is what has no known price. USD per 1,000 tokens."""

    input_cost_per_1k_tokens: PicosPerToken | None = Field(default=None, examples=[0.003])
    output_cost_per_1k_tokens: PicosPerToken | None = Field(default=None, examples=[0.015])


class HealthCheck(Entry):
    """A question to the target that costs no tokens: the provider's list of models, or GET ``path`` below the base URL."""

    interval_seconds: Seconds = Field(default=30.0, ge=0.1, examples=[30])
    timeout_seconds: Seconds = Field(
        default=5.0, validation_alias=AliasChoices("timeout_seconds", "timeout"), examples=[5]
    )
    unhealthy_threshold: Count = Field(default=3, description="Failures in a row.", examples=[3])
    healthy_threshold: Count = Field(default=2, description="Successes in a row.", examples=[2])
    path: UrlPath | None = Field(default=None, examples=["/models"])


class Retry(Entry):
    """Trying the same target again, with growing, drawn pauses; a provider's Retry-After is waited for."""

    max_attempts: int = Field(default=1, ge=1, le=10, description="The first one counts.", examples=[3])
    timeout_seconds: Seconds | None = Field(
        default=None, description="No attempt begins later than this after the call came.", examples=[30]
    )
    base_delay_seconds: Seconds = Field(default=0.25, examples=[0.25])
    max_delay_seconds: Seconds = Field(
        default=5.0, description="A target that asks for a longer pause is not tried again.", examples=[5]
    )
    budget: Fraction = Field(
        default=0.2, description="Retries are at most this share of a target's calls.", examples=[0.2]
    )


class Failover(Entry):
    """What follows a failed attempt, before the first byte has gone to the client. Errors that the request itself causes
    (content policy, context window) are never tried elsewhere."""

    enabled: bool = True
    strategy: Strategy | None = Field(
        default=None, description="The same as providers.strategy.", examples=["priority"]
    )
    triggers: Triggers = Field(
        default=["rate_limit", "timeout", "unavailable"],
        validation_alias=AliasChoices("triggers", "retry_on"),
        examples=["[rate_limit, timeout, 5xx]"],
    )
    max_fallback_attempts: int = Field(
        default=3,
        ge=0,
        le=100,
        validation_alias=AliasChoices("max_fallback_attempts", "max_retries"),
        description="How many further targets are tried.",
        examples=[3],
    )
    retry: Retry = Field(default=Retry(), examples=["{max_attempts: 3}"])
    model_mapping: dict[Name, Name] = Field(
        default={},
        description="From a model to the model, or group, that is asked for where it is not served.",
        examples=["{gpt-4o: claude-sonnet-4-5}"],
    )
    content_policy: Literal["stop"] = "stop"
    context_window: Literal["abort"] = Field(
        default="abort", description="A call that is too long for its model is not tried elsewhere."
    )


class CircuitBreaker(Entry):
    """A target that fails so often in a row rests; then a few calls try it."""

    enabled: bool = True
    failure_threshold: Count = Field(default=5, examples=[5])
    cooldown_seconds: Seconds = Field(default=30.0, examples=[30])
    half_open_probes: Count = Field(default=1, examples=[1])


class ProviderRouting(Entry):
    """The order of the targets that serve the same model, and what counts as their speed."""

    strategy: Strategy | None = Field(default=None, examples=["lowest-latency"])
    min_sample_count: Count = Field(default=1, description="Answers before a target's speed is believed.", examples=[3])
    window_seconds: Seconds = Field(
        default=300.0, description="How long it is believed after the last answer.", examples=[300]
    )


FAILOVER_KEYS = AliasChoices("failover", "provider_fallback", "fallback")
