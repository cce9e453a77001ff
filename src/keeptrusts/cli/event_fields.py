"""An event's fields as `--fields` names them, and its line in a table."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from keeptrusts.cli.failure import Failure
from keeptrusts.cli.money_text import dollars
from keeptrusts.cli.printable import printable
from keeptrusts.core.metering.rendering import FIELD_NAMES

TABLE_HEADING = ("Time", "Team", "Group", "Model", "Tokens", "Cost", "Latency", "Status")
TABLE_WIDTHS = (24, 12, 12, 12, 6, 9, 7, 7)
"""Widths to begin with: what follows later may be wider, and then moves only its own line."""


def asked_fields(text: str) -> tuple[str, ...]:
    """``team,model,cost`` as field names. Raises Failure naming those that an event does not have."""
    names = tuple(name.strip() for name in text.split(","))
    unknown = [name for name in names if name not in FIELD_NAMES]
    if unknown:
        raise Failure(f"no event field {', '.join(map(repr, unknown))}: there are {', '.join(FIELD_NAMES)}")
    return names


def chosen(event: Mapping[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    """The event reduced to these fields, under the names that were asked for."""
    return {name: field_value(event, name) for name in fields}


def field_value(event: Mapping[str, Any], name: str) -> Any:
    """One field's value; None where the event has none."""
    outer, _, inner = name.partition(".")
    value = event.get(outer)
    return value.get(inner) if inner and isinstance(value, Mapping) else None if inner else value


def table_row(event: Mapping[str, Any]) -> tuple[str, ...]:
    """One event as the cells below TABLE_HEADING; a dash where there is nothing to tell."""
    cost, latency_ms = event.get("cost"), event.get("latency_ms")
    told = (
        event.get("timestamp"),
        event.get("team"),
        event.get("consumer_group"),
        event.get("model"),
        field_value(event, "usage.total_tokens"),
        None if cost is None else dollars(Decimal(cost)),
        None if latency_ms is None else f"{latency_ms} ms",
        " ".join(str(event[name]) for name in ("status", "reason") if event.get(name)),
    )
    return tuple("-" if value in (None, "") else printable(str(value)) for value in told)
