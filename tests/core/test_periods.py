"""Calendar periods meet without gap or overlap, in every time zone, over every clock change."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeptrusts.core.periods import PERIOD_KINDS, PeriodKind, first_day, period_at

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "Africa/Cairo",
    "Asia/Beirut",
    "America/Havana",
    "Atlantic/Azores",
    "Australia/Lord_Howe",
]
instants = st.integers(946_684_800, 4_102_444_800).map(lambda second: datetime.fromtimestamp(second, UTC))
kinds = st.sampled_from([kind for kind in PERIOD_KINDS if kind != "once"])


@given(kinds, instants, st.sampled_from(ZONES))
def test_an_instant_lies_in_its_period_and_the_next_one_begins_where_it_ends(
    kind: PeriodKind, instant: datetime, zone: str
) -> None:
    period = period_at(kind, instant, zone)
    assert period.start <= instant < period.end
    assert period_at(kind, period.start, zone) == period
    assert period_at(kind, period.end - timedelta(microseconds=1), zone) == period
    following = period_at(kind, period.end, zone)
    assert following.start == period.end
    assert following.key != period.key


@given(kinds, instants, st.sampled_from(ZONES))
def test_a_period_begins_with_a_new_day_where_the_wallet_lives(kind: PeriodKind, instant: datetime, zone: str) -> None:
    start = period_at(kind, instant, zone).start
    day = start.astimezone(ZoneInfo(zone)).date()
    assert first_day(kind, day) == day
    assert (start - timedelta(microseconds=1)).astimezone(ZoneInfo(zone)).date() < day


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", date(2026, 3, 29), 23),
        ("Europe/Berlin", date(2026, 10, 25), 25),
        ("America/New_York", date(2026, 3, 8), 23),
        ("America/New_York", date(2026, 11, 1), 25),
        ("UTC", date(2026, 3, 29), 24),
        ("America/Sao_Paulo", date(2018, 11, 4), 23),
        ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
    ],
)
def test_a_day_is_as_long_as_the_clocks_say(zone: str, day: date, hours: float) -> None:
    """São Paulo's clocks skipped midnight itself: the day began at one."""
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=ZoneInfo(zone))
    period = period_at("daily", noon.astimezone(UTC), zone)
    assert (period.end - period.start) / timedelta(hours=1) == hours
    assert period.key == f"daily:{day.isoformat()}"


@pytest.mark.parametrize(
    ("kind", "key", "end"),
    [
        ("daily", "daily:2028-02-29", datetime(2028, 3, 1, tzinfo=UTC)),
        ("weekly", "weekly:2028-02-28", datetime(2028, 3, 6, tzinfo=UTC)),
        ("monthly", "monthly:2028-02-01", datetime(2028, 3, 1, tzinfo=UTC)),
        ("quarterly", "quarterly:2028-01-01", datetime(2028, 4, 1, tzinfo=UTC)),
        ("yearly", "yearly:2028-01-01", datetime(2029, 1, 1, tzinfo=UTC)),
        ("once", "once", datetime(9999, 12, 31, tzinfo=UTC)),
    ],
)
def test_the_periods_of_a_leap_day(kind: PeriodKind, key: str, end: datetime) -> None:
    period = period_at(kind, datetime(2028, 2, 29, 13, tzinfo=UTC))
    assert (period.key, period.end) == (key, end)


def test_once_is_one_period_for_ever() -> None:
    assert period_at("once", datetime(1999, 1, 1, tzinfo=UTC)) == period_at("once", datetime(3000, 1, 1, tzinfo=UTC))


def test_december_is_followed_by_january() -> None:
    period = period_at("quarterly", datetime(2026, 12, 31, 23, 59, tzinfo=UTC))
    assert (period.start.month, period.end) == (10, datetime(2027, 1, 1, tzinfo=UTC))
