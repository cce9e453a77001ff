"""The rules of routing that hold for all calls: the order of targets, what makes a call try again, when a target rests."""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from keeptrusts.core.refusal import Reason
from keeptrusts.core.routing.target import MaxPrice, Strategy

Cause = Literal["rate_limit", "timeout", "unavailable"]
"""Why an attempt failed: the provider's own limit, no answer in time, or anything else that is not the call's own fault."""

CAUSES: frozenset[Cause] = frozenset({"rate_limit", "timeout", "unavailable"})

CAUSE_OF: Mapping[Reason, Cause] = {
    Reason.UPSTREAM_RATE_LIMITED: "rate_limit",
    Reason.UPSTREAM_TIMEOUT: "timeout",
    Reason.UPSTREAM_ERROR: "unavailable",
    Reason.UPSTREAM_REJECTED_KEY: "unavailable",
}
"""What another attempt may mend. Any other refusal is the call's last word."""


class Retry(Struct, frozen=True):
    """Trying the same target again. ``max_attempts`` counts the first one too; waits are drawn up to ``base_delay_s``
    doubled each time, never above ``max_delay_s``. No attempt begins later than ``timeout_s`` after the call came.

    ``budget`` bounds the retries to this share of all calls to a target, so that they can't multiply an outage.
    """

    max_attempts: int = 1
    timeout_s: float = float("inf")
    base_delay_s: float = 0.25
    max_delay_s: float = 5.0
    budget: float = 0.2


class Failover(Struct, frozen=True):
    """What follows a failed attempt. ``model_mapping``: a model to the one that is asked for where the first is not served."""

    enabled: bool = True
    triggers: frozenset[Cause] = CAUSES
    max_fallbacks: int = 3
    retry: Retry = Retry()
    model_mapping: Mapping[str, str] = {}


class BreakerRules(Struct, frozen=True):
    """``failure_threshold`` failures in a row make a target rest for ``cooldown_s``; then ``half_open_probes`` calls try it."""

    failure_threshold: int = 5
    cooldown_s: float = 30.0
    half_open_probes: int = 1


class Routing(Struct, frozen=True):
    """All of it. ``strategy`` orders the targets of a plain model; groups have their own. ``breaker`` None: no target rests.

    A target's speed counts once ``min_samples`` calls have shown it, and for ``window_s`` after the last one.
    """

    strategy: Strategy = "cost-priority"
    failover: Failover = Failover()
    breaker: BreakerRules | None = BreakerRules()
    max_price: MaxPrice | None = None
    window_s: float = 300.0
    min_samples: int = 1
