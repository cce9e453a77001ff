"""A call's passage through its limits, in words that clients know: the refusal, and the headers that say what is left."""

from datetime import UTC, datetime
from functools import lru_cache

from keeptrusts.core.calls.request import TextRequest
from keeptrusts.core.limits.gate import Exceeded, Gate, Permit
from keeptrusts.core.limits.quotas import Quota
from keeptrusts.core.limits.window import bucket_s_of
from keeptrusts.core.refusal import Reason, Refused

BYTES_PER_TOKEN = 4
"""A token of ordinary English is about four bytes; the estimate is corrected once the provider has counted."""

NO_GATE = Gate(())
NO_LIMITS = Permit(NO_GATE, 0, 0, None, None)


def admit(gate: Gate, request: TextRequest, default_output_tokens: int, now_s: int) -> Permit:
    """Charges every limit of the call, or none. Raises Refused(RATE_LIMIT_EXCEEDED), naming the limit and its scope."""
    if gate is NO_GATE:
        return NO_LIMITS
    tokens = estimate(request, default_output_tokens) if gate.counts_tokens else 0
    passed = gate.enter(tokens, now_s)
    if type(passed) is Exceeded:
        raise refusal(passed, gate.shown)
    return passed  # type: ignore[return-value]


def estimate(request: TextRequest, default_output_tokens: int) -> int:
    """The tokens that a call is charged until its provider has counted."""
    output = request.max_tokens if request.max_tokens is not None else default_output_tokens
    return request.size_bytes // BYTES_PER_TOKEN + output * request.n


def refusal(exceeded: Exceeded, shown: bool) -> Refused:
    """Says no, naming the limit and its scope. ``shown``: also what is left of it, of which ``refusals.py`` makes headers."""
    details: dict[str, str | int] = {
        "limit": exceeded.limit,
        "scope": exceeded.scope,
        "allowed": exceeded.allowed,
    }
    quota = exceeded.quota
    if shown and quota is not None:
        details |= {"counts": quota.counts, "remaining": exceeded.left, "window_s": quota.window_s}
    return Refused(
        Reason.RATE_LIMIT_EXCEEDED,
        f"Rate limit exceeded for {exceeded.scope}: {exceeded.limit} is {exceeded.allowed}. "
        f"Try again in {exceeded.retry_after_s} s.",
        details,
        retry_after_s=exceeded.retry_after_s,
    )


def limit_lines(permit: Permit, door: str, now_ns: int) -> bytes:
    """Header lines of the tightest limits, under the names that the door's SDKs know. ``now_ns`` is the time of the day."""
    requests, tokens = permit.least_requests, permit.least_tokens
    if door == "messages":
        return _anthropic_line(requests, now_ns) + _anthropic_line(tokens, now_ns)
    lines = b"" if requests is None else _format(requests[1]) % requests[0]
    return lines if tokens is None else lines + _format(tokens[1]) % tokens[0]


@lru_cache(maxsize=1_024)
def _format(quota: Quota) -> bytes:
    """OpenAI's names. ``reset``: how long until the window is as it was before, if nobody calls."""
    return limit_format(quota.counts, quota.allowed, quota.window_s)


def limit_format(counts: str, allowed: int, window_s: int) -> bytes:
    """Three header lines, with a ``%d`` for what remains."""
    reset = span_text(window_s + bucket_s_of(window_s))
    return (
        f"x-ratelimit-limit-{counts}: {allowed}\r\nx-ratelimit-remaining-{counts}: %d\r\n"
        f"x-ratelimit-reset-{counts}: {reset}\r\n"
    ).encode()


def span_text(seconds: int) -> str:
    """A span as OpenAI's headers spell it: ``1m1s``."""
    hours, rest = divmod(seconds, 3_600)
    minutes, seconds = divmod(rest, 60)
    if hours:
        return f"{hours}h{minutes}m{seconds}s"
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"


def _anthropic_line(least: tuple[int, Quota] | None, now_ns: int) -> bytes:
    if least is None:
        return b""
    left, quota = least
    empty_s = now_ns // 1_000_000_000 + quota.window_s + bucket_s_of(quota.window_s)
    reset = datetime.fromtimestamp(empty_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    name = f"anthropic-ratelimit-{quota.counts}"
    return f"{name}-limit: {quota.allowed}\r\n{name}-remaining: {left}\r\n{name}-reset: {reset}\r\n".encode()
