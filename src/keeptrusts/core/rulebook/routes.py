"""What a checked policy file says of routing, as the values that a call goes by."""

from collections.abc import Mapping
from typing import Any

from keeptrusts.core.routing.rules import BreakerRules, Cause, Failover, Retry, Routing
from keeptrusts.core.routing.target import FIXED_ORDER, NO_PRIORITY, GroupModel, HealthCheck, MaxPrice, ModelGroup
from keeptrusts.core.rulebook.policy_file import groups, routing, targets
from keeptrusts.core.rulebook.policy_file.document import PolicyFile

FOREVER_S = float("inf")

CAUSE_OF_TRIGGER: Mapping[str, Cause] = {
    "rate_limit": "rate_limit",
    "rate_limit_exceeded": "rate_limit",
    "429": "rate_limit",
    "timeout": "timeout",
    "unavailable": "unavailable",
    "service_unavailable": "unavailable",
    "server_error": "unavailable",
    "5xx": "unavailable",
    "connection_error": "unavailable",
}


def routing_of(file: PolicyFile) -> Routing:
    """The rules for all calls. A key that may stand in several places stands in one of them: ``consistency`` saw to that."""
    written = file.failover or file.providers.fallback or routing.Failover()
    strategy = file.providers.strategy or file.provider_routing.strategy or written.strategy or "cost-priority"
    breaker = file.circuit_breaker
    return Routing(
        strategy=strategy,
        failover=_failover(written),
        breaker=BreakerRules(breaker.failure_threshold, breaker.cooldown_seconds, breaker.half_open_probes)
        if breaker.enabled
        else None,
        max_price=_max_price(file.providers.max_price),
        window_s=file.provider_routing.window_seconds,
        min_samples=file.provider_routing.min_sample_count,
    )


def _failover(written: routing.Failover) -> Failover:
    retry = written.retry
    return Failover(
        enabled=written.enabled,
        triggers=frozenset(CAUSE_OF_TRIGGER[word] for word in written.triggers),
        max_fallbacks=written.max_fallback_attempts,
        retry=Retry(
            retry.max_attempts,
            FOREVER_S if retry.timeout_seconds is None else retry.timeout_seconds,
            retry.base_delay_seconds,
            retry.max_delay_seconds,
            retry.budget,
        ),
        model_mapping=dict(written.model_mapping),
    )


def routed(target: targets.Target) -> dict[str, Any]:
    """The fields of a target that say how calls come to it."""
    check = target.health_check
    return {
        "total_timeout_s": FOREVER_S if target.timeouts.total_s is None else target.timeouts.total_s,
        "priority": NO_PRIORITY if target.priority is None else target.priority,
        "weight": target.weight,
        "max_price": _max_price(target.max_price),
        "health_check": None
        if check is None
        else HealthCheck(
            check.interval_seconds,
            check.timeout_seconds,
            check.unhealthy_threshold,
            check.healthy_threshold,
            check.path,
        ),
    }


def _max_price(price: routing.MaxPrice | None) -> MaxPrice | None:
    return None if price is None else MaxPrice(price.input_cost_per_1k_tokens, price.output_cost_per_1k_tokens)


def groups_of(file: PolicyFile) -> tuple[ModelGroup, ...]:
    """The model groups, each with its entries sorted by priority."""
    by_id = {target.id: target for target in file.providers.targets}
    return tuple(_group(group, by_id) for group in file.model_groups)


def _group(group: groups.ModelGroup, by_id: Mapping[str, targets.Target]) -> ModelGroup:
    if group.targets is not None:
        entries = [_of_target(by_id[name], place, group) for place, name in enumerate(group.targets, start=1)]
    else:
        entries = [
            GroupModel(m.provider, m.model, m.max_tokens, _priority(m.priority, place, group), m.weight)
            for place, m in enumerate(group.models or [], start=1)
        ]
    ordered = tuple(sorted(entries, key=lambda entry: entry.priority))
    return ModelGroup(group.name, group.routing, ordered, tuple(group.aliases), group.fallback_group)


def _of_target(target: targets.Target, place: int, group: groups.ModelGroup) -> GroupModel:
    # Where the file orders the targets, it is the list that does; else what the target itself says.
    priority = place if group.routing in FIXED_ORDER else _priority(target.priority, place, group)
    return GroupModel(target.provider, target.model or "", None, priority, target.weight, target.id)


def _priority(given: int | None, place: int, group: groups.ModelGroup) -> int:
    if given is not None:
        return given
    return place if group.routing in FIXED_ORDER else NO_PRIORITY
