"""What a gateway knows of a target from its own calls: how many, how fast, and whether it should be called now."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import NamedTuple

from keeptrusts.core.routing.breaker import Breaker
from keeptrusts.core.routing.retry_budget import RetryBudget
from keeptrusts.core.routing.rules import Routing

log = logging.getLogger("keeptrusts::gateway")

RECENT = 256
"""Of so many answers it is known how long they took, for the percentiles."""

LATEST = 20
"""Of so many, those within the window at most, strategies take the mean."""

MAX_PAUSE_S = 60.0
"""A provider may ask for a pause of any length; calls that have another target keep it up to this."""

MAX_PAUSED_MODELS = 1_000


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


class Served(NamedTuple):
    """One answer that came whole: when it was sent, when it ended, and when a stream's first byte came (None: no stream)."""

    sent_at: float
    ended_at: float
    first_byte_at: float | None
    output_tokens: int

    @property
    def answer_s(self) -> float:
        """From its request to its end."""
        return self.ended_at - self.sent_at


class TargetState:
    """One target's. It outlives editions of the rules; attempts report here when they begin and end."""

    __slots__ = (
        "_paused",
        "_rules",
        "begun",
        "breaker",
        "budget",
        "failed",
        "healthy",
        "in_flight",
        "key",
        "limited",
        "name",
        "now",
        "recent",
        "served",
    )

    def __init__(self, name: str, rules: Routing, now: Callable[[], float] = _loop_time) -> None:
        self.name = name
        self.now = now
        self.key = b""
        """What it is called with: no client is told it."""
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
        self.recent: deque[tuple[float, float, float | None, int]] = deque(maxlen=RECENT)
        """The fields of ``Served``, of the latest answers: every call adds one, few are looked at."""
        self._rules = rules
        self._paused: dict[str, float] = {}

    def follow(self, rules: Routing) -> None:
        """The rules from now on."""
        self._rules = rules
        self.breaker.follow(rules.breaker)
        self.budget.share = rules.failover.retry.budget

    def admits(self, now: float) -> bool:
        """Whether calls are sent there, apart from single models that the provider has limited."""
        return self.healthy and self.breaker.admits(now)

    def bar(self, model: str, now: float) -> str | None:
        """Why no call to the model should be sent there while there is another way; None: there is no reason."""
        if not self.healthy:
            return "is unhealthy"
        if not self.breaker.admits(now):
            return "rests"
        if self._paused and self._paused.get(model, now) > now:
            return "is rate limited"
        return None

    def free_at(self, model: str) -> tuple[bool, float]:
        """Orders targets that are all barred: the least bad one is the lowest."""
        return not self.healthy, max(self.breaker.reopens_at or 0.0, self._paused.get(model, 0.0))

    def begin(self) -> int:
        """A call is sent; what is returned goes back to ``good``, ``bad`` or ``left``, one of which must follow."""
        self.in_flight += 1
        self.begun += 1
        return 0 if self.breaker.reopens_at is None else self.breaker.began()

    def good(self, probe: int) -> None:
        """The target did what it should, were it to tell the client what is wrong with its request."""
        self.in_flight -= 1
        breaker = self.breaker
        if breaker.reopens_at is None:
            # What nearly every call does, without a call more.
            breaker.failures = 0
        elif breaker.succeeded(probe):
            log.info("Target %s serves again.", self.name)

    def bad(self, probe: int) -> None:
        """The target failed."""
        self.in_flight -= 1
        self.failed += 1
        if self.breaker.failed(probe, self.now()):
            failures = self.breaker.failures
            log.warning("Target %s failed (%d in a row): it rests while other targets serve.", self.name, failures)

    def left(self, probe: int) -> None:
        """The attempt ended for a reason that says nothing about the target."""
        self.in_flight -= 1
        self.breaker.left(probe)

    def pause(self, model: str, for_s: int) -> None:
        """The provider asked not to be called for this model for so long."""
        if len(self._paused) >= MAX_PAUSED_MODELS:
            self._paused.clear()
        self._paused[model] = self.now() + min(for_s, MAX_PAUSE_S)

    def latency_s(self, stream: bool, now: float) -> float | None:
        """How fast it answers: a stream is as fast as its first byte, another answer as its last. None: too little is known."""
        latest = self._latest(now)
        if stream:
            return self._mean([s.first_byte_at - s.sent_at for s in latest if s.first_byte_at is not None])
        return self._mean([s.answer_s for s in latest if s.first_byte_at is None])

    def tokens_per_s(self, now: float) -> float | None:
        """How many tokens of output it gives in a second; None: too little is known."""
        return self._mean([s.output_tokens / s.answer_s for s in self._latest(now) if s.answer_s > 0])

    def percentile_s(self, percent: int) -> float | None:
        """How long so many of a hundred recent answers took at most; None before the first."""
        known = sorted(Served(*served).answer_s for served in self.recent)
        return known[min(len(known) * percent // 100, len(known) - 1)] if known else None

    def _latest(self, now: float) -> list[Served]:
        latest = [Served(*served) for served in islice(reversed(self.recent), LATEST)]
        return [served for served in latest if served.ended_at >= now - self._rules.window_s]

    def _mean(self, values: list[float]) -> float | None:
        return sum(values) / len(values) if values and len(values) >= self._rules.min_samples else None
