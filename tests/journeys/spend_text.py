"""Reads what ``kt spend`` prints for people, so that a test can compare its figures."""

import re
from dataclasses import dataclass
from decimal import Decimal

_TEAM = re.compile(
    r"Team:\s+(?P<team>\S+)\n"
    r"Period:\s+(?P<start>\d{4}-\d\d-\d\d) to (?P<end>\d{4}-\d\d-\d\d)\n"
    r"Budget:\s+\$(?P<budget>[\d.,]+)\n"
    r"Spent:\s+\$(?P<spent>[\d.,]+)\n"
    r"Remaining:\s+\$(?P<remaining>[\d.,]+)\n"
    r"Usage:\s+(?P<usage>[\d.]+)%\n"
    r"Breakdown by model:\n(?P<models>(?:.+\n?)*)"
)
_MODEL = re.compile(r"(?P<model>\S+):\s+\$(?P<cost>[\d.,]+) \((?P<tokens>[\d,]+) tokens, (?P<count>[\d,]+) requests?\)")
_ROW = re.compile(
    r"(?P<team>\S+)\s+\$(?P<budget>[\d.,]+)\s+\$(?P<spent>[\d.,]+)\s+\$(?P<remaining>[\d.,]+)\s+(?P<usage>[\d.]+)%"
)


@dataclass(frozen=True, slots=True)
class TeamSpend:
    """A team's figures in USD; ``models`` maps a model to its cost, tokens and requests."""

    team: str
    budget: Decimal
    spent: Decimal
    remaining: Decimal
    usage_percent: Decimal
    models: dict[str, tuple[Decimal, int, int]]


def read_team(text: str) -> TeamSpend:
    """``kt spend --team X``. Fails when the layout is another one."""
    found = _TEAM.search(text)
    assert found, f"not the layout of `kt spend --team`:\n{text}"
    models = {
        m["model"]: (_usd(m["cost"]), int(m["tokens"].replace(",", "")), int(m["count"].replace(",", "")))
        for m in _MODEL.finditer(found["models"])
    }
    return _spend(found, models)


def read_all(text: str) -> dict[str, TeamSpend]:
    """``kt spend --all``: a head line, then a line per team."""
    head, *rows = [line for line in text.splitlines() if line.strip()]
    assert head.split() == ["Team", "Budget", "Spent", "Remaining", "Usage"], (
        f"not the layout of `kt spend --all`:\n{text}"
    )
    found = [_ROW.fullmatch(row.strip()) for row in rows]
    assert all(found), f"not the layout of `kt spend --all`:\n{text}"
    return {row["team"]: _spend(row, {}) for row in found if row}


def _spend(found: re.Match[str], models: dict[str, tuple[Decimal, int, int]]) -> TeamSpend:
    return TeamSpend(
        team=found["team"],
        budget=_usd(found["budget"]),
        spent=_usd(found["spent"]),
        remaining=_usd(found["remaining"]),
        usage_percent=Decimal(found["usage"]),
        models=models,
    )


def _usd(text: str) -> Decimal:
    return Decimal(text.replace(",", ""))
