"""``providers.targets``: where calls can be sent, how to sign in there, and what it costs."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from keeptrusts.core.rulebook.policy_file.entry import Entry
from keeptrusts.core.rulebook.policy_file.pricing import Pricing
from keeptrusts.core.rulebook.policy_file.routing import Failover, HealthCheck, MaxPrice, Strategy
from keeptrusts.core.rulebook.policy_file.values import (
    EnvironmentName,
    Name,
    Seconds,
    WebAddress,
    Weight,
    wrong,
)

Region = Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]+$")]
Residency = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{1,63}$")]
Provider = Literal[
    "openai",
    "openai-compatible",
    "azure",
    "anthropic",
    "gemini",
    "bedrock",
    "simulated",
    "cerebras",
    "deepseek",
    "fireworks",
    "groq",
    "litellm",
    "localai",
    "mistral",
    "ollama",
    "openrouter",
    "together",
    "vllm",
    "xai",
]
"""Written out for the types; ``core/providers/vendors.py`` knows those that speak OpenAI's dialect (a test holds both together)."""

API_VERSION = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(-preview)?|preview|latest|v1")


def _api_version(text: str) -> str:
    if API_VERSION.fullmatch(text) is None:
        raise wrong("bad_text", "expected a version of Azure's API", "for example 2024-10-21 or preview")
    return text


ApiVersion = Annotated[str, AfterValidator(_api_version)]


class SecretKeyRef(Entry):
    """Where the provider's key is found; the key itself never stands in the file."""

    env: EnvironmentName = Field(
        description="The environment variable that holds the key.", examples=["OPENAI_API_KEY"]
    )


class Timeouts(Entry):
    """How long to wait: for a connection, for the answer's first byte, between two of its bytes, and for all of it. In
    seconds."""

    connect_s: Seconds = Field(default=10.0, examples=[10])
    first_byte_s: Seconds = Field(default=600.0, examples=[600])
    idle_s: Seconds = Field(default=120.0, examples=[120])
    total_s: Seconds | None = Field(default=None, examples=[900])


class Simulated(Entry):
    """How the in-process provider behaves. ``fault_every`` makes every n-th call fail with ``fault_status`` (0: never)."""

    latency_ms: int = Field(default=0, ge=0, le=600_000, examples=[200])
    output_tokens: int | None = Field(default=None, ge=1, le=100_000, examples=[200])
    token_interval_ms: int = Field(default=0, ge=0, le=60_000, examples=[20])
    fault_every: int = Field(default=0, ge=0, le=1_000_000_000, examples=[10])
    fault_status: int = Field(default=500, ge=400, le=599, examples=[503])


class Target(Entry):
    """A provider to send calls to. Several targets may use one provider."""

    id: Name = Field(examples=["openai"])
    provider: Provider = Field(
        description="Also as `openai:chat:gpt-4o`, which names the model too; `azure-openai` is azure, `google` gemini.",
        examples=["openai"],
    )
    base_url: WebAddress | None = Field(
        default=None,
        description="Left out: OPENAI_BASE_URL for OpenAI, else the vendor's own.",
        examples=["https://api.openai.com/v1"],
    )
    model: Name | None = Field(
        default=None,
        description="The one model that it serves, as the provider calls it; left out: every model that is asked for.",
    )
    secret_key_ref: SecretKeyRef | None = Field(default=None, examples=["{env: OPENAI_API_KEY}"])
    region: Region | None = Field(
        default=None, description="Bedrock only: the AWS region whose endpoint is called.", examples=["eu-central-1"]
    )
    residency: Residency | None = Field(
        default=None,
        description="Where this target keeps data, as its contract says: what a data_residency policy goes by.",
        examples=["eu"],
    )
    api_version: ApiVersion | None = Field(
        default=None,
        description="Azure only: deployments are called by their addresses, with this version of the API.",
        examples=["2024-10-21"],
    )
    pricing: Pricing | None = Field(default=None, examples=["{input_cost_per_1k_tokens: 0.00015, ...}"])
    timeouts: Timeouts = Field(default=Timeouts(), examples=["{connect_s: 10}"])
    priority: int | None = Field(
        default=None, ge=0, le=1_000_000, description="The lowest comes first, then those without one.", examples=[1]
    )
    weight: Weight = Field(default=1.0, description="Its share where a strategy is weighted.", examples=[3])
    max_price: MaxPrice | None = Field(default=None, examples=["{output_cost_per_1k_tokens: 0.015}"])
    health_check: HealthCheck | None = Field(default=None, examples=["{interval_seconds: 30}"])
    simulated: Simulated | None = Field(default=None, examples=["{latency_ms: 200}"])


class Providers(Entry):
    """The providers that this gateway may call."""

    targets: list[Target] = Field(examples=["[{id: openai, provider: openai}]"])
    strategy: Strategy | None = Field(
        default=None, description="The order of targets that serve the same model.", examples=["ordered"]
    )
    max_price: MaxPrice | None = Field(default=None, examples=["{output_cost_per_1k_tokens: 0.015}"])
    fallback: Failover | None = Field(default=None, description="The same as failover.", examples=["{max_retries: 2}"])
