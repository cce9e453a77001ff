"""How events are told: names, times, cells, and the shape of each question."""

from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeptrusts.core.metering.aggregates import QUESTIONS, Cell, in_order, row_of
from keeptrusts.core.metering.csv_text import cell, csv_text
from keeptrusts.core.metering.dimensions import DIMENSIONS, GROUP_NAMES
from keeptrusts.core.metering.event_row import COLUMNS
from keeptrusts.core.metering.instants import BadInstant, instant_of
from keeptrusts.core.metering.rendering import CALL_FIELDS, timestamp
from keeptrusts.core.metering.teams import NamedGroup, team_name
from keeptrusts.core.metering.totals import Totals

NOW = datetime(2026, 4, 15, 9, 30, tzinfo=UTC)


def group(name: str, team_id: str | None, node_id: str = "n", at_ms: int = 1) -> NamedGroup:
    return NamedGroup(name, team_id, node_id, at_ms)


@pytest.mark.parametrize(
    ("groups", "name"),
    [
        ([], "engineering"),
        ([group("eng", "team_engineering")], "eng"),
        ([group("eng", "team_engineering"), group("other", "team_other"), group("free", None)], "eng"),
        ([group("eng", "team_engineering"), group("eng-batch", "team_engineering")], "engineering"),
        ([group("old", "team_engineering", "n1", 1), group("new", "team_engineering", "n2", 2)], "new"),
    ],
)
def test_a_team_is_called_by_its_one_group_else_by_its_id(groups: list[NamedGroup], name: str) -> None:
    assert team_name("team_engineering", groups) == name


def test_an_id_that_is_only_the_prefix_stays() -> None:
    assert team_name("team_", []) == "team_"


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("1h", datetime(2026, 4, 15, 8, 30, tzinfo=UTC)),
        ("30d", datetime(2026, 3, 16, 9, 30, tzinfo=UTC)),
        ("90s", datetime(2026, 4, 15, 9, 28, 30, tzinfo=UTC)),
        ("2w", datetime(2026, 4, 1, 9, 30, tzinfo=UTC)),
        ("2026-04-01", datetime(2026, 4, 1, tzinfo=UTC)),
        ("2026-04-01T12:00:00Z", datetime(2026, 4, 1, 12, tzinfo=UTC)),
        ("2026-04-01T12:00:00+02:00", datetime(2026, 4, 1, 10, tzinfo=UTC)),
        ("2026-04-01T12:00:00", datetime(2026, 4, 1, 12, tzinfo=UTC)),
    ],
)
def test_times_as_people_write_them(text: str, instant: datetime) -> None:
    assert instant_of(text, NOW) == instant


@given(st.text(max_size=12))
def test_any_other_text_is_refused_and_nothing_worse(text: str) -> None:
    with suppress(BadInstant):
        assert instant_of(text, NOW).tzinfo is not None


@pytest.mark.parametrize("text", ["999999w", "0001-01-01T00:00:00+14:00", "2026-13-01", "h1", "-1h", ""])
def test_times_out_of_range_are_refused(text: str) -> None:
    with pytest.raises(BadInstant, match="30d"):
        instant_of(text, NOW)


def test_a_timestamp_is_utc_to_the_millisecond() -> None:
    assert timestamp(1_776_245_400_123_999_999) == "2026-04-15T09:30:00.123Z"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "true"),
        (Decimal("1E-9"), "0.000000001"),
        (Decimal("-1.5"), "-1.5"),
        (-3, "-3"),
        ("=1+1", "'=1+1"),
        ("@x", "'@x"),
        ("-x", "'-x"),
        ("\tx", "'\tx"),
        ("plain", "plain"),
        (["a", "b"], '["a","b"]'),
    ],
)
def test_a_cell_is_exact_and_runs_nothing(value: object, text: str) -> None:
    assert cell(value) == text


def test_csv_quotes_what_would_break_a_line() -> None:
    assert csv_text(["a", "b"], [{"a": 'x"y', "b": "1,2\n3"}]) == 'a,b\r\n"x""y","1,2\n3"\r\n'


def test_every_question_names_dimensions_that_there_are() -> None:
    for name, question in QUESTIONS.items():
        assert set(question.by) <= set(DIMENSIONS), name
    assert set(GROUP_NAMES.values()) <= set(DIMENSIONS)
    assert set(DIMENSIONS.values()) <= set(COLUMNS)
    assert set(DIMENSIONS) <= set(CALL_FIELDS), "what can be filtered by can be seen"


def test_time_goes_forward_and_the_dearest_comes_first() -> None:
    question = QUESTIONS["by_model"]
    cells = [Cell(("openai", name), None, Totals(cost_nanos=cost)) for name, cost in (("a", 1), ("b", 5), ("c", 5))]
    assert [found.values[1] for found in in_order(question, cells)] == ["b", "c", "a"]
    days = [Cell((), start, Totals()) for start in (86_400, 0)]
    assert [found.start_s for found in in_order(QUESTIONS["daily"], days)] == [0, 86_400]


def test_a_row_names_its_team_and_its_day() -> None:
    question = QUESTIONS["usage_by_team"]
    row = row_of(question, Cell(("team_a",), None, Totals(count=2, tokens_input=5, tokens_output=7)), {"team_a": "A"})
    assert (row["team_id"], row["name"], row["count"], row["total_tokens"]) == ("team_a", "A", 2, 12)
    assert row_of(question, Cell((None,), None, Totals()), {})["name"] == "unassigned"
    assert row_of(QUESTIONS["daily"], Cell((), 86_400, Totals()), {})["date"] == "1970-01-02"
