"""``/keeptrusts/providers/metrics``: how each target does, as this process knows from its own calls."""

from typing import Any

from keeptrusts.core.routing.target import NO_PRIORITY, Target
from keeptrusts.gateway.node import Node
from keeptrusts.gateway.target_state import TargetState

MS_PER_S = 1_000


def provider_figures(node: Node) -> dict[str, Any]:
    """The figures of every target of the rules in force, by its id."""
    now = node.loop.time()
    ready = node.targets.ready
    return {
        "targets": {
            target.id: _of_target(target, ready[target.id].state if target.id in ready else None, now)
            for target in node.rulebook.targets
        }
    }


async def providers_part(node: Node, body: bytes) -> dict[str, Any]:
    """This process's part of the endpoint's answer."""
    del body
    return provider_figures(node)


def _of_target(target: Target, state: TargetState | None, now: float) -> dict[str, Any]:
    told: dict[str, Any] = {
        "provider": target.provider,
        "model": target.model,
        "priority": None if target.priority == NO_PRIORITY else target.priority,
        "weight": target.weight,
        "state": _state(state, now),
    }
    if state is None:
        return told
    breaker, attempts = state.breaker, state.begun - state.in_flight
    return told | {
        "breaker": {
            "state": breaker.state(now),
            "failures_in_a_row": breaker.failures,
            "retry_in_seconds": None if breaker.reopens_at is None else round(max(0.0, breaker.reopens_at - now), 3),
        },
        "healthy": state.healthy,
        "in_flight": state.in_flight,
        "attempts": state.begun,
        "served": state.served,
        "failed": state.failed,
        "rate_limited": state.limited,
        "retries": state.budget.taken,
        "error_rate": round(state.failed / attempts, 4) if attempts else 0.0,
        "latency_ms": {
            "average": _ms(state.latency_s(False, now)),
            "first_byte": _ms(state.latency_s(True, now)),
            "p50": _ms(state.percentile_s(50)),
            "p95": _ms(state.percentile_s(95)),
        },
        "tokens_per_second": _rounded(state.tokens_per_s(now)),
    }


def _state(state: TargetState | None, now: float) -> str:
    """In one word: ``up``, ``resting``, ``probing``, ``unhealthy``, or ``no_secret``: its key is not in the environment."""
    if state is None:
        return "no_secret"
    if not state.healthy:
        return "unhealthy"
    return {"closed": "up", "open": "resting", "half-open": "probing"}[state.breaker.state(now)]


def _ms(seconds: float | None) -> float | None:
    return _rounded(None if seconds is None else seconds * MS_PER_S)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
