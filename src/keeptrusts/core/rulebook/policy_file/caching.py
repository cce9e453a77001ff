"""``cache``: answers that are given again."""

from typing import Literal

from pydantic import AliasChoices, Field

from keeptrusts.core.rulebook.policy_file.entry import Entry
from keeptrusts.core.rulebook.policy_file.values import EnvironmentName, Likeness, Name, StoreUrl


class Embedder(Entry):
    """A target of provider `openai`, `openai-compatible` or `azure` that makes vectors of questions, and its model."""

    target: Name = Field(description="A target's `id`.", examples=["openai"])
    model: Name = Field(examples=["text-embedding-3-small"])


class Cache(Entry):
    """Answers given again to equal calls within one scope."""

    enabled: bool = False
    ttl: int = Field(
        default=3600,
        ge=1,
        le=31_536_000,
        validation_alias=AliasChoices("ttl", "ttl_seconds"),
        description="In seconds.",
    )
    scope: Literal["key", "team", "organization"] = "team"
    mode: Literal["exact", "semantic"] = Field(
        default="exact",
        description="`semantic`: also for questions that are the same but for their wording, as far as their words show it.",
    )
    embedder: Embedder | None = Field(
        default=None,
        description="Compare questions by what they mean. Left out: by their letters and words.",
        examples=["{target: openai, model: text-embedding-3-small}"],
    )
    similarity_threshold: Likeness | None = Field(
        default=None,
        validation_alias=AliasChoices("similarity_threshold", "threshold"),
        description="How alike questions must be, from 0 to 1. Left out: 0.85, with an embedder 0.95.",
        examples=[0.85],
    )
    max_entries: int = Field(default=10_000, ge=1, le=10_000_000)
    max_bytes: int = Field(
        default=256 * 1024 * 1024,
        ge=1_048_576,
        le=1024**4,
        description="How much memory each gateway process keeps answers in.",
        examples=[268435456],
    )
    backend: Literal["memory", "redis"] = Field(
        default="memory", description="`redis`: a Redis or Valkey that several gateways share, besides their memory."
    )
    url: StoreUrl | None = Field(default=None, examples=["redis://valkey.internal:6379/0"])
    url_env: EnvironmentName | None = Field(
        default=None,
        description="The variable that holds the store's whole address, with user and password where it needs them.",
        examples=["KEEPTRUSTS_CACHE_URL"],
    )
    deterministic_only: bool = Field(default=False, description="Keep answers to calls with temperature 0 only.")
    single_flight_timeout_ms: int = Field(
        default=30_000,
        ge=0,
        le=600_000,
        description="How long a call waits for an equal one that is under way, in place of being made too; 0: not at all.",
        examples=[30000],
    )
