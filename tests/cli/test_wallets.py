"""`kt wallets`: a budget is set exactly as written, for the team that was meant."""

import json
from decimal import Decimal

import pytest

from tests.cli.conftest import Kt
from tests.cli.fake_api import Exact, FakeApi, wallet


def test_allocate_finds_a_team_by_its_name_and_sends_the_exact_amount(kt: Kt, at: FakeApi) -> None:
    at.wallets = [wallet("team_marketing", "100")]
    ran = kt("wallets", "allocate", "--team", "marketing", "--amount", "0.010000001", "--description", "test")
    assert (ran.code, ran.err) == (0, "")
    assert at.asked[-1][3] == {
        "team_id": "team_marketing",
        "amount": Decimal("0.010000001"),
        "currency": "USD",
        "period": "monthly",
        "description": "test",
    }
    heading, row = ran.out.splitlines()
    assert heading.split() == ["Team", "Id", "Period", "Budget", "Spent", "Reserved", "Available"]
    assert row.split() == [
        *("marketing", "team_marketing", "monthly", "2026-04-01", "to", "2026-04-30"),
        *("$0.010000001", "$0.00", "$0.00", "$0.010000001"),
    ]


def test_a_new_team_is_taken_by_its_id(kt: Kt, at: FakeApi) -> None:
    ran = kt("wallets", "allocate", "--team", "search", "--amount", "5000", "--period", "daily", "--format", "json")
    assert (at.asked[-1][3]["team_id"], at.asked[-1][3]["period"]) == ("search", "daily")
    assert json.loads(ran.out)["allocated"] == 5000
    assert "whose team id is 'search'" in ran.err, "a name that is not known yet may have been meant"


@pytest.mark.parametrize("amount", ["many", "-1", "NaN", "1e400", "0.0000000001", "99999999999", "1,000"])
def test_what_is_no_amount_is_not_sent(kt: Kt, at: FakeApi, amount: str) -> None:
    ran = kt("wallets", "allocate", "--team", "search", f"--amount={amount}")
    assert ran.code == 2
    assert ran.err.startswith("kt: --amount: ")
    assert [path for method, path, *_ in at.asked if method == "POST"] == []


def test_balance_shows_what_running_calls_hold(kt: Kt, at: FakeApi) -> None:
    at.wallets = [wallet("team_search", "10", "1.5", reserved=Exact("0.0004"), available=Exact("8.4996"))]
    assert kt("wallets", "balance", "--team", "search").out.splitlines()[1].split()[-4:] == [
        "$10.00",
        "$1.50",
        "$0.00040",
        "$8.50",
    ]
    told = json.loads(kt("wallets", "balance", "--team", "search", "--format", "json").out, parse_float=Decimal)
    assert told["available"] == Decimal("8.4996")


def test_the_balance_of_nobody(kt: Kt, at: FakeApi) -> None:
    at.wallets = [wallet("team_search", "10")]
    assert kt("wallets", "balance", "--team", "sales").err == (
        "kt: no wallet for team 'sales': known teams are search\n"
    )
    assert kt("wallets", "balance", "--team", "sales", "--format", "json") == (
        1,
        "",
        "kt: the API said no (404 wallet_not_found): Team sales has no wallet.\n",
    )
