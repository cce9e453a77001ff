"""Limits in all their forms: of a group, of everybody's keys, users, teams, models and targets, and how they are shared."""

from typing import Literal

from pydantic import AliasChoices, Field

from keeptrusts.core.rulebook.policy_file.entry import Entry
from keeptrusts.core.rulebook.policy_file.targets import SecretKeyRef
from keeptrusts.core.rulebook.policy_file.values import Count, EnvironmentName, HeaderName, Name, StoreUrl

WINDOW_MAX_S = 31 * 86_400


class Limits(Entry):
    """What is left out is unlimited. Minutes and days are sliding windows."""

    requests_per_minute: Count | None = Field(
        default=None, validation_alias=AliasChoices("requests_per_minute", "rpm"), examples=[500]
    )
    tokens_per_minute: Count | None = Field(
        default=None, validation_alias=AliasChoices("tokens_per_minute", "tpm"), examples=[50000]
    )
    concurrent_requests: Count | None = Field(
        default=None, validation_alias=AliasChoices("concurrent_requests", "max_parallel_requests"), examples=[20]
    )
    requests_per_day: Count | None = Field(
        default=None, validation_alias=AliasChoices("requests_per_day", "rpd"), examples=[10000]
    )
    tokens_per_day: Count | None = Field(
        default=None, validation_alias=AliasChoices("tokens_per_day", "tpd"), examples=[2000000]
    )


class NamedLimits(Limits):
    """What one may use instead of what each may."""

    name: Name = Field(examples=["team_search"])


class LimitsOfEach(Limits):
    """What each may use, and what some that are named may use instead."""

    overrides: list[NamedLimits] = Field(default=[], examples=["[{name: team_search, rpm: 1000}]"])


class RateLimits(Entry):
    """Limits by scope. All that hold for a call are looked at together; the one that refuses is named."""

    per_key: LimitsOfEach = Field(
        default=LimitsOfEach(),
        description="Each key, beside its own `rate_limit`; overridden by key id.",
        examples=["{rpm: 500}"],
    )
    per_user: LimitsOfEach = Field(
        default=LimitsOfEach(),
        description="Each user: the one that the key is bound to, else the one that a header names, within that key.",
        examples=["{rpm: 60, tpm: 50000}"],
    )
    per_team: LimitsOfEach = Field(
        default=LimitsOfEach(), description="Each team, by its id.", examples=["{rpm: 3000, max_parallel_requests: 50}"]
    )
    per_model: LimitsOfEach = Field(
        default=LimitsOfEach(), description="Each model, by the name that clients send.", examples=["{tpm: 200000}"]
    )
    per_provider: LimitsOfEach = Field(
        default=LimitsOfEach(),
        description="Each target, by its id. A target at its limit is passed over while another can serve.",
        examples=["{rpm: 3000}"],
    )
    everybody: Limits = Field(
        default=Limits(), validation_alias=AliasChoices("global", "everybody"), examples=["{rpm: 5000}"]
    )


class RateLimitDefaults(Limits):
    """What holds for a group where it says nothing itself, and for each key of no group."""

    response_headers: bool = Field(default=True, description="Say in `x-ratelimit-*` headers what is left.")


class RequestWindow(Entry):
    """So many requests in any span of the window's length, whenever it begins."""

    max_requests: Count = Field(examples=[1000])
    window_seconds: int = Field(ge=1, le=WINDOW_MAX_S, examples=[60])


class AddressWindow(RequestWindow):
    """Requests of each client address; an IPv6 network of 64 bits counts as one."""

    trust_proxy_depth: int = Field(
        default=0,
        ge=0,
        le=10,
        description="How many proxies in front of the gateway add to `X-Forwarded-For`. 0: those in `gateway.trusted_proxies` are believed, if any.",
        examples=[1],
    )


class UserWindow(Entry):
    """Requests of each user. ``header_names`` says where a user stands whom the key does not bind."""

    max_requests: Count | None = Field(default=None, examples=[100])
    window_seconds: int = Field(default=60, ge=1, le=WINDOW_MAX_S, examples=[60])
    header_names: list[HeaderName] = Field(default=["x-user-id"], min_length=1, examples=["[x-user-id]"])


class TokenWindow(Entry):
    """Tokens in any span of the window's length, of everybody together or of each of one kind."""

    max_tokens: Count = Field(examples=[1000000])
    window_seconds: int = Field(ge=1, le=WINDOW_MAX_S, examples=[3600])
    scope: Literal["global", "key", "user", "team", "model", "provider"] = "global"


class SizeLimits(Entry):
    """How large bodies may be."""

    max_body_bytes: int | None = Field(
        default=None, ge=1_024, le=1024**3, description="A request's.", examples=[1048576]
    )
    max_response_bytes: int | None = Field(
        default=None, ge=1_024, le=1024**3, description="An answer's.", examples=[10485760]
    )


class SharedLimits(Entry):
    """How several gateways share limits. The workers of one host do so by themselves."""

    store: StoreUrl | None = Field(
        default=None,
        description="A Redis or Valkey in which all gateways count together. Its password stands in the environment.",
        examples=["redis://valkey.internal:6379/0"],
    )
    store_env: EnvironmentName | None = Field(
        default=None,
        description="Instead of `store`: the variable that holds the whole address.",
        examples=["LIMITS_STORE_URL"],
    )
    secret_key_ref: SecretKeyRef | None = Field(
        default=None, description="The store's password.", examples=["{env: LIMITS_STORE_PASSWORD}"]
    )
    timeout_ms: int = Field(
        default=50,
        ge=5,
        le=5_000,
        description="How long a call waits for the store before it is counted here.",
        examples=[50],
    )
    nodes: int = Field(
        default=1,
        ge=1,
        le=10_000,
        description="How many hosts serve together: without a store, or while it is away, each has its part.",
        examples=[3],
    )
