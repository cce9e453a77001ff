"""The limits that people set on a key, a group or a target: how many calls, tokens and calls at once."""

from msgspec import Struct


class LimitSet(Struct, frozen=True):
    """None means unlimited. Minutes and days are sliding windows, not calendar ones."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent_requests: int | None = None
    requests_per_day: int | None = None
    tokens_per_day: int | None = None


UNLIMITED = LimitSet()
