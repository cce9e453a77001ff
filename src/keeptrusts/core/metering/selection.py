"""Which events are meant: exact values of dimensions, a time, a type."""

from collections.abc import Mapping

from msgspec import Struct

from keeptrusts.core.metering.event_row import EventType
from keeptrusts.core.money import MAX_NANOS

END_OF_TIME_NS = MAX_NANOS
"""The last instant that a row can carry."""


class Selection(Struct, frozen=True):
    """``equals`` maps filters (``dimensions.FILTERS``) to the values that match, any of them; ``unassigned`` matches rows
    without one. ``since_ns <= at < until_ns``. ``type`` None: calls and alerts."""

    equals: Mapping[str, tuple[str, ...]] = {}
    since_ns: int = 0
    until_ns: int = END_OF_TIME_NS
    type: EventType | None = "call"
