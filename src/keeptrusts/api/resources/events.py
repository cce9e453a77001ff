"""``/v1/events``: the ledger of calls, as a list, as CSV, and as sums."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
from fastapi import Request
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response, StreamingResponse

from keeptrusts.api.access import TheControl
from keeptrusts.api.errors import bad_request
from keeptrusts.api.exact_json import answer
from keeptrusts.api.shapes import Usd
from keeptrusts.control import events
from keeptrusts.control.context import Control
from keeptrusts.control.event_query import FORMATS, ORDERS, PARAMETERS, TYPES, EventQuery, read_query
from keeptrusts.control.explaining import explain_call
from keeptrusts.core.metering.aggregates import QUESTIONS
from keeptrusts.core.metering.csv_text import DEFAULT_FIELDS, csv_lines, csv_text
from keeptrusts.core.metering.dimensions import GROUP_NAMES, INTERVALS
from keeptrusts.core.metering.instants import FORMS
from keeptrusts.core.metering.rendering import FIELD_NAMES, chosen, told

CSV_TYPE = "text/csv; charset=utf-8; header=present"

WORDS: dict[str, str] = {
    "team": "A team's name or id.",
    "gateway_key": "A key's id, name or hint.",
    "type": f"One of {', '.join(TYPES)}; call when left out.",
    "since": f"From when: {FORMS}.",
    "until": "Until when, not included; written as since.",
    "limit": "Rows in one answer; a CSV without it has all of them.",
    "cursor": "The next_cursor of the answer before.",
    "order": f"Of recording: {' or '.join(ORDERS)}.",
    "format": " or ".join(FORMATS),
    "fields": f"Field names with commas: {', '.join(FIELD_NAMES)}.",
    "aggregate": f"A question of the catalogue: {', '.join(QUESTIONS)}.",
    "group_by": f"Sums by these, with commas: {', '.join(GROUP_NAMES)}.",
    "interval": f"Sums split by {' or '.join(INTERVALS)}.",
}

DOCUMENTED = {
    "parameters": [
        {
            "name": name,
            "in": "query",
            "required": False,
            "schema": {"type": "string"},
            "description": WORDS.get(name, f"Only events of this {name}; `unassigned`: only those without one."),
        }
        for name in PARAMETERS
    ]
}
"""The parameters as OpenAPI lists them."""


class Usage(BaseModel):
    """Tokens as the OpenAI dialect counts them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Event(BaseModel):
    """A call. ``cost`` (also ``cost_usd``) is null, and the tokens 0, when nothing was sent. Not every field is listed here."""

    model_config = ConfigDict(extra="allow")

    id: str
    type: str
    timestamp: str
    status: str
    reason: str | None
    gateway_key: str | None
    consumer_group: str | None
    team: str | None
    team_id: str | None
    user_id: str | None
    provider: str | None
    model: str | None
    tokens_input: int
    tokens_output: int
    usage: Usage
    cost: Usd | None
    cost_usd: Usd | None
    latency_ms: int
    cache_hit: bool
    policy_actions: list[str]
    attempts: list[dict[str, Any]]
    request_id: str


class EventPage(BaseModel):
    """A list: the newest recording first. Questions (``aggregate``, ``group_by``) answer in shapes of their own."""

    model_config = ConfigDict(extra="allow")

    events: list[Event]
    next_cursor: str | None


class AttemptExplained(BaseModel):
    """One attempt: why there, what was held where, what came, and the arithmetic of its cost where its price is known."""

    model_config = ConfigDict(extra="allow")

    number: int
    target: str
    model: str
    chosen: str | None
    outcome: str
    reason: str | None
    wallets: list[str]
    hold: Usd
    cost: Usd
    price_version: str | None


class Explanation(BaseModel):
    """``story`` has a sentence for each step; ``sums`` say whether the attempts add up to the call's cost."""

    event: Event
    story: list[str]
    attempts: list[AttemptExplained]
    sums: dict[str, Any]


async def get_event(control: TheControl, event_id: str) -> Response:
    """One call, by its event id or its request id, and why it went as it did."""
    return answer(await explain_call(control, event_id))


async def list_events(request: Request, control: TheControl) -> Response:
    """Events that match every given filter, or sums over them."""
    given = dict(request.query_params)
    if len(given) != len(request.query_params.multi_items()):
        raise bad_request("each parameter may be given once")
    query = read_query(given, control.tools.now())
    if query.question is not None:
        found = await events.ask(control, query, query.question)
        return _sums_csv(found, query.question.rows) if query.csv else answer(found)
    page = await events.list_events(control, query)
    if query.csv and query.whole:
        return StreamingResponse(_pages_csv(control, query, page), media_type=CSV_TYPE)
    if query.csv:
        fields = query.fields or DEFAULT_FIELDS
        return _csv(csv_text(fields, _cells(page, fields)), page.next_cursor)
    if query.fields is None:
        rows = [told(numbered.row, page.names) for numbered in page.rows]
    else:
        rows = [chosen(numbered.row, page.names, query.fields) for numbered in page.rows]
    return answer({"events": rows, "next_cursor": page.next_cursor})


async def _pages_csv(control: Control, query: EventQuery, page: events.EventPage) -> AsyncIterator[str]:
    """The whole list, a page at a time, so that no export is held in memory."""
    fields = query.fields or DEFAULT_FIELDS
    yield csv_text(fields, _cells(page, fields))
    while page.next_cursor is not None:
        query = msgspec.structs.replace(query, cursor=int(page.next_cursor))
        page = await events.list_events(control, query)
        yield csv_lines(fields, _cells(page, fields))


def _cells(page: events.EventPage, fields: Sequence[str]) -> list[dict[str, Any]]:
    return [chosen(numbered.row, page.names, fields) for numbered in page.rows]


def _sums_csv(found: dict[str, Any], rows: str | None) -> Response:
    lines = [found] if rows is None else found[rows]
    return _csv(csv_text(list(lines[0]) if lines else [], lines), None)


def _csv(text: str, next_cursor: str | None) -> Response:
    headers = {} if next_cursor is None else {"x-next-cursor": next_cursor}
    return Response(text, media_type=CSV_TYPE, headers=headers)
