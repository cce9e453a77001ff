"""What `kt spend` prints, from values alone: one team's page, the table of all teams, and both as JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from keeptrusts.cli.columns import columns
from keeptrusts.cli.money_text import dollars, figures
from keeptrusts.cli.wallet_view import Wallet
from keeptrusts.core.money import nanos_from_usd, share_percent

DAY = timedelta(days=1)
NANO = Decimal("0.000000001")
USAGE_PLACES = 6


@dataclass(frozen=True, slots=True)
class ModelSpend:
    """One model's part of a team's spend in the period."""

    model: str
    cost: Decimal
    tokens: int
    requests: int


@dataclass(frozen=True, slots=True)
class Burn:
    """How fast a budget goes: USD a day so far, the spend that gives by the period's end, and when the budget is used up."""

    per_day: Decimal
    projected: Decimal
    runs_out_at: datetime | None


def merged(rows: Sequence[ModelSpend]) -> list[ModelSpend]:
    """A row per model, whichever providers served it; models whose calls were all refused are left out."""
    totals: dict[str, ModelSpend] = {}
    for it in rows:
        so_far = totals.get(it.model, ModelSpend(it.model, Decimal(0), 0, 0))
        totals[it.model] = ModelSpend(
            it.model, so_far.cost + it.cost, so_far.tokens + it.tokens, so_far.requests + it.requests
        )
    return [it for it in totals.values() if it.requests or it.cost]


def team_page(wallet: Wallet, models: Sequence[ModelSpend]) -> str:
    """One team's page; the dearest model first."""
    shown = figures(wallet.budget, wallet.spent)
    parts = [
        f"{it.model}: {dollars(it.cost, shown.places)} ({_count(it.tokens, 'token')}, {_count(it.requests, 'request')})"
        for it in sorted(models, key=lambda it: (-it.cost, it.model))
    ]
    return "\n".join(
        [
            f"Team: {wallet.team}",
            f"Period: {wallet.first_day} to {wallet.last_day}",
            f"Budget: {shown.budget}",
            f"Spent: {shown.spent}",
            f"Remaining: {shown.remaining}",
            f"Usage: {shown.usage}",
            "Breakdown by model:",
            *(parts or ["no calls in this period"]),
        ]
    )


def team_table(wallets: Sequence[Wallet]) -> str:
    """All teams, a line each."""
    shown = [(wallet.team, figures(wallet.budget, wallet.spent)) for wallet in wallets]
    rows = [(team, it.budget, it.spent, it.remaining, it.usage) for team, it in shown]
    return columns(("Team", "Budget", "Spent", "Remaining", "Usage"), rows)


def as_json(wallet: Wallet, models: Sequence[ModelSpend] | None, now: datetime) -> dict[str, Any]:
    """One wallet for programs: exact amounts, the share in percent, the burn rate; ``models`` None leaves them out."""
    burn = burn_rate(wallet, now)
    usage = share_percent(nanos_from_usd(wallet.spent), nanos_from_usd(wallet.budget), USAGE_PLACES)
    return {
        "team": wallet.team,
        "team_id": wallet.team_id,
        "period": {
            "name": wallet.period,
            "start": wallet.first_day.isoformat(),
            "end": wallet.last_day.isoformat(),
        },
        "budget": wallet.budget,
        "spent": wallet.spent,
        "reserved": wallet.reserved,
        "remaining": wallet.budget - wallet.spent,
        "usage_percent": usage if wallet.budget > 0 else None,
        "burn_rate": {
            "per_day": burn.per_day,
            "projected_spend": burn.projected,
            "runs_out_at": burn.runs_out_at.isoformat() if burn.runs_out_at else None,
        },
    } | ({} if models is None else {"models": [_model_json(it) for it in models]})


def burn_rate(wallet: Wallet, now: datetime) -> Burn:
    """The spend so far carried on at the same pace; the first day counts as a whole one, so that one call is no trend.

    ``runs_out_at`` is None when the budget lasts beyond the period; for a used-up budget it is ``now``.
    """
    days = Decimal(max(min(now, wallet.end) - wallet.start, DAY) // timedelta(seconds=1)) / 86_400
    per_day = (wallet.spent / days).quantize(NANO, rounding=ROUND_HALF_UP)
    days_left = Decimal(max(wallet.end - now, timedelta(0)) // timedelta(seconds=1)) / 86_400
    projected = (wallet.spent + per_day * days_left).quantize(NANO, rounding=ROUND_HALF_UP)
    remaining = wallet.budget - wallet.spent
    runs_out_at = None
    if remaining <= 0:
        runs_out_at = now
    elif projected > wallet.budget:
        runs_out_at = now + timedelta(seconds=int(remaining / per_day * 86_400))
    return Burn(per_day, projected, runs_out_at.astimezone(UTC).replace(microsecond=0) if runs_out_at else None)


def _model_json(it: ModelSpend) -> dict[str, Any]:
    return {"model": it.model, "cost": it.cost, "tokens": it.tokens, "requests": it.requests}


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
