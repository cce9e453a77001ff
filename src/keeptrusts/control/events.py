"""Reading the event ledger: lists page by page, and the catalogue's questions."""

from typing import Any

from msgspec import Struct

from keeptrusts.clock import NANOS_PER_S
from keeptrusts.control.context import Control
from keeptrusts.control.event_query import EventQuery
from keeptrusts.control.teams import team_ids_called, team_names
from keeptrusts.core.chargeback.tiers import tier_of
from keeptrusts.core.metering.aggregates import Question, in_order, row_of
from keeptrusts.core.metering.dimensions import DIMENSIONS, INTERVALS
from keeptrusts.core.metering.event_row import NumberedRow
from keeptrusts.core.metering.rates import rate_row
from keeptrusts.core.metering.rendering import Names
from keeptrusts.core.metering.selection import Selection
from keeptrusts.store.books import Books

GROUPS_MAX = 10_000
"""Rows that one answer may have at most."""


class EventPage(Struct, frozen=True):
    """Rows of a list and the names to tell them with; ``next_cursor`` None: there is no more."""

    rows: list[NumberedRow]
    names: Names
    next_cursor: str | None


async def list_events(control: Control, query: EventQuery) -> EventPage:
    """A page of events in the order of recording."""
    async with control.store.read() as books:
        selection = await _selection(books, query)
        if query.newest_first:
            found = await books.events.page(selection, query.limit + 1, before=query.cursor)
        else:
            found = await books.events.page(selection, query.limit + 1, after=query.cursor or 0)
        rows = found[: query.limit]
        teams = await team_names(books, {n.row.team_id for n in rows if n.row.team_id is not None})
        keys = await books.tokens.names({n.row.key_id for n in rows if n.row.key_id is not None})
    more = len(found) > query.limit
    return EventPage(rows, Names(teams, keys), str(rows[-1].number) if more else None)


async def ask(control: Control, query: EventQuery, question: Question) -> dict[str, Any]:
    """The answer to a question of the catalogue, in its shape."""
    async with control.store.read() as books:
        selection = await _selection(books, query)
        if question.rates:
            return {question.rows or "rows": await _rates(control, books, selection)}
        interval_s = INTERVALS[question.interval] if question.interval else None
        cells = await books.events.sums(selection, question.by, interval_s, GROUPS_MAX)
        ids = (
            {value for cell in cells for value in cell.values if value is not None}
            if "team_id" in question.by
            else set()
        )
        names = await team_names(books, ids)
    rows = []
    for cell in in_order(question, cells):
        row = row_of(question, cell, names)
        if question.tier:
            tier = tier_of(cell.totals.cost_nanos)
            row |= {"tier": tier.name, "rate_percent": tier.rate_percent}
        rows.append(row)
    if question.rows is None:
        asked = {name: value for name, value in query.equals.items() if name in DIMENSIONS}
        return asked | {**rows[0], "currency": "USD"}
    return {question.rows: rows}


async def _rates(control: Control, books: Books, selection: Selection) -> list[dict[str, Any]]:
    recent_since_ns = control.tools.clock.unix_ns() - 60 * NANOS_PER_S
    limits = {row.group.name: row.group.limits for row in await books.groups.every()}
    rows = []
    for rate in await books.events.rates(selection, recent_since_ns):
        limit = limits.get(rate.group or "")
        bounds = (
            (limit.requests_per_minute, limit.tokens_per_minute, limit.concurrent_requests) if limit else (None,) * 3
        )
        rows.append(rate_row(rate, *bounds))
    return sorted(rows, key=lambda row: (-row["count"], row["name"]))


async def _selection(books: Books, query: EventQuery) -> Selection:
    """The query with names looked up: a team's name stands for its id, a key's name or hint for its ids."""
    equals: dict[str, tuple[str, ...]] = {name: (value,) for name, value in query.equals.items()}
    if "gateway_key" in query.equals:
        asked = query.equals["gateway_key"]
        equals["gateway_key"] = (asked, *await books.tokens.ids_called(asked))
    if query.team is not None:
        asked_teams = await team_ids_called(books, query.team)
        wanted = set(asked_teams) & set(equals["team_id"]) if "team_id" in equals else set(asked_teams)
        equals["team_id"] = tuple(sorted(wanted))
    return Selection(equals, query.since_ns, query.until_ns, query.type)
