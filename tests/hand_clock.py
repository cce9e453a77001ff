"""A clock that stands still until a test turns it."""

from datetime import datetime, timedelta

from keeptrusts.clock import NANOS_PER_S, unix_ms


class HandClock:
    """Satisfies keeptrusts.clock.Clock. Both of its clocks move together."""

    def __init__(self, start: datetime) -> None:
        self._unix_ns = unix_ms(start) * 1_000_000
        self._monotonic_s = 1_000.0

    def unix_ns(self) -> int:
        return self._unix_ns

    def monotonic_s(self) -> float:
        return self._monotonic_s

    def turn(self, by: timedelta) -> None:
        """Lets so much time pass."""
        self._unix_ns += int(by.total_seconds() * NANOS_PER_S)
        self._monotonic_s += by.total_seconds()
