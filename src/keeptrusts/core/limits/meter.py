"""One limited thing (a key, a group) and what it has used: all its limits are looked at before any is charged."""

from msgspec import Struct

from keeptrusts.core.limits.limit_set import LimitSet
from keeptrusts.core.limits.window import SlidingWindow

MINUTE_S = 60
DAY_S = 86_400
DAY_BUCKET_S = 300


Charges = list[tuple[SlidingWindow, int]]
"""What a call took from each token window: limits may change before it ends."""


class Exceeded(Struct, frozen=True):
    """Which limit refuses, its figure, and how long to wait."""

    limit: str
    scope: str
    allowed: int
    retry_after_s: int


class Meter:
    """The counters of one scope (``key tok_...``, ``group marketing``). Limits may change; what was used stays.

    Only the limits that are set are counted: ``_requests`` and ``_tokens`` hold a name, a figure and a window for each.
    """

    __slots__ = ("_concurrent", "_requests", "_tokens", "_windows", "limits", "running", "scope")

    def __init__(self, scope: str, limits: LimitSet) -> None:
        self.scope = scope
        self.running = 0
        self._windows: dict[str, SlidingWindow] = {}
        self.set_limits(limits)

    def set_limits(self, limits: LimitSet) -> None:
        """From now on these limits hold."""
        self.limits = limits
        self._concurrent = limits.concurrent_requests
        self._requests = self._counted(("requests_per_minute", MINUTE_S, 1), ("requests_per_day", DAY_S, DAY_BUCKET_S))
        self._tokens = self._counted(("tokens_per_minute", MINUTE_S, 1), ("tokens_per_day", DAY_S, DAY_BUCKET_S))

    def _counted(self, *kinds: tuple[str, int, int]) -> tuple[tuple[str, int, SlidingWindow], ...]:
        return tuple(
            (name, allowed, self._windows.setdefault(name, SlidingWindow(length_s, bucket_s)))
            for name, length_s, bucket_s in kinds
            if (allowed := getattr(self.limits, name)) is not None
        )

    def peek(self, tokens: int, now_s: int) -> Exceeded | None:
        """The limit that one more call of ``tokens`` (estimated) would break, if any. Charges nothing.

        A call larger than a whole token limit counts as the limit: it waits for an empty window.
        """
        if self._concurrent is not None and self.running >= self._concurrent:
            return Exceeded("concurrent_requests", self.scope, self._concurrent, 1)
        for name, allowed, window in self._requests:
            if window.used(now_s) >= allowed:
                return Exceeded(name, self.scope, allowed, window.wait_s(1, allowed, now_s))
        for name, allowed, window in self._tokens:
            asked = min(allowed, tokens)
            if window.used(now_s) + asked > allowed:
                return Exceeded(name, self.scope, allowed, window.wait_s(asked, allowed, now_s))
        return None

    def take(self, tokens: int, now_s: int) -> Charges:
        """Charges one call and its estimated tokens; returns what ``leave`` needs to correct them."""
        self.running += 1
        for _, _, window in self._requests:
            window.add(1, now_s)
        charges = []
        for _, allowed, window in self._tokens:
            amount = min(allowed, tokens)
            window.add(amount, now_s)
            charges.append((window, amount))
        return charges

    def leave(self, charges: Charges, used_tokens: int | None, taken_s: int, now_s: int) -> None:
        """The call that was charged at ``taken_s`` ended: its place is free, and its estimate is corrected to what it used.

        ``used_tokens`` None: nobody knows, and the estimate stays.
        """
        self.running -= 1
        if used_tokens is not None:
            for window, amount in charges:
                window.correct(used_tokens - amount, taken_s, now_s)

    def left(self, now_s: int) -> tuple[tuple[int, int] | None, tuple[int, int] | None]:
        """The first limit on requests and the first on tokens, each with what is left of it, for ``x-ratelimit-*``."""
        requests = tokens = None
        if self._requests:
            _, allowed, window = self._requests[0]
            used = window.used(now_s)
            requests = allowed, allowed - used if used < allowed else 0
        if self._tokens:
            _, allowed, window = self._tokens[0]
            used = window.used(now_s)
            tokens = allowed, allowed - used if used < allowed else 0
        return requests, tokens
