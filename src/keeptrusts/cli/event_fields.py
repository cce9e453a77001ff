"""The fields of an event as `--fields` names them, and each one's value and text; the words of the documents among them."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from keeptrusts.cli.failure import Failure
from keeptrusts.cli.json_text import json_text
from keeptrusts.cli.money_text import dollars
from keeptrusts.cli.printable import printable

EVENT_FIELDS = (
    "id",
    "timestamp",
    "status",
    "reason",
    "team",
    "team_id",
    "consumer_group",
    "gateway_key",
    "user_id",
    "application",
    "feature",
    "environment",
    "project",
    "customer",
    "department",
    "provider",
    "model",
    "tokens_input",
    "tokens_output",
    "tokens_cached",
    "tokens_cache_write",
    "tokens_reasoning",
    "usage",
    "usage.prompt_tokens",
    "usage.completion_tokens",
    "usage.total_tokens",
    "usage_source",
    "cost",
    "cost_usd",
    "unpriced",
    "price_version",
    "latency_ms",
    "cache_hit",
    "policy_actions",
    "attempts",
    "request_id",
    "ticket",
)
"""What may be asked for, in the order in which an error lists it."""

CSV_FIELDS = (
    "id",
    "timestamp",
    "team",
    "consumer_group",
    "application",
    "feature",
    "environment",
    "user_id",
    "provider",
    "model",
    "tokens_input",
    "tokens_output",
    "cost",
    "cache_hit",
    "status",
    "reason",
)
"""What a CSV holds unless fields are named: what finance needs to charge a call back."""

TABLE_HEADING = ("Time", "Team", "Group", "Model", "Tokens", "Cost", "Latency", "Status")
TABLE_WIDTHS = (20, 12, 12, 12, 6, 9, 7, 7)
"""Widths to begin with: what follows later may be wider, and then moves only its own line."""


def asked_fields(text: str) -> tuple[str, ...]:
    """``team,model,cost`` as field names. Raises Failure naming those that an event does not have."""
    names = tuple(name.strip() for name in text.split(","))
    unknown = [name for name in names if name not in EVENT_FIELDS]
    if unknown:
        raise Failure(f"no event field {', '.join(map(repr, unknown))}: there are {', '.join(EVENT_FIELDS)}")
    return names


def chosen(event: Mapping[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    """The event reduced to these fields, under the names that were asked for."""
    return {name: field_value(event, name) for name in fields}


def field_value(event: Mapping[str, Any], name: str) -> Any:
    """One field's value; None where the event has none."""
    if name == "team":
        return event.get("team") or event.get("team_id")
    if name == "cost":
        return event.get("cost", event.get("cost_usd"))
    outer, _, inner = name.partition(".")
    value = event.get(outer)
    return value.get(inner) if inner and isinstance(value, Mapping) else None if inner else value


def cell(value: Any) -> str:
    """A value as a CSV cell: amounts digit by digit, nothing for None, a list's items joined by semicolons."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case Decimal():
            return format(value, "f")
        case str():
            return value
        case [*items] if not any(isinstance(item, Mapping) for item in items):
            return ";".join(map(cell, items))
        case _:
            return json_text(value)


def table_row(event: Mapping[str, Any]) -> tuple[str, ...]:
    """One event as the cells below TABLE_HEADING; a dash where there is nothing to tell."""
    cost, latency_ms = field_value(event, "cost"), event.get("latency_ms")
    told = (
        event.get("timestamp"),
        field_value(event, "team"),
        event.get("consumer_group"),
        event.get("model"),
        field_value(event, "usage.total_tokens"),
        None if cost is None else dollars(Decimal(cost)),
        None if latency_ms is None else f"{latency_ms} ms",
        " ".join(str(event[name]) for name in ("status", "reason") if event.get(name)),
    )
    return tuple("-" if value in (None, "") else printable(str(value)) for value in told)
