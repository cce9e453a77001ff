"""``cost_tracking``, ``budget_alerts`` and ``spend_controls``: what is counted, when people are told, where spending ends."""

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BeforeValidator, Field

from keeptrusts.core.periods import PeriodKind
from keeptrusts.core.rulebook.policy_file.entry import Entry
from keeptrusts.core.rulebook.policy_file.values import Name, PicosPerToken, UsdNanos


class BudgetAlert(Entry):
    """At this share of a budget: tell people, or let it be the limit."""

    threshold_percent: int = Field(ge=1, le=100, examples=[80])
    action: Literal["notify", "block"] = "notify"


def _from_number(value: Any) -> Any:
    is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
    return {"threshold_percent": value} if is_number else value


BudgetAlerts = list[
    Annotated[
        BudgetAlert,
        BeforeValidator(_from_number, json_schema_input_type=Annotated[int, Field(ge=1, le=100)] | BudgetAlert),
    ]
]
"""A plain number means: notify at that percentage."""

ALERT_KEYS = AliasChoices("budget_alerts", "alert_thresholds")
ALERT_EXAMPLE = "[{threshold_percent: 80, action: notify}]"


class CeilingPrice(Entry):
    """What a model without a price is taken to cost, in USD per 1,000 tokens, so that enforcement can let it through."""

    input_cost_per_1k_tokens: PicosPerToken = Field(examples=[0.05])
    output_cost_per_1k_tokens: PicosPerToken = Field(examples=[0.15])


class CostTracking(Entry):
    """Whether cost is recorded, and whether a wallet's balance is a limit."""

    enabled: bool = True
    wallet_enforcement: bool = Field(
        default=False, validation_alias=AliasChoices("wallet_enforcement", "enforce_budget")
    )
    budget_alerts: BudgetAlerts = Field(default=[], validation_alias=ALERT_KEYS, examples=[ALERT_EXAMPLE])
    unpriced_ceiling: CeilingPrice | None = None


class SpendControl(Entry):
    """A cap on a team's spend in a period. Amounts in USD."""

    team: Name = Field(examples=["team_search"], description="The team's id, as in `wallet_team_id`.")
    hard_cap: UsdNanos = Field(examples=[10000])
    soft_cap: UsdNanos | None = Field(default=None, examples=[8000])
    period: PeriodKind = "monthly"
    on_soft_cap: Literal["notify"] = "notify"
    on_hard_cap: Literal["block", "escalate"] = "block"
