"""How much one lease may take: never more than every budget has free."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from keeptrusts.core.ledger.alerts import Threshold, block_percent, crossed
from keeptrusts.core.ledger.grant import grant_size
from keeptrusts.core.ledger.wallet import WalletPeriod, grantable

START, END = datetime(2026, 4, 1, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)
money = st.integers(0, 10**12)
periods = st.lists(
    st.builds(
        WalletPeriod,
        wallet_id=st.just("wal_1"),
        kind=st.just("monthly"),
        start=st.just(START),
        end=st.just(END),
        budget=money,
        posted=money,
        leased=money,
        suspense=money,
        overrun=money,
        unleased=money,
    ),
    min_size=1,
    max_size=3,
)


@given(periods, money, money, st.integers(1, 20), st.integers(1, 100))
def test_a_grant_fits_every_period_under_its_block_threshold(
    found: list[WalletPeriod], need: int, more: int, live: int, percent: int
) -> None:
    size = grant_size(found, need, need + more, live, percent)
    assert size >= 0
    for period in found:
        used = period.spent + period.suspense + period.leased
        assert size == 0 or used + size <= period.budget * percent // 100


@given(periods, money, money, st.integers(1, 20))
def test_a_need_that_fits_is_met_and_one_that_does_not_gets_the_rest(
    found: list[WalletPeriod], need: int, more: int, live: int
) -> None:
    size = grant_size(found, need, need + more, live, 100)
    free = grantable(found, 100)
    assert size >= min(need, free)
    assert size <= max(need, need + more)


def test_nothing_bounds_nothing_is_granted() -> None:
    assert grantable([], 100) == 0


def test_a_share_is_half_of_what_each_node_could_have() -> None:
    period = WalletPeriod("wal_1", "monthly", START, END, budget=1_000)
    assert [grant_size([period], 1, 10_000, live, 100) for live in (1, 2, 4)] == [500, 250, 125]


@given(st.integers(0, 10**12), st.integers(0, 10**12), st.sets(st.integers(1, 150), max_size=4))
def test_a_threshold_is_crossed_at_its_share_exactly(budget: int, spent: int, percents: set[int]) -> None:
    rules = tuple(Threshold(percent, "notify") for percent in sorted(percents, reverse=True))
    period = WalletPeriod("wal_1", "monthly", START, END, budget=budget, posted=spent)
    found = [rule.percent for rule in crossed(period, rules, frozenset())]
    assert found == sorted(p for p in percents if budget > 0 and spent * 100 >= budget * p)
    assert crossed(period, rules, frozenset(percents)) == []


def test_the_lowest_block_threshold_is_the_limit_and_never_above_the_budget() -> None:
    assert block_percent(()) == 100
    assert block_percent((Threshold(80, "notify"),)) == 100
    assert block_percent((Threshold(95, "block"), Threshold(90, "block"), Threshold(120, "block"))) == 90
    assert block_percent((Threshold(120, "block"),)) == 100
