"""The document's tiers: a spend has exactly one."""

import pytest

from keeptrusts.core.chargeback.tiers import TIERS, tier_of
from keeptrusts.core.money import NANOS_PER_USD


@pytest.mark.parametrize(
    ("usd", "name", "rate"),
    [
        (0, "Base", 100),
        (1_000, "Base", 100),
        (1_001, "Growth", 90),
        (5_000, "Growth", 90),
        (5_001, "Scale", 80),
        (20_000, "Scale", 80),
        (20_001, "Enterprise", 70),
        (10**9, "Enterprise", 70),
    ],
)
def test_the_documents_table(usd: int, name: str, rate: int) -> None:
    tier = tier_of(usd * NANOS_PER_USD)
    assert (tier.name, tier.rate_percent) == (name, rate)


def test_a_nano_over_an_end_is_the_next_tier() -> None:
    assert tier_of(1_000 * NANOS_PER_USD + 1).name == "Growth"
    assert TIERS[-1].up_to_nanos is None
