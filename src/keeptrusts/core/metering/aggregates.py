"""The catalogue of named questions about events: one row each, and the shape of its answer."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from msgspec import Struct

from keeptrusts.core.metering.dimensions import UNASSIGNED
from keeptrusts.core.metering.totals import Totals, figures

Interval = Literal["hour", "day"]


class Question(Struct, frozen=True):
    """Sums grouped by the dimensions ``by`` and split by ``interval``; the answer's rows stand under ``rows``.

    ``rows`` None: the answer is one object. ``tier``: each row also names the tier of its spend. ``rates``: calls and
    tokens per minute beside the groups' limits instead of sums.
    """

    by: tuple[str, ...] = ()
    interval: Interval | None = None
    rows: str | None = None
    tier: bool = False
    rates: bool = False


QUESTIONS: Mapping[str, Question] = {
    "usage_by_team": Question(by=("team_id",), rows="teams"),
    "cost_by_team": Question(by=("team_id",), rows="teams", tier=True),
    "by_model": Question(by=("provider", "model"), rows="models"),
    "usage_daily": Question(interval="day", rows="days"),
    "daily": Question(interval="day", rows="days"),
    "cost_total": Question(),
    "rate_by_consumer_group": Question(by=("consumer_group",), rows="consumer_groups", rates=True),
}


class Cell(Struct, frozen=True):
    """One row of sums as a store returns it: the dimensions' values, the Unix second its interval begins, the sums."""

    values: tuple[str | None, ...]
    start_s: int | None
    totals: Totals


def row_of(question: Question, cell: Cell, team_names: Mapping[str, str]) -> dict[str, Any]:
    """One row of the answer: who and when, then the figures. A missing dimension is called ``unassigned``."""
    row: dict[str, Any] = {}
    for dimension, value in zip(question.by, cell.values, strict=True):
        row[dimension] = value if value is not None else UNASSIGNED
        if dimension == "team_id":
            row["name"] = row["team"] = team_names.get(value or "", row[dimension])
    if question.interval is not None and cell.start_s is not None:
        start = datetime.fromtimestamp(cell.start_s, UTC)
        if question.interval == "day":
            row["date"] = start.date().isoformat()
        else:
            row["start"] = start.strftime("%Y-%m-%dT%H:%M:%SZ")
    return row | figures(cell.totals)


def in_order(question: Question, cells: list[Cell]) -> list[Cell]:
    """Time goes forward; within it, and without it, what cost most comes first."""
    return sorted(
        cells, key=lambda c: (c.start_s or 0, -c.totals.cost_nanos, -c.totals.count, tuple(v or "" for v in c.values))
    )
