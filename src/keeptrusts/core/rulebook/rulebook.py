"""Everything the gateway needs to decide, as one immutable value. A policy file compiles to it; a call uses one edition.

Keys are an index beside it (``core/identity/gateway_key.py``) and prices a PriceBook: both change by deltas.
"""

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

from keeptrusts.core.ledger.alerts import Threshold
from keeptrusts.core.limits.limit_set import UNLIMITED, LimitSet
from keeptrusts.core.limits.rules import LimitRules
from keeptrusts.core.money import NANOS_PER_USD
from keeptrusts.core.periods import PeriodKind
from keeptrusts.core.pricing.price import Price
from keeptrusts.core.routing.rules import Routing
from keeptrusts.core.routing.target import ModelGroup, Target

PolicyAction = Literal["flag", "redact", "block", "escalate"]
FailMode = Literal["block", "allow"]
CacheScope = Literal["key", "team", "organization"]


class ConsumerGroup(Struct, frozen=True):
    """A group of callers. ``api_key`` is what they send; ``allowed_models`` None means every model. ``allowed_dimensions`` is
    what clients may add to the attribution, ``allowed_ips`` where they may call from; empty: from anywhere.
    ``policies`` None: every policy judges its calls."""

    name: str
    api_key: str | None = None
    wallet_team_id: str | None = None
    limits: LimitSet = UNLIMITED
    allowed_models: frozenset[str] | None = None
    attribution: Mapping[str, str] = {}
    allowed_dimensions: Mapping[str, tuple[str, ...]] = {}
    allowed_ips: tuple[str, ...] = ()
    policies: tuple[str, ...] | None = None


class SpendControl(Struct, frozen=True):
    """A cap on a team's spend in a period, beside its wallet. Amounts in nano-USD."""

    team: str
    hard_cap_nanos: int
    soft_cap_nanos: int | None
    period: PeriodKind
    on_soft_cap: Literal["notify"]
    on_hard_cap: Literal["block", "escalate"]


class Embedder(Struct, frozen=True):
    """Who turns questions into vectors: a target by its id, and a model there."""

    target: str
    model: str


class CacheRules(Struct, frozen=True):
    """The answer cache. Off unless enabled; entries never cross their scope.

    ``max_wait_s``: how long a call waits for an equal one that is under way; 0: it does not. ``url``, or what the variable
    ``url_env`` holds, is the store that gateways share; with neither answers are kept in memory alone.
    ``threshold``: how alike a question must be to be given another's answer; None: only equal calls are.
    ``embedder`` None: by their letters and words. ``without``: groups whose calls have no part in it.
    """

    enabled: bool = False
    ttl_s: int = 3600
    scope: CacheScope = "team"
    max_entries: int = 10_000
    deterministic_only: bool = False
    max_bytes: int = 256 * 1024 * 1024
    max_wait_s: float = 30.0
    url: str | None = None
    url_env: str | None = None
    threshold: float | None = None
    without: frozenset[str] = frozenset()
    embedder: Embedder | None = None


class Policy(Struct, frozen=True):
    """A policy as people wrote it; ``core/policies`` compiles it by its ``type``. ``fail_mode`` None: as the gateway is told."""

    name: str
    type: str
    action: PolicyAction
    config: Mapping[str, Any] = {}
    phase: Literal["input", "output", "both"] = "input"
    shadow: bool = False
    fail_mode: FailMode | None = None


class ApiLink(Struct, frozen=True):
    """Where the control plane answers, and the environment variable that holds the token to register with."""

    url: str
    token_env: str


class AdminRules(Struct, frozen=True):
    """Where operators ask: ``HOST:PORT`` or a socket's path, beside the gateway's port; the variable that holds their token,
    None for that of the API."""

    listen: str | None = None
    token_env: str | None = None


class OtlpRules(Struct, frozen=True):
    """Where spans and metrics of calls go: the base address of a collector, and the variable that holds further headers."""

    endpoint: str
    headers_env: str | None = None
    sample_ratio: float = 1.0
    propagate: bool = False
    service_name: str = "keeptrusts-gateway"


class TelemetryRules(Struct, frozen=True):
    """What the gateway tells of calls beside their ledger rows."""

    access_log: bool = False
    otlp: OtlpRules | None = None


class Rulebook(Struct, frozen=True):
    """One edition of the rules. ``api`` None: the gateway runs alone, without wallets."""

    targets: tuple[Target, ...]
    groups: tuple[ConsumerGroup, ...] = ()
    model_groups: tuple[ModelGroup, ...] = ()
    routing: Routing = Routing()
    spend_controls: tuple[SpendControl, ...] = ()
    policies: tuple[Policy, ...] = ()
    cache: CacheRules = CacheRules()
    cost_tracking: bool = True
    wallet_enforcement: bool = False
    thresholds: tuple[Threshold, ...] = ()
    api: ApiLink | None = None
    model_allowlist: frozenset[str] | None = None
    attribution_required: tuple[str, ...] = ("team",)
    trusted_proxies: tuple[str, ...] = ()
    default_output_tokens: int = 1_000
    unknown_model_output_tokens: int = 4_096
    unpriced_ceiling: Price | None = None
    reserve_wait_ms: int = 2_000
    max_waiting_per_wallet: int = 10_000
    hold_wait_s: int = 60
    max_held_calls: int = 100
    max_body_bytes: int = 16 * 1024 * 1024
    max_file_bytes: int = 32 * 1024 * 1024
    max_response_bytes: int | None = None
    limits: LimitRules = LimitRules()
    max_stale_s: int = 300
    durability: Literal["process", "power"] = "process"
    max_journal_bytes: int = 1024**3
    journal_retention_s: int = 900
    min_slice_nanos: int = NANOS_PER_USD // 100
    admin: AdminRules = AdminRules()
    telemetry: TelemetryRules = TelemetryRules()
