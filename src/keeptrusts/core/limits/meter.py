"""One limited thing (a key, a group) and what it has used: all its limits are looked at before any is charged."""

from msgspec import Struct

from keeptrusts.core.limits.limit_set import LimitSet
from keeptrusts.core.limits.window import SlidingWindow

MINUTE_S = 60
DAY_S = 86_400
DAY_BUCKET_S = 300


class Exceeded(Struct, frozen=True):
    """Which limit refuses, its figure, and how long to wait."""

    limit: str
    scope: str
    allowed: int
    retry_after_s: int


class Remaining(Struct, frozen=True):
    """What is left of a limit in this minute, for ``x-ratelimit-*``. ``reset_s`` is when all of it is free again."""

    limit: int
    remaining: int
    reset_s: int


class Meter:
    """The counters of one scope (``key tok_...``, ``group marketing``). Limits may change; what was used stays."""

    __slots__ = ("_requests", "_requests_day", "_tokens", "_tokens_day", "limits", "running", "scope")

    def __init__(self, scope: str, limits: LimitSet) -> None:
        self.scope = scope
        self.limits = limits
        self.running = 0
        self._requests = SlidingWindow(MINUTE_S)
        self._tokens = SlidingWindow(MINUTE_S)
        self._requests_day = SlidingWindow(DAY_S, DAY_BUCKET_S)
        self._tokens_day = SlidingWindow(DAY_S, DAY_BUCKET_S)

    def peek(self, tokens: int, now_s: int) -> Exceeded | None:
        """The limit that one more call of ``tokens`` (estimated) would break, if any. Charges nothing."""
        limits = self.limits
        allowed = limits.concurrent_requests
        if allowed is not None and self.running >= allowed:
            return Exceeded("concurrent_requests", self.scope, allowed, 1)
        allowed = limits.requests_per_minute
        if allowed is not None and self._requests.used(now_s) >= allowed:
            return Exceeded("requests_per_minute", self.scope, allowed, self._requests.wait_s(1, allowed, now_s))
        allowed = limits.tokens_per_minute
        if allowed is not None:
            asked = min(tokens, allowed)
            if self._tokens.used(now_s) + asked > allowed:
                return Exceeded("tokens_per_minute", self.scope, allowed, self._tokens.wait_s(asked, allowed, now_s))
        allowed = limits.requests_per_day
        if allowed is not None and self._requests_day.used(now_s) >= allowed:
            return Exceeded("requests_per_day", self.scope, allowed, self._requests_day.wait_s(1, allowed, now_s))
        allowed = limits.tokens_per_day
        if allowed is not None:
            asked = min(tokens, allowed)
            if self._tokens_day.used(now_s) + asked > allowed:
                return Exceeded("tokens_per_day", self.scope, allowed, self._tokens_day.wait_s(asked, allowed, now_s))
        return None

    def take(self, tokens: int, now_s: int) -> None:
        """Charges one call and its estimated tokens (at most each limit's whole: a larger call waits for an empty minute)."""
        limits = self.limits
        self.running += 1
        if limits.requests_per_minute is not None:
            self._requests.add(1, now_s)
        if limits.tokens_per_minute is not None:
            self._tokens.add(min(tokens, limits.tokens_per_minute), now_s)
        if limits.requests_per_day is not None:
            self._requests_day.add(1, now_s)
        if limits.tokens_per_day is not None:
            self._tokens_day.add(min(tokens, limits.tokens_per_day), now_s)

    def leave(self, tokens: int, used_tokens: int, now_s: int) -> None:
        """The call ended: its place is free, and its estimate is corrected to what it used."""
        limits = self.limits
        self.running -= 1
        if limits.tokens_per_minute is not None:
            self._tokens.add(used_tokens - min(tokens, limits.tokens_per_minute), now_s)
        if limits.tokens_per_day is not None:
            self._tokens_day.add(used_tokens - min(tokens, limits.tokens_per_day), now_s)

    def requests_left(self, now_s: int) -> Remaining | None:
        """What is left of requests_per_minute."""
        allowed = self.limits.requests_per_minute
        if allowed is None:
            return None
        return Remaining(allowed, max(0, allowed - self._requests.used(now_s)), MINUTE_S)

    def tokens_left(self, now_s: int) -> Remaining | None:
        """What is left of tokens_per_minute."""
        allowed = self.limits.tokens_per_minute
        if allowed is None:
            return None
        return Remaining(allowed, max(0, allowed - self._tokens.used(now_s)), MINUTE_S)
