"""A call's passage through its limits: all scopes are looked at, then all are charged, and corrected when it ends."""

from keeptrusts.core.calls.request import TextRequest
from keeptrusts.core.limits.meter import Charges, Exceeded, Meter
from keeptrusts.core.refusal import Reason, Refused

BYTES_PER_TOKEN = 4
"""A token of ordinary English is about four bytes; the estimate is corrected once the provider has counted."""


class Permit:
    """What the call has taken from each meter, to be corrected once when it leaves."""

    __slots__ = ("_taken", "_taken_s")

    def __init__(self, taken: list[tuple[Meter, Charges]], taken_s: int) -> None:
        self._taken = taken
        self._taken_s = taken_s

    def leave(self, used_tokens: int | None, now_s: int) -> None:
        """Frees the call's place, and corrects its estimate to the tokens that it used (None: nobody knows)."""
        for meter, charges in self._taken:
            meter.leave(charges, used_tokens, self._taken_s, now_s)

    def step_aside(self) -> None:
        """The call is held: its place among those that run at once is another's meanwhile."""
        for meter, _ in self._taken:
            meter.running -= 1

    def step_back(self) -> None:
        """It goes on, whoever runs now."""
        for meter, _ in self._taken:
            meter.running += 1

    def lines(self, now_s: int) -> bytes:
        """``x-ratelimit-*`` header lines of the tightest limits, under the names that OpenAI's SDKs know."""
        if not self._taken:
            return b""
        requests, tokens = self._taken[0][0].left(now_s)
        for meter, _ in self._taken[1:]:
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


NO_LIMITS = Permit([], 0)


def admit(meters: tuple[Meter, ...], request: TextRequest, default_output_tokens: int, now_s: int) -> Permit:
    """Charges every limit of the call, or none. Raises Refused(RATE_LIMIT_EXCEEDED), naming the limit and its scope."""
    if not meters:
        return NO_LIMITS
    output = request.max_tokens if request.max_tokens is not None else default_output_tokens
    tokens = request.size_bytes // BYTES_PER_TOKEN + output * request.n
    for meter in meters:
        exceeded = meter.peek(tokens, now_s)
        if exceeded is not None:
            raise _refusal(exceeded)
    return Permit([(meter, meter.take(tokens, now_s)) for meter in meters], now_s)


def _refusal(exceeded: Exceeded) -> Refused:
    return Refused(
        Reason.RATE_LIMIT_EXCEEDED,
        f"Rate limit exceeded for {exceeded.scope}: {exceeded.limit} is {exceeded.allowed}. "
        f"Try again in {exceeded.retry_after_s} s.",
        {"limit": exceeded.limit, "scope": exceeded.scope, "allowed": exceeded.allowed},
        retry_after_s=exceeded.retry_after_s,
    )
