"""Calendar periods that a budget refreshes by: daily to yearly in a wallet's time zone, or once for ever."""

from datetime import UTC, date, datetime, timedelta
from typing import Literal, get_args
from zoneinfo import ZoneInfo

from msgspec import Struct

PeriodKind = Literal["daily", "weekly", "monthly", "quarterly", "yearly", "once"]
PERIOD_KINDS: tuple[PeriodKind, ...] = get_args(PeriodKind)

ONCE_START = datetime(1970, 1, 1, tzinfo=UTC)
ONCE_END = datetime(9999, 12, 31, tzinfo=UTC)


class Period(Struct, frozen=True):
    """Half-open: ``start <= instant < end``, both in UTC. ``key`` (``monthly:2026-04-01``) names it within a wallet."""

    kind: PeriodKind
    start: datetime
    end: datetime
    key: str


def first_day(kind: PeriodKind, day: date, fiscal_month: int = 1) -> date:
    """The first day of the period of this kind that holds ``day``; weeks begin on Monday (ISO 8601).

    Years, and the quarters in them, begin on the first of ``fiscal_month``.
    """
    match kind:
        case "daily":
            return day
        case "weekly":
            return day - timedelta(days=day.weekday())
        case "monthly":
            return day.replace(day=1)
        case "quarterly":
            return _months_before(day, (day.month - fiscal_month) % 3)
        case "yearly":
            return _months_before(day, (day.month - fiscal_month) % 12)
        case "once":
            return ONCE_START.date()


def _months_before(day: date, months: int) -> date:
    years_back, month = divmod(day.month - 1 - months, 12)
    return date(day.year + years_back, month + 1, 1)


def next_first_day(kind: PeriodKind, first: date, fiscal_month: int = 1) -> date:
    """The first day of the period after the one that begins on ``first``."""
    match kind:
        case "daily":
            return first + timedelta(days=1)
        case "weekly":
            return first + timedelta(days=7)
        case "monthly":
            return first_day("monthly", first + timedelta(days=31))
        case "quarterly":
            return first_day("quarterly", first + timedelta(days=93), fiscal_month)
        case "yearly":
            return first_day("yearly", first + timedelta(days=366), fiscal_month)
        case "once":
            return ONCE_END.date()


def period_at(kind: PeriodKind, instant: datetime, zone: str = "UTC", fiscal_month: int = 1) -> Period:
    """The period of ``kind`` that holds ``instant`` (aware), its days counted in ``zone`` (an IANA name).

    A local midnight that a clock change skips or repeats is taken as the first instant that carries the new date.
    """
    if kind == "once":
        return Period(kind, ONCE_START, ONCE_END, "once")
    tz = ZoneInfo(zone)
    first = first_day(kind, instant.astimezone(tz).date(), fiscal_month)
    start, end = _midnight(first, tz), _midnight(next_first_day(kind, first, fiscal_month), tz)
    return Period(kind, start, end, f"{kind}:{first.isoformat()}")


def _midnight(day: date, tz: ZoneInfo) -> datetime:
    naive = datetime(day.year, day.month, day.day, tzinfo=tz)
    return naive.astimezone(UTC)
