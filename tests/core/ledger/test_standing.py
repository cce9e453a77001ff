"""Which accounts bound a wallet now, and up to what."""

from datetime import UTC, datetime

import pytest

from keeptrusts.core.ledger.standing import Cap, key_of, leading, limit_nanos, opening_accounts, strictest
from keeptrusts.core.ledger.wallet import Wallet, WalletPeriod
from keeptrusts.core.periods import PeriodKind

NOW = datetime(2026, 4, 15, 9, tzinfo=UTC)
WALLET = Wallet("wal_1", "team", "team_a")


def test_each_budget_opens_an_account_of_its_own_in_one_order() -> None:
    opened = opening_accounts(WALLET, {"monthly": 100, "daily": 5}, (), NOW)
    assert [(account.kind, account.budget, account.spent) for account in opened] == [
        ("daily", 5, 0),
        ("monthly", 100, 0),
    ]
    assert opened[0].start == datetime(2026, 4, 15, tzinfo=UTC)
    assert sorted(map(key_of, opened)) == list(map(key_of, opened))


def test_days_begin_where_the_wallet_lives() -> None:
    tokyo = Wallet("wal_1", "team", "team_a", zone="Asia/Tokyo")
    [opened] = opening_accounts(tokyo, {"daily": 5}, (), datetime(2026, 4, 15, 15, tzinfo=UTC))
    assert opened.start == datetime(2026, 4, 15, 15, tzinfo=UTC)


def test_a_cap_alone_opens_an_account_and_beside_a_budget_it_does_not_replace_it() -> None:
    opened = opening_accounts(WALLET, {"monthly": 100}, [Cap("monthly", 50), Cap("daily", 7)], NOW)
    assert [(account.kind, account.budget) for account in opened] == [("daily", 7), ("monthly", 100)]


def test_the_strictest_of_several_caps_holds() -> None:
    caps = [Cap("monthly", 9, 4), Cap("monthly", 7), Cap("monthly", 8, 3), Cap("daily", 1)]
    assert strictest(caps) == {"monthly": Cap("monthly", 7, 3), "daily": Cap("daily", 1)}


@pytest.mark.parametrize(
    ("budgets", "caps", "enforced", "percent", "limit"),
    [
        ({"monthly": 100}, {}, True, 100, 100),
        ({"monthly": 100}, {}, True, 90, 90),
        ({"monthly": 100}, {"monthly": Cap("monthly", 95)}, True, 90, 90),
        ({"monthly": 100}, {"monthly": Cap("monthly", 60)}, True, 90, 60),
        ({"monthly": 100}, {"monthly": Cap("monthly", 60)}, False, 90, 60),
        ({"monthly": 100}, {}, False, 100, None),
        ({}, {"monthly": Cap("monthly", 60)}, True, 50, 60),
    ],
)
def test_what_bounds_a_period(
    budgets: dict[PeriodKind, int], caps: dict[PeriodKind, Cap], enforced: bool, percent: int, limit: int | None
) -> None:
    [period] = opening_accounts(WALLET, {"monthly": 100}, (), NOW)
    assert limit_nanos(period, budgets, caps, enforced, percent) == limit


def test_a_wallet_is_spoken_of_by_its_month() -> None:
    kinds: list[PeriodKind] = ["daily", "once", "monthly", "yearly"]
    periods = [WalletPeriod("wal_1", kind, NOW, NOW, 1) for kind in kinds]
    assert leading(periods).kind == "monthly"
    assert leading(periods[:2]).kind == "daily"
