"""`kt tokens`: the secret is shown once, lists have none, and a revocation names its key."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from keeptrusts.cli.commands.tokens import duration
from keeptrusts.cli.failure import Failure
from tests.cli.conftest import Kt
from tests.cli.fake_api import FakeApi


def test_create_sends_what_was_said_and_nothing_else(kt: Kt, at: FakeApi) -> None:
    ran = kt(
        *("tokens", "create", "--name", "search-service-prod", "--team-id", "search", "--rate-limit", "5000"),
        *("--allowed-models", "gpt-4o-mini, gpt-4o", "--class", "production", "--description", "Production search"),
        *("--application", "search", "--feature", "ranking", "--environment", "production"),
    )
    assert ran.code == 0
    assert ran.out.splitlines() == [
        "Key: kt_gk_the-secret",
        "Id: tok_1",
        "Name: search-service-prod",
        "Expires: never",
        "Keep the key now: it is stored as a hash and cannot be shown again.",
    ]
    [(method, path, _, body)] = at.asked
    assert (method, path) == ("POST", "/v1/tokens")
    assert body == {
        "token_type": "gateway",
        "name": "search-service-prod",
        "team_id": "search",
        "rate_limit": 5000,
        "allowed_models": ["gpt-4o-mini", "gpt-4o"],
        "class": "production",
        "description": "Production search",
        "attribution": {"application": "search", "feature": "ranking", "environment": "production"},
    }
    kt("tokens", "create", "--name", "bare")
    assert at.asked[-1][3] == {"token_type": "gateway", "name": "bare"}


def test_create_sends_what_clients_may_add_and_from_where(kt: Kt, at: FakeApi) -> None:
    ran = kt(
        *("tokens", "create", "--name", "n", "--allow", "feature=ranking, answers", "--allow", "cost-center=*"),
        *("--allow-ip", "10.0.0.0/8", "--allow-ip", "::1", "--on-exhausted", "suspend", "--cost-center", "42"),
        *("--consumer-group", "search", "--user", "svc"),
    )
    assert ran.code == 0
    assert at.asked[0][3] == {
        "token_type": "gateway",
        "name": "n",
        "consumer_group": "search",
        "attribution": {"user": "svc", "cost_center": "42"},
        "allowed_dimensions": {"feature": ["ranking", "answers"], "cost_center": ["*"]},
        "allowed_ips": ["10.0.0.0/8", "::1"],
        "on_exhausted": "suspend",
    }


@pytest.mark.parametrize("option", ["feature", "feature=", "=a", "feature=a,,b", ""])
def test_what_allows_nothing_is_told_so(kt: Kt, at: FakeApi, option: str) -> None:
    ran = kt("tokens", "create", "--name", "n", "--allow", option)
    assert ran.code == 2
    assert "--allow" in ran.err
    assert at.asked == []


def test_show_tells_all_that_says_something(kt: Kt, at: FakeApi) -> None:
    kt(
        "tokens",
        "create",
        "--name",
        "one",
        "--team-id",
        "t",
        "--feature",
        "f",
        "--allow",
        "user=*",
        "--allow-ip",
        "::1",
    )
    at.tokens[0] |= {"status": "suspended", "suspended_reason": "budget_exhausted"}
    assert kt("tokens", "show", "tok_1").out.splitlines() == [
        "Id: tok_1",
        "Name: one",
        "Status: suspended (budget)",
        "Bound to: team=t, feature=f",
        "Clients may name: user=*",
        "Models: all",
        "Addresses: ::1",
        "Hint: kt_gk_...last",
        "Expires: never",
        "Last used: never",
    ]
    assert "suspended (budget)" in kt("tokens", "list").out
    assert json.loads(kt("tokens", "show", "tok_1", "--format", "json").out)["id"] == "tok_1"


def test_rotate_shows_the_new_secret_and_how_long_the_old_one_works(kt: Kt, at: FakeApi) -> None:
    ran = kt("tokens", "rotate", "tok_1", "--overlap", "2h")
    assert ran.out.splitlines()[0] == "Key: kt_gk_new"
    assert "Old secret until: 2027-01-01T00:00:00Z" in ran.out
    assert at.asked[-1][1:] == ("/v1/tokens/tok_1/rotate", {}, {"overlap_seconds": 7200})
    assert "Old secret" not in kt("tokens", "rotate", "tok_1").out
    assert at.asked[-1][3] == {}
    assert "--overlap" in kt("tokens", "rotate", "tok_1", "--overlap", "soon").err


def test_suspend_and_resume(kt: Kt, at: FakeApi) -> None:
    kt("tokens", "create", "--name", "one")
    assert kt("tokens", "suspend", "tok_1").out == "tok_1 is suspended\n"
    assert kt("tokens", "resume", "tok_1").out == "tok_1 is active\n"
    assert [asked[3] for asked in at.asked[1:]] == [{"status": "suspended"}, {"status": "active"}]


def test_an_expiry_is_sent_as_an_instant(kt: Kt, at: FakeApi) -> None:
    before = datetime.now(UTC)
    kt("tokens", "create", "--name", "ci", "--expires-in", "7d")
    sent = datetime.fromisoformat(at.asked[0][3]["expires_at"])
    assert timedelta(days=7, seconds=-1) <= sent - before <= timedelta(days=7, minutes=1)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("30m", timedelta(minutes=30)),
        ("12h", timedelta(hours=12)),
        ("7d", timedelta(days=7)),
        ("4w", timedelta(weeks=4)),
    ],
)
def test_durations(text: str, length: timedelta) -> None:
    assert duration(text) == length


@pytest.mark.parametrize("text", ["", "7", "d", "0d", "-1d", "7 d", "1.5h", "7y", "٣d"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(Failure, match="--expires-in"):
        duration(text)


def test_json_is_the_apis_answer(kt: Kt, at: FakeApi) -> None:
    assert json.loads(kt("tokens", "create", "--name", "x", "--format", "json").out)["token"] == "kt_gk_the-secret"


def test_list_shows_all_pages_and_no_secret(kt: Kt, at: FakeApi) -> None:
    at.page_limit = 1
    for name in ("one", "two"):
        kt("tokens", "create", "--name", name, "--rate-limit", "100")
    ran = kt("tokens", "list")
    heading, *rows = ran.out.splitlines()
    assert heading.split()[:4] == ["Id", "Name", "Status", "Team"]
    assert [row.split()[:5] for row in rows] == [
        ["tok_1", "one", "provisioned", "-", "100/min"],
        ["tok_2", "two", "provisioned", "-", "100/min"],
    ]
    assert "the-secret" not in ran.out
    assert [key["name"] for key in json.loads(kt("tokens", "list", "--format", "json").out)] == ["one", "two"]


def test_revoke(kt: Kt, at: FakeApi) -> None:
    kt("tokens", "create", "--name", "one")
    assert kt("tokens", "revoke", "tok_1") == (0, "tok_1 is revoked\n", "")
    assert at.asked[-1][:2] == ("DELETE", "/v1/tokens/tok_1")
    assert kt("tokens", "revoke", "tok_9") == (
        1,
        "",
        "kt: the API said no (404 token_not_found): There is no token tok_9.\n",
    )


@pytest.mark.parametrize("wrong", ["../wallets", "tok_1?x=1", "tok 1", ""])
def test_an_id_that_is_none_reaches_no_other_address(kt: Kt, at: FakeApi, wrong: str) -> None:
    assert kt("tokens", "revoke", "--", wrong).code == 2
    assert at.asked == []
