"""Events and sums as CSV (RFC 4180): exact amounts, and no cell that a spreadsheet would run."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

STARTS_FORMULA = ("=", "+", "-", "@", "\t", "\r")
DEFAULT_FIELDS = (
    "id",
    "timestamp",
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
    "cost",
    "cache_hit",
    "status",
    "reason",
    "latency_ms",
    "request_id",
)
"""What a CSV of events holds unless fields are named."""


def csv_text(fields: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """A heading and a line per row, each ended by CR LF."""
    return ",".join(map(_quoted, fields)) + "\r\n" + csv_lines(fields, rows)


def csv_lines(fields: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """A line per row, without the heading."""
    return "".join(",".join(_quoted(cell(row.get(field))) for field in fields) + "\r\n" for row in rows)


def cell(value: Any) -> str:
    """A value as text: amounts digit by digit, nothing for None; a text that would start a formula gets a quote before it."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case Decimal():
            return format(value, "f")
        case int():
            return str(value)
        case str():
            return f"'{value}" if value.startswith(STARTS_FORMULA) else value
        case _:
            return cell(msgspec.json.Encoder(decimal_format="number").encode(value).decode())


def _quoted(text: str) -> str:
    if any(mark in text for mark in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text
