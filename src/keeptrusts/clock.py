"""What time it is: the shell reads a Clock and hands the instant to the core, so that tests can turn it by hand."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

NANOS_PER_S = 1_000_000_000
NANOS_PER_MS = 1_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


class Clock(Protocol):
    """``unix_ns`` is Unix time in nanoseconds, ``monotonic_s`` seconds of a clock that nobody sets."""

    def unix_ns(self) -> int: ...

    def monotonic_s(self) -> float: ...


class SystemClock:
    """The machine's own clocks."""

    def unix_ns(self) -> int:
        """Unix time in nanoseconds."""
        return time.time_ns()

    def monotonic_s(self) -> float:
        """Seconds since some fixed moment."""
        return time.monotonic()


def instant_at(unix_ns: int) -> datetime:
    """Unix nanoseconds as an aware UTC datetime, cut to microseconds."""
    seconds, nanos = divmod(unix_ns, NANOS_PER_S)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=nanos // 1000)


def unix_ms(instant: datetime) -> int:
    """An aware datetime as Unix milliseconds, rounded down."""
    return (instant - EPOCH) // MILLISECOND


def instant_at_ms(ms: int) -> datetime:
    """Unix milliseconds as an aware UTC datetime; exact for every year that a datetime can hold."""
    return EPOCH + ms * MILLISECOND
