"""``since`` and ``until`` of a query, as people write them, to Unix nanoseconds."""

from typing import Annotated

from fastapi import Query

from keeptrusts.api.errors import bad_request
from keeptrusts.clock import NANOS_PER_MS, unix_ms
from keeptrusts.control.context import Control
from keeptrusts.core.metering.instants import FORMS, BadInstant, instant_of
from keeptrusts.core.metering.selection import END_OF_TIME_NS

Instant = Annotated[str | None, Query(max_length=100, description=f"{FORMS}.")]


def instant_ns(control: Control, name: str, text: str | None, default_ns: int) -> int:
    """The instant that ``text`` means (``30d``, ``2026-04-01``, RFC 3339); ``default_ns`` without one.

    Raises ApiError 400, naming the parameter.
    """
    if text is None:
        return default_ns
    try:
        return min(max(0, unix_ms(instant_of(text, control.tools.now()))) * NANOS_PER_MS, END_OF_TIME_NS)
    except BadInstant as error:
        raise bad_request(f"{name}: {error}") from None
