"""What a gateway knows of a target from its own calls: how many, how fast, and whether it should be called now."""

import asyncio
from collections.abc import Callable

from keeptrusts.core.routing.breaker import Breaker
from keeptrusts.core.routing.ordering import Figures
from keeptrusts.core.routing.retry_budget import RetryBudget
from keeptrusts.core.routing.rules import Routing

RECENT = 256
"""Of so many whole answers the times are kept, for the percentiles."""

SMOOTHING = 0.2
"""How much a new measurement moves what was known before."""


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


class Speed:
    """A moving average of one measurement, which is forgotten ``window_s`` after the last one."""

    __slots__ = ("_at", "_count", "_value", "rules")

    def __init__(self, rules: Routing) -> None:
        self.rules = rules
        self._count = 0
        self._value = 0.0
        self._at = 0.0

    def add(self, value: float, now: float) -> None:
        """One more measurement."""
        if now - self._at > self.rules.window_s:
            self._count = 0
        self._value = value if not self._count else self._value + SMOOTHING * (value - self._value)
        self._count += 1
        self._at = now

    def at(self, now: float) -> float | None:
        """The average; None when there are too few measurements, or the last one is too old."""
        known = self._count >= self.rules.min_samples and now - self._at <= self.rules.window_s
        return self._value if known else None


class TargetState:
    """One target's. It outlives editions of prices and keys; attempts report here when they begin and end."""

    __slots__ = (
        "answer",
        "begun",
        "breaker",
        "budget",
        "failed",
        "first_byte",
        "healthy",
        "in_flight",
        "limited",
        "now",
        "recent_s",
        "served",
        "throughput",
    )

    def __init__(self, rules: Routing, now: Callable[[], float] = _loop_time) -> None:
        self.now = now
        self.breaker = Breaker(rules.breaker)
        self.budget = RetryBudget(rules.failover.retry.budget)
        self.healthy = True
        """What health checks say."""
        self.in_flight = 0
        self.begun = 0
        self.served = 0
        self.failed = 0
        self.limited = 0
        """How often the provider said that its own limit is reached."""
        self.answer = Speed(rules)
        self.first_byte = Speed(rules)
        self.throughput = Speed(rules)
        self.recent_s = [0.0] * RECENT

    def follow(self, rules: Routing) -> None:
        """The rules from now on."""
        self.breaker.follow(rules.breaker)
        self.budget.share = rules.failover.retry.budget
        for speed in (self.answer, self.first_byte, self.throughput):
            speed.rules = rules

    def admits(self, now: float) -> bool:
        """Whether a call may be sent there."""
        return self.healthy and self.breaker.admits(now)

    def begin(self) -> int:
        """A call is sent; what is returned goes back to ``good``, ``bad`` or ``left``, one of which must follow."""
        self.in_flight += 1
        self.begun += 1
        return 0 if self.breaker.reopens_at is None else self.breaker.began()

    def good(self, probe: int) -> None:
        """The target did what it should, were it to tell the client what is wrong with its request."""
        self.in_flight -= 1
        self.breaker.succeeded(probe)

    def bad(self, probe: int) -> None:
        """The target failed."""
        self.in_flight -= 1
        self.failed += 1
        self.breaker.failed(probe, self.now())

    def left(self, probe: int) -> None:
        """The attempt ended for a reason that says nothing about the target."""
        self.in_flight -= 1
        self.breaker.left(probe)

    def took(self, now: float, sent_at: float, first_byte_at: float | None, output_tokens: int) -> None:
        """An answer came whole by now; ``first_byte_at`` None: not as a stream."""
        answer_s = now - sent_at
        self.recent_s[self.served % RECENT] = answer_s
        self.served += 1
        if first_byte_at is None:
            self.answer.add(answer_s, now)
        else:
            self.first_byte.add(first_byte_at - sent_at, now)
        if output_tokens and answer_s > 0:
            self.throughput.add(output_tokens / answer_s, now)

    def figures(self, stream: bool, now: float) -> Figures:
        """What strategies go by. A stream is as fast as its first byte, a whole answer as its last."""
        speed = self.first_byte if stream else self.answer
        return Figures(self.in_flight, speed.at(now), self.throughput.at(now))

    def percentile_s(self, percent: int) -> float | None:
        """How long so many of a hundred recent answers took at most; None before the first."""
        known = sorted(self.recent_s[: min(self.served, RECENT)])
        return known[min(len(known) * percent // 100, len(known) - 1)] if known else None
