"""Where calls can be sent: targets, and the model groups that choose among what they serve."""

from typing import Literal

from msgspec import Struct

from keeptrusts.core.pricing.price import Price

Strategy = Literal[
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
]
"""How hops that may serve a call come one after the other: see ``ordering.py``."""

FIXED_ORDER: frozenset[Strategy] = frozenset({"cost-priority", "ordered", "single"})
"""Strategies whose order is the same for every call."""

NO_PRIORITY = 1_000_001
"""Comes after every priority that a file may give."""


class SimulatedSettings(Struct, frozen=True):
    """How the in-process provider behaves. ``fault_every`` makes every n-th call fail with ``fault_status`` (0: never)."""

    latency_ms: int = 0
    output_tokens: int | None = None
    token_interval_ms: int = 0
    fault_every: int = 0
    fault_status: int = 500


class MaxPrice(Struct, frozen=True):
    """The most that a token may cost, in pico-USD; None: any. What has no known price is above every bound."""

    input: int | None = None
    output: int | None = None

    def admits(self, price: Price | None) -> bool:
        """Whether every rate of the price, tiers included, is within the bound."""
        if price is None:
            return False
        rates = (price.rates, *(tier.rates for tier in price.tiers))
        return all(
            (self.input is None or rate.input <= self.input) and (self.output is None or rate.output <= self.output)
            for rate in rates
        )


class HealthCheck(Struct, frozen=True):
    """A question to a target that costs no tokens. ``path`` None: the provider's list of models, or any answer at all."""

    interval_s: float = 30.0
    timeout_s: float = 5.0
    unhealthy_threshold: int = 3
    healthy_threshold: int = 2
    path: str | None = None


class Target(Struct, frozen=True):
    """Where calls can be sent. ``base_url`` None means: the environment's ``OPENAI_BASE_URL`` for OpenAI, else the vendor's
    own; Bedrock's is that of the ``region``.

    ``model`` is what the target serves when a call's own model name does not decide. ``price`` overrides the price book.
    ``residency`` is where it keeps data, as its owner says.
    """

    id: str
    provider: str
    base_url: str | None = None
    secret_env: str | None = None
    model: str | None = None
    region: str | None = None
    residency: str | None = None
    price: Price | None = None
    connect_timeout_s: float = 10.0
    first_byte_timeout_s: float = 600.0
    idle_timeout_s: float = 120.0
    total_timeout_s: float = float("inf")
    simulated: SimulatedSettings | None = None
    api_version: str | None = None
    priority: int = NO_PRIORITY
    weight: float = 1.0
    max_price: MaxPrice | None = None
    health_check: HealthCheck | None = None


class GroupModel(Struct, frozen=True):
    """An entry of a model group. It fits a call whose asked max_tokens is at most ``max_tokens`` (None: any).

    ``target`` is the one target that it means; None: all of the provider's that serve the model.
    """

    provider: str
    model: str
    max_tokens: int | None
    priority: int
    weight: float = 1.0
    target: str | None = None


class ModelGroup(Struct, frozen=True):
    """A name that clients send as ``model``, and its other names; entries sorted by priority. When all of them fail, those
    of ``fallback_group`` follow."""

    name: str
    routing: Strategy
    models: tuple[GroupModel, ...]
    aliases: tuple[str, ...] = ()
    fallback_group: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """All that clients may call it."""
        return (self.name, *self.aliases)
