"""What was asked of the events: every word of a query checked, and the whole of it as one value."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from keeptrusts.clock import NANOS_PER_MS, unix_ms
from keeptrusts.control.denial import invalid
from keeptrusts.core.metering.aggregates import QUESTIONS, Interval, Question
from keeptrusts.core.metering.dimensions import FILTERS, GROUP_NAMES, INTERVALS
from keeptrusts.core.metering.event_row import EventType
from keeptrusts.core.metering.instants import BadInstant, instant_of
from keeptrusts.core.metering.rendering import FIELD_NAMES
from keeptrusts.core.metering.selection import END_OF_TIME_NS

TYPES: Mapping[str, EventType | None] = {"call": "call", "budget_alert": "budget_alert", "all": None}
ORDERS = ("desc", "asc")
FORMATS = ("json", "csv")
OTHER = ("team", "type", "since", "until", "limit", "cursor", "order", "format", "fields")
ASKING = ("aggregate", "group_by", "interval")
PARAMETERS: tuple[str, ...] = (*FILTERS, *OTHER, *ASKING)
LIMIT_DEFAULT = 100
LIMIT_MAX = 1_000
VALUE_MAX = 500


class EventQuery(Struct, frozen=True):
    """A checked query. ``equals`` and ``team`` are as written: names are not looked up yet. ``question`` None: a list.

    ``whole``: every page is wanted in one answer, ``limit`` rows at a time.
    """

    equals: dict[str, str]
    team: str | None
    type: EventType | None
    since_ns: int
    until_ns: int
    limit: int
    whole: bool
    cursor: int | None
    newest_first: bool
    csv: bool
    fields: tuple[str, ...] | None
    question: Question | None


def read_query(given: Mapping[str, str], now: datetime) -> EventQuery:
    """The query in these parameters. Raises Denial naming what is wrong and what there is."""
    for name, value in given.items():
        if name not in PARAMETERS:
            raise invalid(f"there is no parameter {name!r}: there are {', '.join(PARAMETERS)}", "unknown_parameter")
        if len(value) > VALUE_MAX and name != "fields":
            raise invalid(f"{name} is over {VALUE_MAX} characters")
    csv = _one_of(given, "format", FORMATS) == "csv"
    return EventQuery(
        equals={name: given[name] for name in FILTERS if name in given},
        team=given.get("team"),
        type=TYPES[_one_of(given, "type", tuple(TYPES))],
        since_ns=_instant(given, "since", 0, now),
        until_ns=_instant(given, "until", END_OF_TIME_NS, now),
        limit=_limit(given, LIMIT_MAX if csv else LIMIT_DEFAULT),
        whole=csv and "limit" not in given,
        cursor=_cursor(given),
        newest_first=_one_of(given, "order", ORDERS) == "desc",
        csv=csv,
        fields=_fields(given),
        question=_question(given),
    )


def _one_of(given: Mapping[str, str], name: str, known: tuple[str, ...]) -> str:
    value = given.get(name, known[0])
    if value not in known:
        raise invalid(f"{name} is one of {', '.join(known)}, not {value!r}")
    return value


def _instant(given: Mapping[str, str], name: str, default_ns: int, now: datetime) -> int:
    if name not in given:
        return default_ns
    try:
        ms = unix_ms(instant_of(given[name], now))
    except BadInstant as error:
        raise invalid(f"{name}: {error}") from None
    return min(max(0, ms) * NANOS_PER_MS, END_OF_TIME_NS)


def _limit(given: Mapping[str, str], default: int) -> int:
    text = given.get("limit", str(default))
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 10 and 1 <= int(text) <= LIMIT_MAX):
        raise invalid(f"limit is a whole number from 1 to {LIMIT_MAX}, not {text!r}")
    return int(text)


def _cursor(given: Mapping[str, str]) -> int | None:
    text = given.get("cursor")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise invalid("cursor is a next_cursor of an earlier answer, unchanged")
    return int(text)


def _fields(given: Mapping[str, str]) -> tuple[str, ...] | None:
    if "fields" not in given:
        return None
    names = tuple(name.strip() for name in given["fields"].split(","))
    unknown = [name for name in names if name not in FIELD_NAMES]
    if unknown:
        raise invalid(f"no field {', '.join(map(repr, unknown))}: there are {', '.join(FIELD_NAMES)}", "unknown_field")
    return names


def _question(given: Mapping[str, str]) -> Question | None:
    if "aggregate" in given:
        if "group_by" in given or "interval" in given:
            raise invalid("aggregate is a question of its own: leave group_by and interval out")
        question = QUESTIONS.get(given["aggregate"])
        if question is None:
            known = ", ".join(QUESTIONS)
            raise invalid(f"there is no aggregate {given['aggregate']!r}: there are {known}", "unknown_aggregate")
        return question
    if "group_by" not in given and "interval" not in given:
        return None
    names = tuple(name.strip() for name in given["group_by"].split(",")) if "group_by" in given else ()
    unknown = [name for name in names if name not in GROUP_NAMES]
    if unknown:
        known = ", ".join(GROUP_NAMES)
        raise invalid(f"group_by has no dimension {', '.join(map(repr, unknown))}: there are {known}")
    interval: Interval | None = None
    if "interval" in given:
        interval = "hour" if _one_of(given, "interval", tuple(INTERVALS)) == "hour" else "day"
    by = tuple(dict.fromkeys(GROUP_NAMES[name] for name in names))
    return Question(by=by, interval=interval, rows="groups")
