"""How much one lease may take: never more than every budget has free."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeptrusts.core.ledger.alerts import Threshold, block_percent, crossed
from keeptrusts.core.ledger.grant import Bound, free_nanos, grant_size, limit_of, paying, tightest
from keeptrusts.core.ledger.wallet import Wallet, WalletPeriod

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


WALLET = Wallet("wal_1", "team", "team_a")


def bounds(found: list[WalletPeriod], promised: int = 0) -> list[Bound]:
    return [Bound(WALLET, period, period.funds, promised_nanos=promised) for period in found]


@given(periods, money, money, st.integers(1, 20))
def test_a_grant_fits_every_period(found: list[WalletPeriod], need: int, more: int, live: int) -> None:
    size = grant_size(free_nanos(bounds(found)), need, need + more, live)
    assert size >= 0
    for period in found:
        assert size == 0 or period.used + size <= period.budget


@given(periods, money, money, st.integers(1, 20))
def test_a_need_that_fits_is_met_and_one_that_does_not_gets_the_rest(
    found: list[WalletPeriod], need: int, more: int, live: int
) -> None:
    free = free_nanos(bounds(found))
    size = grant_size(free, need, need + more, live)
    assert size >= min(need, free)
    assert size <= max(need, need + more)


def test_nothing_bounds_nothing_is_granted() -> None:
    assert free_nanos([]) == 0
    assert free_nanos([Bound(WALLET, period_of(100), None)]) == 0


def test_a_share_is_half_of_what_each_node_could_have() -> None:
    assert [grant_size(1_000, 1, 10_000, live) for live in (1, 2, 4)] == [500, 250, 125]


def period_of(budget: int, used: int = 0, wallet_id: str = "wal_1") -> WalletPeriod:
    return WalletPeriod(wallet_id, "monthly", START, END, budget=budget, posted=used)


ORG = Wallet("wal_o", "organization", "org_default")
TEAM = Wallet("wal_t", "team", "team_a", parent_id="wal_o")
FALLING = Wallet("wal_t", "team", "team_a", parent_id="wal_o", fallback="parent")


def test_what_children_claim_binds_who_comes_in_beside_them_alone() -> None:
    above = Bound(ORG, period_of(100, 20, "wal_o"), 100, promised_nanos=50)
    below = Bound(TEAM, period_of(60, 0, "wal_t"), 60)
    assert free_nanos([above]) == 30
    assert free_nanos([above, below]) == 60
    assert (limit_of(above, [above]), limit_of(above, [above, below])) == (50, 100)


def test_the_tightest_is_the_one_with_the_least_to_give() -> None:
    above, below = Bound(ORG, period_of(100, 90, "wal_o"), 100), Bound(TEAM, period_of(60, 0, "wal_t"), 60)
    assert tightest([below, above]) is above


@pytest.mark.parametrize(
    ("team", "used", "need", "expected"),
    [
        (TEAM, 60, 1, ["wal_o", "wal_t"]),
        (FALLING, 0, 60, ["wal_o", "wal_t"]),
        (FALLING, 60, 1, ["wal_o"]),
        (FALLING, 50, 20, ["wal_o"]),
        (FALLING, 60, 500, ["wal_o"]),
        (FALLING, 0, 500, ["wal_o"]),
        (TEAM, 60, 500, ["wal_o", "wal_t"]),
    ],
)
def test_an_empty_wallet_is_passed_by_only_if_it_says_so_and_that_helps(
    team: Wallet, used: int, need: int, expected: list[str]
) -> None:
    above = Bound(ORG, period_of(100, 0, "wal_o"), 100, promised_nanos=10)
    found = paying([above, Bound(team, period_of(60, used, "wal_t"), 60)], need)
    assert [bound.wallet.wallet_id for bound in found] == expected


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
