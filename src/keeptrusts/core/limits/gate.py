"""What a call passes through: all limits that hold for it, of all its scopes, looked at together and charged together.

A gate is made once for the calls that have their scopes in common, as flat rows: this is on every call's way.
"""

from collections.abc import Iterable

from msgspec import Struct

from keeptrusts.core.limits.meter import Meter, Places
from keeptrusts.core.limits.quotas import Quota, divided
from keeptrusts.core.limits.window import BUCKETS, HEAD, TOTAL, Cells, SlidingWindow


class Exceeded(Struct, frozen=True):
    """Which limit refuses, its figure, and how long to wait. ``quota`` None: too many calls at once.

    ``left`` is what the quota still has (a call may ask for more tokens than that).
    """

    scope: str
    limit: str
    allowed: int
    retry_after_s: int
    quota: Quota | None = None
    left: int = 0


Row = tuple[Cells, int, int, int, SlidingWindow, Quota, str]
"""A window's cells, its bucket's seconds, its buckets, what is allowed; and for those who look closer the window itself,
its quota and scope."""


class Permit:
    """A call that was let through, and what is left of the tightest limits after it (the quota, and how much)."""

    __slots__ = ("_gate", "_taken_s", "_tokens", "least_requests", "least_tokens")

    def __init__(
        self,
        gate: "Gate",
        tokens: int,
        taken_s: int,
        least_requests: tuple[int, Quota] | None,
        least_tokens: tuple[int, Quota] | None,
    ) -> None:
        self._gate = gate
        self._tokens = tokens
        self._taken_s = taken_s
        self.least_requests = least_requests
        self.least_tokens = least_tokens

    def leave(self, used_tokens: int | None, now_s: int) -> None:
        """Frees the call's places, and corrects its estimate to the tokens that it used (None: nobody knows)."""
        self._gate.leave(self._tokens, used_tokens, self._taken_s, now_s)

    def step_aside(self) -> None:
        """The call is held: its place among those that run at once is another's meanwhile."""
        self._gate.move(-1)

    def step_back(self) -> None:
        """It goes on, whoever runs now."""
        self._gate.move(1)


class Gate:
    """The limits of some meters, as they are now: when quotas change, another gate is made."""

    __slots__ = ("_places", "_requests", "_tokens", "counts_tokens", "meters", "shown")

    def __init__(self, meters: Iterable[Meter], shown: bool = True, parts: int = 1) -> None:
        """``shown``: whoever is let through, or not, may see what is left. ``parts``: into how many equal ones every limit
        is divided, of which this gate has one."""
        self.meters = tuple(meters)
        self.shown = shown
        quotas = [(meter, divided(meter.quotas, parts)) for meter in self.meters]
        rows = [
            (window.cells, window.bucket_s, window.size, quota.allowed, window, quota, meter.scope)
            for meter, mine in quotas
            for quota in mine.windows
            for window in (meter.window(quota.counts, quota.window_s),)
        ]
        self._requests: tuple[Row, ...] = tuple(row for row in rows if row[5].counts == "requests")
        self._tokens: tuple[Row, ...] = tuple(row for row in rows if row[5].counts == "tokens")
        self._places: tuple[tuple[Places, int, int, str], ...] = tuple(
            (meter.places, meter.own, mine.concurrent, meter.scope)
            for meter, mine in quotas
            if mine.concurrent is not None
        )
        self.counts_tokens = bool(self._tokens)

    def enter(self, tokens: int, now_s: int) -> Permit | Exceeded:
        """Charges one call and its estimated ``tokens`` to every limit, or nothing to any.

        A call larger than a whole token limit counts as the limit: it waits for an empty window.
        """
        for places, _, allowed, scope in self._places:
            if sum(places) >= allowed:  # type: ignore[call-overload]
                return Exceeded(scope, "concurrent_requests", allowed, 1)
        for cells, bucket_s, _, allowed, window, quota, scope in self._requests:
            if now_s // bucket_s > cells[HEAD]:
                window.advance(now_s // bucket_s)
            if cells[TOTAL] >= allowed:
                return Exceeded(scope, quota.name, allowed, window.wait_s(1, allowed, now_s), quota)
        for cells, bucket_s, _, allowed, window, quota, scope in self._tokens:
            if now_s // bucket_s > cells[HEAD]:
                window.advance(now_s // bucket_s)
            used = cells[TOTAL]
            if used + (min(allowed, tokens)) > allowed:
                wait_s = window.wait_s(min(tokens, allowed), allowed, now_s)
                return Exceeded(scope, quota.name, allowed, wait_s, quota, max(0, allowed - used))
        return self.charge(tokens, now_s)

    def charge(self, tokens: int, now_s: int) -> Permit:
        """Charges one call without asking whether it fits. Every window stands at ``now_s`` or later."""
        least_requests = least_tokens = None
        for cells, _, size, allowed, _, quota, _ in self._requests:
            cells[BUCKETS + cells[HEAD] % size] += 1
            cells[TOTAL] = used = cells[TOTAL] + 1
            if least_requests is None or allowed - used < least_requests[0]:
                least_requests = allowed - used, quota
        for cells, _, size, allowed, _, quota, _ in self._tokens:
            amount = min(allowed, tokens)
            cells[BUCKETS + cells[HEAD] % size] += amount
            cells[TOTAL] = used = cells[TOTAL] + amount
            if least_tokens is None or allowed - used < least_tokens[0]:
                least_tokens = allowed - used, quota
        for places, own, _, _ in self._places:
            places[own] += 1
        if not self.shown:
            return Permit(self, tokens, now_s, None, None)
        return Permit(self, tokens, now_s, least_requests, least_tokens)

    def note(self, tokens: int, now_s: int) -> Permit:
        """Charges one call that somebody else let through."""
        for _, _, _, _, window, _, _ in (*self._requests, *self._tokens):
            window.used(now_s)
        return self.charge(tokens, now_s)

    def leave(self, tokens: int, used_tokens: int | None, taken_s: int, now_s: int) -> None:
        """The call that was charged ``tokens`` at ``taken_s`` ended."""
        for places, own, _, _ in self._places:
            places[own] -= 1
        if used_tokens is not None:
            for _, _, _, allowed, window, _, _ in self._tokens:
                window.correct(used_tokens - (min(allowed, tokens)), taken_s, now_s)

    def move(self, by: int) -> None:
        """Changes how many calls run, and nothing else."""
        for places, own, _, _ in self._places:
            places[own] += by
