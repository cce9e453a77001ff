"""The dimensions of an event: what lists are filtered by and sums are grouped by, under the names that the API gives them."""

from collections.abc import Mapping

UNASSIGNED = "unassigned"
"""How a missing dimension is named in answers, and asked for in filters."""

DIMENSIONS: Mapping[str, str] = {
    "team_id": "team_id",
    "consumer_group": "consumer_group",
    "gateway_key": "key_id",
    "user_id": "user_id",
    "provider": "provider",
    "model": "model",
    "asked_model": "asked_model",
    "application": "application",
    "feature": "feature",
    "environment": "environment",
    "project": "project",
    "customer": "customer",
    "department": "department",
    "status": "status",
    "reason": "reason",
}
"""Name in the API to column of the event row."""

GROUP_NAMES: Mapping[str, str] = {"team": "team_id", **{name: name for name in DIMENSIONS}}
"""What ``group_by`` takes, and which dimension each name means."""

FILTERS: tuple[str, ...] = (*DIMENSIONS, "request_id", "id", "usage_source")
"""Exact filters; ``gateway_key`` also takes a key's name or hint, ``team`` (beside these) a team's name or id."""

INTERVALS: Mapping[str, int] = {"hour": 3_600, "day": 86_400}
"""Lengths in seconds of the steps that sums can be split into; days are UTC days."""
