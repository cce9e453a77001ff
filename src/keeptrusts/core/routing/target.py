"""Where calls can be sent: targets, and the model groups that choose among what they serve."""

from typing import Literal

from msgspec import Struct

from keeptrusts.core.pricing.price import Price

Routing = Literal["cost-priority"]


class SimulatedSettings(Struct, frozen=True):
    """How the in-process provider behaves. ``fault_every`` makes every n-th call fail with ``fault_status`` (0: never)."""

    latency_ms: int = 0
    output_tokens: int | None = None
    token_interval_ms: int = 0
    fault_every: int = 0
    fault_status: int = 500


class Target(Struct, frozen=True):
    """Where calls can be sent. ``base_url`` None means: the environment's ``OPENAI_BASE_URL`` for OpenAI, else the vendor's
    own; Bedrock's is that of the ``region``.

    ``model`` is what the target serves when a call's own model name does not decide. ``price`` overrides the price book.
    """

    id: str
    provider: str
    base_url: str | None = None
    secret_env: str | None = None
    model: str | None = None
    region: str | None = None
    price: Price | None = None
    connect_timeout_s: float = 10.0
    first_byte_timeout_s: float = 600.0
    idle_timeout_s: float = 120.0
    simulated: SimulatedSettings | None = None


class GroupModel(Struct, frozen=True):
    """An entry of a model group. It fits a call whose asked max_tokens is at most ``max_tokens`` (None: any)."""

    provider: str
    model: str
    max_tokens: int | None
    priority: int


class ModelGroup(Struct, frozen=True):
    """A name that clients send as ``model``; its entries sorted by priority."""

    name: str
    routing: Routing
    models: tuple[GroupModel, ...]
