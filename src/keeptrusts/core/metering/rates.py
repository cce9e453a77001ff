"""How busy consumer groups are, beside what they may do: calls and tokens per minute against their limits."""

from decimal import Decimal
from typing import Any

from msgspec import Struct

from keeptrusts.core.metering.dimensions import UNASSIGNED


class GroupRate(Struct, frozen=True):
    """Served calls of one group: in all, in the busiest calendar minute, and in the last minute."""

    group: str | None
    calls: int
    tokens: int
    peak_calls: int
    peak_tokens: int
    recent_calls: int
    recent_tokens: int


def rate_row(
    rate: GroupRate, requests_per_minute: int | None, tokens_per_minute: int | None, concurrent_requests: int | None
) -> dict[str, Any]:
    """The group's row, with its limits (None: unlimited). Its own ``..._per_minute`` figures are those of the last minute.

    ``utilization`` is the last minute's calls as a share of the limit (0 to 1), None for a group without one.
    """
    share = Decimal(rate.recent_calls) / requests_per_minute if requests_per_minute else None
    return {
        "name": rate.group if rate.group is not None else UNASSIGNED,
        "count": rate.calls,
        "total_tokens": rate.tokens,
        "requests_per_minute": rate.recent_calls,
        "tokens_per_minute": rate.recent_tokens,
        "peak_requests_per_minute": rate.peak_calls,
        "peak_tokens_per_minute": rate.peak_tokens,
        "limit_requests_per_minute": requests_per_minute,
        "limit_tokens_per_minute": tokens_per_minute,
        "limit_concurrent_requests": concurrent_requests,
        "utilization": None if share is None else share.quantize(Decimal("0.0001")),
    }
