"""`kt events`: the tutorial's and finance's lines as written, every format, and following without losing or repeating."""

import csv
import io
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest

from keeptrusts.cli.api_client import Api
from keeptrusts.cli.connection import Connection
from keeptrusts.cli.event_feed import BEHIND_MAX, EventFeed
from tests.cli.conftest import Kt
from tests.cli.fake_api import TOKEN, Exact, FakeApi, blocked, event

KT = [sys.executable, "-m", "keeptrusts.cli.main"]


def test_the_tutorials_tail_is_an_array_of_the_last_three_oldest_first(kt: Kt, at: FakeApi) -> None:
    at.events = [event(1), event(2), event(3, consumer_group="marketing"), blocked(4, consumer_group="marketing")]
    ran = kt("events", "tail", "--last", "3", "--format", "json")
    assert (ran.code, ran.err) == (0, "")
    shown = json.loads(ran.out, parse_float=Decimal)
    assert [(it["consumer_group"], it["model"], it["cost"], it["usage"]["total_tokens"]) for it in shown] == [
        ("engineering", "gpt-4o-mini", Decimal("0.0000171"), 39),
        ("marketing", "gpt-4o-mini", Decimal("0.0000171"), 39),
        ("marketing", "gpt-4o-mini", None, 0),
    ]
    assert [it["id"] for it in shown] == ["evt_000002", "evt_000003", "evt_000004"]


def test_no_events_are_an_empty_array_a_bare_heading_and_nothing(kt: Kt, at: FakeApi) -> None:
    assert json.loads(kt("events", "tail", "--last", "3", "--format", "json").out) == []
    assert kt("events", "list", "--format", "csv", "--fields", "team,cost").out == "team,cost\n"
    assert kt("events", "list").out == ""


def test_finances_export_goes_through_all_pages_with_exact_amounts(kt: Kt, at: FakeApi) -> None:
    at.page_limit = 3
    at.events = [event(number) for number in range(1, 8)] + [blocked(8)]
    ran = kt("events", "list", "--since", "30d", "--format", "csv", "--fields", "team,provider,model,cost,timestamp")
    lines = ran.out.splitlines()
    assert lines[0] == "team,provider,model,cost,timestamp"
    assert lines[1] == "engineering,openai,gpt-4o-mini,,2026-04-23T14:00:08Z"
    assert lines[2] == "engineering,openai,gpt-4o-mini,0.0000171,2026-04-23T14:00:07Z"
    assert len(lines) == 9
    assert {query["since"] for _, path, query, _ in at.asked if path == "/v1/events"} == {"30d"}


def test_a_csv_without_fields_holds_what_a_chargeback_needs(kt: Kt, at: FakeApi) -> None:
    at.events = [event(1, application="search", cost_usd=Exact("0.000000001"), cost=Exact("0.000000001"))]
    [row] = csv.DictReader(io.StringIO(kt("events", "list", "--format", "csv").out))
    assert (row["team"], row["application"], row["tokens_output"], row["cost"]) == (
        "engineering",
        "search",
        "25",
        "0.000000001",
    )


def test_a_cell_that_a_spreadsheet_would_run_is_made_inert(kt: Kt, at: FakeApi) -> None:
    at.events = [event(1, model="=HYPERLINK(1)", policy_actions=["a", "b"], cache_hit=True)]
    out = kt("events", "list", "--format", "csv", "--fields", "model,policy_actions,cache_hit,usage").out
    [_, row] = csv.reader(io.StringIO(out))
    assert row[0] == "'=HYPERLINK(1)"
    assert json.loads(row[1]) == ["a", "b"]
    assert row[2] == "true"
    assert json.loads(row[3])["total_tokens"] == 39


def test_json_keeps_to_the_fields_that_were_asked_for(kt: Kt, at: FakeApi) -> None:
    at.events = [event(1)]
    out = kt("events", "list", "--format", "json", "--fields", "team,cost,usage.total_tokens").out
    assert json.loads(out, parse_float=Decimal) == [
        {"team": "engineering", "cost": Decimal("0.0000171"), "usage.total_tokens": 39}
    ]


def test_a_field_that_no_event_has_is_named_with_those_there_are(kt: Kt, at: FakeApi) -> None:
    ran = kt("events", "list", "--format", "csv", "--fields", "team,kost")
    assert ran.code == 2
    assert ran.err.startswith("kt: no event field 'kost': there are id, type, timestamp,")
    assert at.asked == []


def test_fields_do_not_go_with_the_table(kt: Kt, at: FakeApi) -> None:
    assert kt("events", "list", "--fields", "team").code == 2


def test_the_table_shows_real_cost_and_why_a_call_was_blocked(kt: Kt, at: FakeApi) -> None:
    at.events = [event(1), blocked(2, model="gpt\x1b4")]
    heading, first, second = kt("events", "tail", "--last", "2").out.splitlines()
    assert heading.split() == ["Time", "Team", "Group", "Model", "Tokens", "Cost", "Latency", "Status"]
    assert first.split() == [
        *("2026-04-23T14:00:01Z", "engineering", "engineering", "gpt-4o-mini"),
        *("39", "$0.000017", "890", "ms", "ok"),
    ]
    assert second.endswith("blocked insufficient_balance")
    assert " -  " in second
    assert r"gpt\x1b4" in second


def test_filters_are_the_apis_own(kt: Kt, at: FakeApi) -> None:
    """It knows teams by name and by id, and what a time is."""
    at.events = [event(1), event(2, team_id="team_b", team="b")]
    ran = kt("events", "list", "--team", "Engineering", "--since", "7d", "--until", "2026-05-01", "--format", "json")
    assert [it["id"] for it in json.loads(ran.out)] == ["evt_000001"]
    assert at.asked[0][2] == {"team": "Engineering", "since": "7d", "until": "2026-05-01", "limit": "1000"}


def test_last_reads_as_many_pages_as_it_needs(kt: Kt, at: FakeApi) -> None:
    at.page_limit = 2
    at.events = [event(number) for number in range(1, 10)]
    shown = json.loads(kt("events", "list", "--last", "5", "--format", "json").out)
    assert [it["id"] for it in shown] == [f"evt_{number:06}" for number in range(5, 10)]


@pytest.mark.parametrize("last", ["0", "-1", "many"])
def test_last_is_a_number_of_events(kt: Kt, at: FakeApi, last: str) -> None:
    assert kt("events", "tail", "--last", last).code == 2


class Turns:
    """Stands for the pause between two looks: each turn records more, and the last one ends the story."""

    class Over(Exception):
        pass

    def __init__(self, api: FakeApi, *turns: list[dict[str, object]]) -> None:
        self._api, self._turns = api, iter(turns)

    def __call__(self) -> None:
        turn = next(self._turns, None)
        if turn is None:
            raise Turns.Over
        self._api.events += turn


def followed(feed: EventFeed, turns: Callable[[], None], said: list[str]) -> Iterator[object]:
    try:
        for batch in feed.follow(feed.newest(), turns, said.append):
            yield [it["id"] for it in batch]
    except Turns.Over:
        return


def test_following_shows_each_event_once_in_the_order_of_recording(api: FakeApi) -> None:
    api.page_limit = 2
    api.events = [event(1)]
    feed = EventFeed(Api(Connection(api.url, TOKEN, "the test")), {})
    late = event(90, id="evt_late", timestamp="2026-04-23T13:00:00Z")  # a long call: recorded at its end
    turns = Turns(api, [], [event(2), event(3), late, event(4), event(5)], [], [event(6)])
    said: list[str] = []
    assert list(followed(feed, turns, said)) == [
        ["evt_000002", "evt_000003", "evt_late", "evt_000004", "evt_000005"],
        ["evt_000006"],
    ]
    assert said == []


def test_following_from_nothing(api: FakeApi) -> None:
    feed = EventFeed(Api(Connection(api.url, TOKEN, "the test")), {})
    assert list(followed(feed, Turns(api, [event(1)], [event(2)]), [])) == [["evt_000001"], ["evt_000002"]]


def test_a_follower_that_falls_behind_shows_the_newest_and_says_so(api: FakeApi) -> None:
    feed = EventFeed(Api(Connection(api.url, TOKEN, "the test")), {})
    said: list[str] = []
    flood = [event(number) for number in range(BEHIND_MAX + 50)]
    [batch] = followed(feed, Turns(api, flood), said)
    assert isinstance(batch, list)
    assert len(batch) == BEHIND_MAX
    assert batch[-1] == flood[-1]["id"]
    assert len(said) == 1


def test_an_api_that_is_away_for_a_while_loses_the_follower_nothing(api: FakeApi) -> None:
    feed = EventFeed(Api(Connection(api.url, TOKEN, "the test")), {})
    api.events = [event(1)]
    story = Turns(api, [event(2)], [event(3)], [event(4)])

    def turns() -> None:
        story()
        away = len(api.events) in (2, 3)
        api.fails_with = (200, b"<html>somebody else") if away else None

    said: list[str] = []
    assert list(followed(feed, turns, said)) == [["evt_000002", "evt_000003", "evt_000004"]]
    assert len(said) == 1
    assert said[0].endswith("Still trying")


def environment(api: FakeApi) -> dict[str, str]:
    return {"KEEPTRUSTS_API_URL": api.url, "KEEPTRUSTS_API_TOKEN": TOKEN}


def test_following_ends_with_ctrl_c_without_a_word(api: FakeApi) -> None:
    api.events = [event(1)]
    follow = [*KT, "events", "tail", "--last", "1", "--follow", "--format", "json"]
    with subprocess.Popen(
        follow, env=environment(api), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stderr
        assert json.loads(process.stdout.readline())["id"] == "evt_000001"
        process.send_signal(signal.SIGINT)
        assert process.wait(20) in (0, 130)
        assert process.stderr.read() == ""


@pytest.mark.parametrize("verb", ["list", "tail"])
def test_a_pipe_that_is_closed_early_is_a_good_end(api: FakeApi, verb: str) -> None:
    """As with `kt events list | head -1`."""
    api.events = [event(number) for number in range(3_000)]
    words = ["list", "--format", "csv"] if verb == "list" else ["tail", "--last", "3000", "--follow", "--format", "csv"]
    with subprocess.Popen(
        [*KT, "events", *words], env=environment(api), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline().startswith("id,timestamp,")
        process.stdout.close()
        assert process.wait(20) == 0
        assert process.stderr.read() == ""
