"""An event as people and programs read it: a table of fields, each with how it is told from the stored row."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Struct

from keeptrusts.core.metering.event_row import EventRow
from keeptrusts.core.money import usd

NANOS_PER_S = 1_000_000_000
NANOS_PER_MS = 1_000_000


class Names(Struct, frozen=True):
    """Display names by id: teams, and issued keys."""

    teams: Mapping[str, str]
    keys: Mapping[str, str]


def timestamp(at_ns: int) -> str:
    """Unix nanoseconds as RFC 3339 in UTC, to the millisecond."""
    seconds, nanos = divmod(at_ns, NANOS_PER_S)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanos // NANOS_PER_MS:03d}Z"


def prompt_tokens(row: EventRow) -> int:
    """All input, cached or not."""
    return row.input_tokens + row.cache_read_tokens + row.cache_write_tokens + row.cache_write_1h_tokens


def _cost(row: EventRow) -> Decimal | None:
    return None if row.cost_nanos is None else usd(row.cost_nanos)


def _usage(row: EventRow) -> dict[str, int]:
    asked = prompt_tokens(row)
    return {
        "prompt_tokens": asked,
        "completion_tokens": row.output_tokens,
        "total_tokens": asked + row.output_tokens,
    }


def _attempts(row: EventRow) -> list[dict[str, Any]]:
    """The attempts with their amounts in USD."""
    told = []
    for attempt in msgspec.json.decode(row.attempts):
        hold, cost = attempt.pop("hold_nanos"), attempt.pop("cost_nanos")
        given_id = attempt.pop("given_id", None)
        told.append({**attempt, "provider_request_id": given_id, "hold": usd(hold), "cost": usd(cost)})
    return told


def _team(row: EventRow, names: Names) -> str | None:
    return None if row.team_id is None else names.teams.get(row.team_id, row.team_id)


def _detail(row: EventRow, name: str) -> Any:
    """What few calls have, and no column holds; None for nearly all."""
    return None if row.details is None else msgspec.json.decode(row.details).get(name)


Field = Callable[[EventRow, Names], Any]

CALL_FIELDS: Mapping[str, Field] = {
    "id": lambda row, names: row.event_id,
    "type": lambda row, names: row.type,
    "timestamp": lambda row, names: timestamp(row.at_ns),
    "status": lambda row, names: row.status,
    "reason": lambda row, names: row.reason,
    "gateway_key": lambda row, names: row.key_id,
    "gateway_key_name": lambda row, names: names.keys.get(row.key_id or ""),
    "consumer_group": lambda row, names: row.consumer_group,
    "team": _team,
    "team_id": lambda row, names: row.team_id,
    "user_id": lambda row, names: row.user_id,
    "application": lambda row, names: row.application,
    "feature": lambda row, names: row.feature,
    "environment": lambda row, names: row.environment,
    "project": lambda row, names: row.project,
    "customer": lambda row, names: row.customer,
    "department": lambda row, names: row.department,
    "cost_center": lambda row, names: _detail(row, "cost_center"),
    "provider": lambda row, names: row.provider,
    "model": lambda row, names: row.model,
    "asked_model": lambda row, names: row.asked_model,
    "served_model": lambda row, names: row.served_model,
    "tokens_input": lambda row, names: prompt_tokens(row),
    "tokens_output": lambda row, names: row.output_tokens,
    "tokens_cached": lambda row, names: row.cache_read_tokens,
    "tokens_cache_write": lambda row, names: row.cache_write_tokens + row.cache_write_1h_tokens,
    "tokens_reasoning": lambda row, names: row.reasoning_tokens,
    "usage": lambda row, names: _usage(row),
    "usage_other": lambda row, names: _detail(row, "usage_other"),
    "usage_source": lambda row, names: row.usage_source,
    "cost": lambda row, names: _cost(row),
    "cost_usd": lambda row, names: _cost(row),
    "saved": lambda row, names: usd(row.saved_nanos),
    "unpriced": lambda row, names: row.unpriced,
    "price_version": lambda row, names: row.price_version,
    "latency_ms": lambda row, names: row.latency_ms,
    "cache_hit": lambda row, names: row.cache_hit,
    "policy_actions": lambda row, names: msgspec.json.decode(row.policy_actions),
    "attempts": lambda row, names: _attempts(row),
    "request_id": lambda row, names: row.request_id,
    "stream": lambda row, names: row.stream,
    "http_status": lambda row, names: row.http_status,
    "gateway_id": lambda row, names: row.node_id,
    "period": lambda row, names: row.period_key,
    "ticket": lambda row, names: _detail(row, "ticket"),
}
"""The fields of a call, in the order in which they are told. ``tokens_cached`` and ``tokens_cache_write`` are parts of
``tokens_input``, ``tokens_reasoning`` a part of ``tokens_output``."""

ALERT_FIELDS = ("id", "type", "timestamp", "status", "reason", "team", "team_id", "period")
"""The fields of a budget alert; what crossed which threshold follows them."""

INNER_FIELDS = ("usage.prompt_tokens", "usage.completion_tokens", "usage.total_tokens")
FIELD_NAMES: tuple[str, ...] = (*CALL_FIELDS, *INNER_FIELDS)
"""What ``fields`` may name."""


def told(row: EventRow, names: Names) -> dict[str, Any]:
    """The whole event."""
    if row.type == "call":
        return {name: field(row, names) for name, field in CALL_FIELDS.items()}
    details: dict[str, Any] = msgspec.json.decode(row.details or "{}")
    for amount in ("budget", "spent", "limit"):
        if amount in details:
            details[amount] = Decimal(details[amount])
    return {name: CALL_FIELDS[name](row, names) for name in ALERT_FIELDS} | details


def chosen(row: EventRow, names: Names, fields: Sequence[str]) -> dict[str, Any]:
    """The event reduced to ``fields``, which must be ``FIELD_NAMES``."""
    found = {}
    for name in fields:
        outer, _, inner = name.partition(".")
        value = CALL_FIELDS[outer](row, names)
        found[name] = value[inner] if inner else value
    return found
