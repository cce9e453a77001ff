"""A target's circuit breaker: failures in a row open it, time half-opens it, probes that succeed close it.

closed --failure_threshold failures in a row--> open --cooldown--> half-open --all probes succeed--> closed
                                                 ^                     |
                                                 +----a probe fails----+
"""

from typing import Literal

from keeptrusts.core.routing.rules import BreakerRules

State = Literal["closed", "open", "half-open"]


class Breaker:
    """One target's. Times are seconds on any clock that only goes forward. Without ``rules`` it stays closed."""

    __slots__ = ("_passed", "_probing", "_round", "failures", "reopens_at", "rules")

    def __init__(self, rules: BreakerRules | None) -> None:
        self.rules = rules
        self.failures = 0
        self.reopens_at: float | None = None
        """When an open breaker lets a probe through; None while it is closed."""
        self._round = 1
        self._probing = 0
        self._passed = 0

    def follow(self, rules: BreakerRules | None) -> None:
        """The rules from now on. What is open stays open until its time, unless there are none."""
        self.rules = rules
        if rules is None:
            self.close()

    def state(self, now: float) -> State:
        """What it is at this time."""
        if self.reopens_at is None:
            return "closed"
        return "open" if now < self.reopens_at else "half-open"

    def admits(self, now: float) -> bool:
        """Whether a call may be sent: half-open it lets only as many through as it has probes."""
        if self.reopens_at is None or self.rules is None:
            return True
        return now >= self.reopens_at and self._probing + self._passed < self.rules.half_open_probes

    def began(self) -> int:
        """A call is sent. Returns 0 for an ordinary one, else the probe's round, to be handed back at its end: what is sent
        through an open breaker, for want of any other way, is a probe too."""
        if self.reopens_at is None:
            return 0
        self._probing += 1
        return self._round

    def succeeded(self, probe: int) -> bool:
        """An attempt was served; whether that closed the breaker. One that began before it opened says nothing about what
        came after."""
        if self.reopens_at is None:
            self.failures = 0
        elif probe == self._round:
            self._probing -= 1
            self._passed += 1
            if self.rules is None or self._passed >= self.rules.half_open_probes:
                self.close()
                return True
        return False

    def failed(self, probe: int, now: float) -> bool:
        """An attempt failed at the target; whether that opened the breaker. A failure while it is open does not keep it open
        for longer."""
        if self.rules is None:
            return False
        if self.reopens_at is None:
            self.failures += 1
            opens = self.failures >= self.rules.failure_threshold
        elif probe == self._round:
            self._probing -= 1
            opens = now >= self.reopens_at
        else:
            opens = False
        if opens:
            self._open(now, self.rules)
        return opens

    def left(self, probe: int) -> None:
        """An attempt ended without saying anything about the target."""
        if probe == self._round and self.reopens_at is not None:
            self._probing -= 1

    def close(self) -> None:
        """The target is well."""
        self.reopens_at = None
        self.failures = 0
        self._next_round()

    def _open(self, now: float, rules: BreakerRules) -> None:
        self.reopens_at = now + rules.cooldown_s
        self._next_round()

    def _next_round(self) -> None:
        """Probes that are still under way say nothing about this one."""
        self._round += 1
        self._probing = self._passed = 0
