"""What one scope may use: so many requests or tokens in a window, and so many calls at once."""

from typing import Literal

from msgspec import Struct

from keeptrusts.core.limits.limit_set import LimitSet

MINUTE_S = 60
DAY_S = 86_400
SPANS = {1: "second", MINUTE_S: "minute", 3_600: "hour", DAY_S: "day"}

Counted = Literal["requests", "tokens"]


class Quota(Struct, frozen=True, cache_hash=True):
    """At most ``allowed`` of what it counts in any ``window_s`` seconds."""

    counts: Counted
    allowed: int
    window_s: int

    @property
    def name(self) -> str:
        """``requests_per_minute``, ``tokens_per_90_s``: what a refusal calls it."""
        return f"{self.counts}_per_{SPANS.get(self.window_s) or f'{self.window_s}_s'}"


class Quotas(Struct, frozen=True):
    """All that holds for one scope. ``concurrent`` None: any number of calls at once."""

    windows: tuple[Quota, ...] = ()
    concurrent: int | None = None

    def __bool__(self) -> bool:
        return bool(self.windows) or self.concurrent is not None


UNLIMITED_QUOTAS = Quotas()


def quotas_of(limits: LimitSet) -> Quotas:
    """The limits that people set by name, as quotas."""
    named: tuple[tuple[Counted, int | None, int], ...] = (
        ("requests", limits.requests_per_minute, MINUTE_S),
        ("requests", limits.requests_per_day, DAY_S),
        ("tokens", limits.tokens_per_minute, MINUTE_S),
        ("tokens", limits.tokens_per_day, DAY_S),
    )
    windows = tuple(Quota(counts, allowed, window_s) for counts, allowed, window_s in named if allowed is not None)
    return Quotas(windows, limits.concurrent_requests)


def both(one: Quotas, other: Quotas) -> Quotas:
    """What holds where both do: of two quotas for the same window, the tighter one."""
    windows = {(q.counts, q.window_s): q for q in one.windows}
    for quota in other.windows:
        mine = windows.get((quota.counts, quota.window_s))
        if mine is None or quota.allowed < mine.allowed:
            windows[quota.counts, quota.window_s] = quota
    concurrent = [c for c in (one.concurrent, other.concurrent) if c is not None]
    return Quotas(tuple(windows.values()), min(concurrent, default=None))


def divided(quotas: Quotas, by: int) -> Quotas:
    """One part of ``by`` equal ones, each at least 1."""
    if by == 1:
        return quotas
    windows = tuple(Quota(q.counts, max(1, q.allowed // by), q.window_s) for q in quotas.windows)
    return Quotas(windows, None if quotas.concurrent is None else max(1, quotas.concurrent // by))
