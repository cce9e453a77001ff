"""Budget thresholds: which ones a posting has crossed. Each fires once per wallet, period and threshold."""

from typing import Literal

from msgspec import Struct

from keeptrusts.core.ledger.wallet import WalletPeriod

AlertAction = Literal["notify", "block"]


class Threshold(Struct, frozen=True):
    """At ``percent`` of the budget: tell people (``notify``), or make that share the limit (``block``)."""

    percent: int
    action: AlertAction


def crossed(period: WalletPeriod, thresholds: tuple[Threshold, ...], fired: frozenset[int]) -> list[Threshold]:
    """The thresholds that the period's spend has reached and that have not fired yet, lowest first."""
    if period.funds <= 0:
        return []
    return [
        t
        for t in sorted(thresholds, key=lambda t: t.percent)
        if t.percent not in fired and period.spent * 100 >= period.funds * t.percent
    ]


def block_percent(thresholds: tuple[Threshold, ...]) -> int:
    """The share of the budget that is the limit: the lowest ``block`` threshold, else all of it; never above 100."""
    return min([100, *(t.percent for t in thresholds if t.action == "block")])
