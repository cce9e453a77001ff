"""How often a target may be tried again: a bucket that every call fills a little, so that retries can't multiply an outage."""

BURST = 10.0
"""Retries that a target which was called little may have at once."""


class RetryBudget:
    """One target's. ``share`` is how many retries each call earns."""

    __slots__ = ("_calls_seen", "_tokens", "share", "taken")

    def __init__(self, share: float) -> None:
        self.share = share
        self._tokens = BURST
        self._calls_seen = 0
        self.taken = 0

    def take(self, attempts: int) -> bool:
        """Whether one more retry may be made; if so, it is counted. ``attempts`` is how many were made at the target in all:
        what retries add to it earns nothing."""
        calls = attempts - self.taken
        self._tokens = min(BURST, self._tokens + self.share * (calls - self._calls_seen))
        self._calls_seen = calls
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        self.taken += 1
        return True


def delay_s(failures: int, base_s: float, cap_s: float, draw: float) -> float:
    """How long to wait before another try: full jitter, from 0 up to the base doubled with each failure. ``draw`` is in [0, 1).

    After "Exponential Backoff and Jitter" of the AWS Architecture Blog.
    """
    return draw * min(cap_s, base_s * 2.0 ** min(failures - 1, 32))
