"""A call's passage through its limits: all scopes are looked at, then all are charged, and corrected when it ends."""

from keeptrusts.core.calls.chat import ChatRequest
from keeptrusts.core.limits.meter import Exceeded, Meter
from keeptrusts.core.refusal import Reason, Refused

BYTES_PER_TOKEN = 4
"""A token of ordinary English is about four bytes; the estimate is corrected once the provider has counted."""


class Permit:
    """What the call has taken from each meter, to be corrected once when it leaves."""

    __slots__ = ("_meters", "_tokens")

    def __init__(self, meters: tuple[Meter, ...], tokens: int) -> None:
        self._meters = meters
        self._tokens = tokens

    def leave(self, used_tokens: int, now_s: int) -> None:
        """Frees the call's place, and corrects its estimate to the tokens that it used."""
        for meter in self._meters:
            meter.leave(self._tokens, used_tokens, now_s)

    def lines(self, now_s: int) -> bytes:
        """``x-ratelimit-*`` header lines of the tightest limits, under the names that OpenAI's SDKs know."""
        if not self._meters:
            return b""
        requests, tokens = self._meters[0].left(now_s)
        for meter in self._meters[1:]:
            more_requests, more_tokens = meter.left(now_s)
            requests, tokens = tighter(requests, more_requests), tighter(tokens, more_tokens)
        lines = b"" if requests is None else REQUEST_LINES % requests
        return lines if tokens is None else lines + TOKEN_LINES % tokens


REQUEST_LINES = b"x-ratelimit-limit-requests: %d\r\nx-ratelimit-remaining-requests: %d\r\n"
TOKEN_LINES = b"x-ratelimit-limit-tokens: %d\r\nx-ratelimit-remaining-tokens: %d\r\n"


def tighter(one: tuple[int, int] | None, other: tuple[int, int] | None) -> tuple[int, int] | None:
    """Of two limits, as (limit, remaining), the one with less remaining."""
    if one is None or (other is not None and other[1] < one[1]):
        return other
    return one


NO_LIMITS = Permit((), 0)


def admit(meters: tuple[Meter, ...], request: ChatRequest, default_output_tokens: int, now_s: int) -> Permit:
    """Charges every limit of the call, or none. Raises Refused(RATE_LIMIT_EXCEEDED), naming the limit and its scope."""
    if not meters:
        return NO_LIMITS
    output = request.max_tokens if request.max_tokens is not None else default_output_tokens
    tokens = request.size_bytes // BYTES_PER_TOKEN + output * request.n
    for meter in meters:
        exceeded = meter.peek(tokens, now_s)
        if exceeded is not None:
            raise _refusal(exceeded)
    for meter in meters:
        meter.take(tokens, now_s)
    return Permit(meters, tokens)


def _refusal(exceeded: Exceeded) -> Refused:
    return Refused(
        Reason.RATE_LIMIT_EXCEEDED,
        f"Rate limit exceeded for {exceeded.scope}: {exceeded.limit} is {exceeded.allowed}. "
        f"Try again in {exceeded.retry_after_s} s.",
        {"limit": exceeded.limit, "scope": exceeded.scope, "allowed": exceeded.allowed},
        retry_after_s=exceeded.retry_after_s,
    )
