"""Times as people write them in ``since`` and ``until``: ``30d`` ago, a day, or an instant."""

import re
from datetime import UTC, date, datetime, timedelta

AGO = re.compile(r"(\d{1,6})([smhdw])")
UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
FORMS = "a length of time back from now (5m, 1h, 30d, 2w), a date (2026-04-01) or RFC 3339 (2026-04-01T12:00:00Z)"


class BadInstant(ValueError):
    """The text is none of the forms; the message says which there are."""


def instant_of(text: str, now: datetime) -> datetime:
    """The instant that ``text`` means, aware, in UTC. A date is its first instant in UTC; a time without a zone is UTC.

    Raises BadInstant.
    """
    ago = AGO.fullmatch(text)
    try:
        if ago:
            return now - timedelta(seconds=int(ago[1]) * UNITS[ago[2]])
        if len(text) == len("2026-04-01"):
            day = date.fromisoformat(text)
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        instant = datetime.fromisoformat(text)
        return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise BadInstant(f"{text!r} is not a time: write {FORMS}") from None
