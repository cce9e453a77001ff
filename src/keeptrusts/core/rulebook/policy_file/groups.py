"""``consumer_groups`` and ``model_groups``: who calls, within which limits, and the model names that stand for several."""

from pydantic import AliasChoices, Field

from keeptrusts.core.rulebook.policy_file.entry import Entry
from keeptrusts.core.rulebook.policy_file.identity import AllowedDimensions, BoundAttribution, Networks
from keeptrusts.core.rulebook.policy_file.limits import Limits
from keeptrusts.core.rulebook.policy_file.routing import Strategy
from keeptrusts.core.rulebook.policy_file.values import Count, KeyText, Models, Name, Weight


class ConsumerGroup(Entry):
    """Callers who share a key, limits and a wallet. Without ``api_key`` it is a rule for issued keys that name it."""

    name: Name = Field(examples=["engineering"])
    api_key: KeyText | None = Field(default=None, description="What callers send in X-Consumer-Group.")
    wallet_team_id: Name | None = Field(default=None, examples=["team_engineering"])
    rate_limits: Limits = Field(
        default=Limits(),
        validation_alias=AliasChoices("rate_limits", "rate_limit"),
        examples=["{requests_per_minute: 500}"],
    )
    allowed_models: Models | None = Field(
        default=None, validation_alias=AliasChoices("allowed_models", "model_allowlist"), examples=["[gpt-4o-mini]"]
    )
    attribution: BoundAttribution = Field(
        default=BoundAttribution(), examples=["{application: search, environment: production}"]
    )
    allowed_dimensions: AllowedDimensions = Field(
        default=AllowedDimensions(), examples=["{feature: [autocomplete, ranking], user: '*'}"]
    )
    cache: bool = Field(
        default=True, description="Whether its calls take part in the cache, where that is enabled.", examples=["false"]
    )
    allowed_ips: Networks = Field(
        default=[], description="Where calls may come from; anywhere, if left out.", examples=["[10.0.0.0/8]"]
    )
    policies: list[Name] | None = Field(
        default=None,
        description="The policies that judge this group's calls, by name. Left out: all of them; empty: none.",
        examples=["[content-filter]"],
    )


class GroupModel(Entry):
    """One model of a group. It takes calls that ask for at most ``max_tokens``; the lowest ``priority`` comes first."""

    provider: Name = Field(examples=["openai"])
    model: Name = Field(examples=["gpt-4o-mini"])
    max_tokens: Count | None = Field(default=None, examples=[1000])
    priority: int | None = Field(
        default=None,
        ge=0,
        le=1_000_000,
        description="Left out: the place in the list; where the strategy chooses, after those that have one.",
        examples=[1],
    )
    weight: Weight = Field(default=1.0, description="Its share where the group is weighted.", examples=[70])


class ModelGroup(Entry):
    """A name that clients send as ``model``; it stands for several real ones: ``models``, or ``targets`` by their ids."""

    name: Name = Field(examples=["cost-optimized"])
    aliases: list[Name] = Field(default=[], description="Other names for it.", examples=["[fast]"])
    routing: Strategy = Field(
        default="cost-priority", validation_alias=AliasChoices("routing", "strategy"), examples=["cost-priority"]
    )
    models: list[GroupModel] | None = Field(
        default=None, min_length=1, examples=["[{provider: openai, model: gpt-4o-mini}]"]
    )
    targets: list[Name] | None = Field(default=None, min_length=1, examples=["[openai-main, azure]"])
    fallback_group: Name | None = Field(
        default=None, description="The group whose models follow when all of this one's have failed."
    )
