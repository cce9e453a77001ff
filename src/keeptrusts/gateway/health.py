"""``/health``: how a gateway is, for operators and their monitors, in one glance; ``/readyz`` is for load balancers."""

from collections.abc import Mapping
from typing import Any

import msgspec

from keeptrusts import __version__
from keeptrusts.gateway.node import Node
from keeptrusts.gateway.observed import fingerprint
from keeptrusts.gateway.refusals import JSON_LINE

HEALTHY, DEGRADED, UNHEALTHY = "healthy", "degraded", "unhealthy"
LATE_LINK_S = 10.0

_encode = msgspec.json.Encoder().encode


async def health_part(node: Node, body: bytes) -> dict[str, Any]:
    """This process's health. ``unhealthy``: it serves no calls; ``degraded``: it does, but something is wrong."""
    del body
    rulebook, observed, journal = node.rulebook, node.observed, node.journal
    counts = observed.counts
    now = node.loop.time()
    states = {name: ready.state for name, ready in node.targets.ready.items()}
    providers = {
        target.id: "reachable" if target.id in states and states[target.id].admits(now) else "unreachable"
        for target in rulebook.targets
    }
    rows = counts.rows.items()
    requests = sum(sum(row.buckets) for _, row in rows)
    hits = sum(sum(row.buckets) for kind, row in rows if kind[1] == "cached")
    served = sum(sum(row.buckets) for kind, row in rows if kind[1] in ("ok", "cached"))
    age_s = node.link_age_s
    leases = node.treasury.purse.open_leases()
    answer: dict[str, Any] = {
        "status": HEALTHY,
        "version": __version__,
        "node_id": node.node_id,
        "uptime_seconds": round(observed.uptime_s, 1),
        "config_fingerprint": fingerprint(rulebook),
        "ready": node.ready,
        "providers": providers,
        "policies_loaded": len(rulebook.policies),
        "requests_processed": requests,
        "requests_in_flight": observed.in_flight(),
        "cache": {"entries": len(node.answers.cache), "hit_rate_pct": round(100 * hits / served, 1) if served else 0.0},
        "control_plane": None if age_s is None else {"age_seconds": round(age_s, 1), "max": rulebook.max_stale_s},
        "journal": {
            "records": journal.next_seq - 1,
            "backlog_records": node.unshipped_records,
            "backlog_bytes": journal.unshipped_bytes if age_s is not None else 0,
            "failure": journal.failure,
        },
        "leases": {"open": len(leases), "calls_held": len(node.waiting_room)},
    }
    if not node.ready:
        answer["status"] = UNHEALTHY
    elif "unreachable" in providers.values() or (age_s is not None and age_s > LATE_LINK_S):
        answer["status"] = DEGRADED
    return answer


def write_health(parts: Mapping[str, Any]) -> tuple[int, bytes, bytes]:
    """Workers are unhealthy together when none serves, and healthy when all are. 503 when no call is served."""
    if "" in parts:
        answer = parts[""]
    else:
        known = [part for part in parts.values() if part is not None]
        statuses = {part["status"] for part in known}
        if statuses == {UNHEALTHY}:
            status = UNHEALTHY
        else:
            status = HEALTHY if statuses == {HEALTHY} and len(known) == len(parts) else DEGRADED
        answer = {
            "status": status,
            "version": __version__,
            "requests_processed": sum(part["requests_processed"] for part in known),
            "workers": parts,
        }
    return 503 if answer["status"] == UNHEALTHY else 200, JSON_LINE, _encode(answer)
