"""Gateway keys as people read them: a line of a list, and one key with everything that is known of it."""

from collections.abc import Mapping
from typing import Any

from keeptrusts.cli.columns import columns
from keeptrusts.cli.printable import printable

HEADING = ("Id", "Name", "Status", "Team", "Rate limit", "Models", "Hint", "Last used")

NOTHING: tuple[object, ...] = (None, "", [], {})


def list_text(keys: list[dict[str, Any]]) -> str:
    """The keys, a line each."""
    return columns(HEADING, [_row(key) for key in keys])


def key_text(key: Mapping[str, Any]) -> str:
    """Everything of one key that says something."""
    bound = {"team": key.get("team_id"), **(key.get("attribution") or {})}
    allowed = key.get("allowed_dimensions") or {}
    limit = key.get("rate_limit")
    lines = (
        ("Id", key.get("id")),
        ("Name", key.get("name")),
        ("Description", key.get("description")),
        ("Status", _status(key)),
        ("Class", key.get("class")),
        ("Group", key.get("consumer_group")),
        ("Bound to", ", ".join(f"{name}={value}" for name, value in bound.items() if value)),
        ("Clients may name", "; ".join(f"{name}={','.join(map(str, values))}" for name, values in allowed.items())),
        ("Rate limit", f"{limit}/min" if limit else None),
        ("Models", _models(key)),
        ("Addresses", ", ".join(map(str, key.get("allowed_ips") or ())) or "any"),
        ("When its budget is used up", key.get("on_exhausted")),
        ("Hint", key.get("hint")),
        ("Created", key.get("created_at")),
        ("Expires", key.get("expires_at") or "never"),
        ("Rotated", key.get("rotated_at")),
        ("Old secret until", key.get("old_secret_until")),
        ("Last used", key.get("last_used_at") or "never"),
    )
    return "\n".join(f"{name}: {printable(str(value))}" for name, value in lines if value not in NOTHING)


def _row(key: Mapping[str, Any]) -> tuple[str, ...]:
    limit = key.get("rate_limit")
    told = (
        key.get("id"),
        key.get("name"),
        _status(key),
        key.get("team_id"),
        f"{limit}/min" if limit else None,
        _models(key),
        key.get("hint"),
        key.get("last_used_at"),
    )
    return tuple("-" if value in NOTHING else printable(str(value)) for value in told)


def _status(key: Mapping[str, Any]) -> str:
    status = str(key.get("status"))
    return f"{status} (budget)" if key.get("suspended_reason") == "budget_exhausted" else status


def _models(key: Mapping[str, Any]) -> str:
    models = key.get("allowed_models")
    return "all" if models is None or "*" in models else ",".join(map(str, models))
