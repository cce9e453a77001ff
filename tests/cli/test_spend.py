"""`kt spend`: the tutorial's layout to the letter, honest figures, and clear words when there are none."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from keeptrusts.cli.spend_report import burn_rate
from keeptrusts.cli.wallet_view import read_wallet
from tests.cli.conftest import Kt
from tests.cli.fake_api import Exact, FakeApi, wallet


def model(name: str, cost: str, tokens: int, count: int) -> dict[str, object]:
    return {"model": name, "total_cost": Exact(cost), "total_tokens": tokens, "count": count}


def test_one_team_as_the_tutorial_shows_it(kt: Kt, at: FakeApi) -> None:
    at.wallets = [wallet("team_engineering", "500.00", "0.02"), wallet("team_marketing", "100.00")]
    at.models = [model("gpt-4o-mini", "0.02", 39, 1)]
    ran = kt("spend", "--team", "engineering")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == (
        "Team: engineering\n"
        "Period: 2026-04-01 to 2026-04-30\n"
        "Budget: $500.00\n"
        "Spent: $0.02\n"
        "Remaining: $499.98\n"
        "Usage: 0.004%\n"
        "Breakdown by model:\n"
        "gpt-4o-mini: $0.02 (39 tokens, 1 request)\n"
    )
    method, path, query, _ = at.asked[-1]
    assert (method, path) == ("GET", "/v1/events")
    assert query == {
        "team_id": "team_engineering",
        "since": "2026-04-01T00:00:00+00:00",
        "until": "2026-05-01T00:00:00+00:00",
        "aggregate": "by_model",
    }


def test_all_teams_as_the_tutorial_shows_them(kt: Kt, at: FakeApi) -> None:
    at.wallets = [wallet("team_marketing", "100.00"), wallet("team_engineering", "500.00", "0.02")]
    ran = kt("spend", "--all")
    assert ran.code == 0
    assert [line.split() for line in ran.out.splitlines()] == [
        ["Team", "Budget", "Spent", "Remaining", "Usage"],
        ["engineering", "$500.00", "$0.02", "$499.98", "0.004%"],
        ["marketing", "$100.00", "$0.00", "$100.00", "0.0%"],
    ]
    columns = [line.index("$") for line in ran.out.splitlines()[1:]]
    assert len(set(columns)) == 1, "aligned"


def test_the_real_cost_of_the_tutorials_call_is_seen(kt: Kt, at: FakeApi) -> None:
    at.wallets = [wallet("team_engineering", "500", "0.0000171")]
    at.models = [model("gpt-4o", "0.000001", 2, 1), model("gpt-4o-mini", "0.0000161", 1_039, 2)]
    assert kt("spend", "--team", "team_engineering").out.splitlines()[2:] == [
        "Budget: $500.00",
        "Spent: $0.000017",
        "Remaining: $499.999983",
        "Usage: 0.0000034%",
        "Breakdown by model:",
        "gpt-4o-mini: $0.000016 (1039 tokens, 2 requests)",
        "gpt-4o: $0.0000010 (2 tokens, 1 request)",
    ]


def test_a_model_is_one_line_whoever_served_it_and_none_when_nothing_was(kt: Kt, at: FakeApi) -> None:
    at.wallets = [wallet("team_x", "500", "0.3")]
    at.models = [
        model("gpt-4o", "0.2", 10, 1) | {"provider": "openai"},
        model("gpt-4o", "0.1", 5, 2) | {"provider": "azure"},
        model("gpt-4o-mini", "0", 0, 0) | {"provider": "unassigned", "refused": 3},
    ]
    assert kt("spend", "--team", "x").out.splitlines()[6:] == [
        "Breakdown by model:",
        "gpt-4o: $0.30 (15 tokens, 3 requests)",
    ]


def test_every_page_of_teams_is_read(kt: Kt, at: FakeApi) -> None:
    at.page_limit = 2
    at.wallets = [wallet(f"team_{number}", "1") for number in range(5)]
    assert len(kt("spend", "--all").out.splitlines()) == 6


def test_a_team_goes_by_id_before_name_and_an_unclear_name_is_asked_back(kt: Kt, at: FakeApi) -> None:
    at.wallets = [wallet("search", "1"), wallet("team_a", "2", team="Search"), wallet("team_b", "3", team="SEARCH")]
    assert "Budget: $1.00" in kt("spend", "--team", "search").out
    assert kt("spend", "--team", "SeArCh") == (
        2,
        "",
        "kt: several teams are called 'SeArCh': say which by its id, search, team_a, team_b\n",
    )


def test_an_unknown_team_is_answered_with_the_known_ones(kt: Kt, at: FakeApi) -> None:
    at.wallets = [wallet("team_engineering", "500"), wallet("team_marketing", "100")]
    assert kt("spend", "--team", "sales") == (
        1,
        "",
        "kt: no wallet for team 'sales': known teams are engineering, marketing\n",
    )


def test_no_data_says_what_is_missing(kt: Kt, at: FakeApi) -> None:
    ran = kt("spend", "--all")
    assert (ran.code, ran.out) == (1, "")
    assert "api.url" in ran.err
    assert "KEEPTRUSTS_API_TOKEN" in ran.err
    assert "kt wallets allocate" in ran.err


def test_a_team_without_calls_says_so(kt: Kt, at: FakeApi) -> None:
    at.wallets = [wallet("team_marketing", "100")]
    assert kt("spend", "--team", "marketing").out.endswith("Breakdown by model:\nno calls in this period\n")


@pytest.mark.parametrize("words", [[], ["--all", "--team", "x"]])
def test_a_team_or_all_one_of_them(kt: Kt, at: FakeApi, words: list[str]) -> None:
    assert kt("spend", *words) == (2, "", "kt: say which: --team NAME, or --all\n")
    assert at.asked == []


def test_json_is_exact_and_has_the_burn_rate(kt: Kt, at: FakeApi) -> None:
    at.wallets = [wallet("team_engineering", "500.00", "0.0000171")]
    at.models = [model("gpt-4o-mini", "0.0000171", 39, 1)]
    out = kt("spend", "--team", "engineering", "--format", "json").out
    told = json.loads(out, parse_float=Decimal)
    assert told["spent"] == Decimal("0.0000171")
    assert told["remaining"] == Decimal("499.9999829")
    assert told["usage_percent"] == Decimal("0.000003")
    assert told["period"] == {"name": "monthly", "start": "2026-04-01", "end": "2026-04-30"}
    assert told["models"] == [{"model": "gpt-4o-mini", "cost": Decimal("0.0000171"), "tokens": 39, "requests": 1}]
    assert set(told["burn_rate"]) == {"per_day", "projected_spend", "runs_out_at"}
    assert "E-" not in out
    every = json.loads(kt("spend", "--all", "--format", "json").out)
    assert [row["team"] for row in every] == ["engineering"]


def test_control_characters_in_names_do_not_act(kt: Kt, at: FakeApi) -> None:
    at.wallets = [wallet("team_x", "1", team="x\x1b[2J")]
    at.models = [model("gpt\x07", "0.5", 1, 1)]
    out = kt("spend", "--team", "team_x").out
    assert "\x1b" not in out
    assert "\x07" not in out
    assert r"Team: x\x1b[2J" in out


@pytest.mark.parametrize(
    ("day", "spent", "per_day", "projected", "runs_out"),
    [
        (11, "100", "10", "300", None),
        (11, "200", "20", "600", datetime(2026, 4, 26, tzinfo=UTC)),
        (11, "0", "0", "0", None),
        (11, "500", "50", "1500", datetime(2026, 4, 11, tzinfo=UTC)),
    ],
)
def test_burn_rate_carries_the_pace_on(
    day: int, spent: str, per_day: str, projected: str, runs_out: datetime | None
) -> None:
    it = burn_rate(read_wallet(wallet("team_x", "500", spent)), datetime(2026, 4, day, tzinfo=UTC))
    assert (it.per_day, it.projected) == (Decimal(per_day), Decimal(projected))
    assert it.runs_out_at == runs_out


def test_burn_rate_takes_the_first_hour_for_a_day() -> None:
    it = burn_rate(read_wallet(wallet("team_x", "500", "1")), datetime(2026, 4, 1, 1, tzinfo=UTC))
    assert it.per_day == 1
