"""Consumption tiers: the more a team spends in a period, the lower the rate that it is charged at."""

from msgspec import Struct

from keeptrusts.core.money import NANOS_PER_USD


class SpendTier(Struct, frozen=True):
    """A tier holds for spend up to and including ``up_to_nanos`` (None: without end).

    ``rate_percent`` is the share of the cost that is charged.
    """

    name: str
    up_to_nanos: int | None
    rate_percent: int


TIERS: tuple[SpendTier, ...] = (
    SpendTier("Base", 1_000 * NANOS_PER_USD, 100),
    SpendTier("Growth", 5_000 * NANOS_PER_USD, 90),
    SpendTier("Scale", 20_000 * NANOS_PER_USD, 80),
    SpendTier("Enterprise", None, 70),
)
"""The default table, by rising spend."""


def tier_of(spent_nanos: int, tiers: tuple[SpendTier, ...] = TIERS) -> SpendTier:
    """The tier of a period's spend: the first whose end it does not exceed."""
    return next(tier for tier in tiers if tier.up_to_nanos is None or spent_nanos <= tier.up_to_nanos)
