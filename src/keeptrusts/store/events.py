"""SQL of the event ledger: adding rows, listing them page by page, and sums over them."""

from collections.abc import Sequence
from typing import Any

import msgspec

from keeptrusts.clock import NANOS_PER_S
from keeptrusts.core.metering.aggregates import Cell
from keeptrusts.core.metering.dimensions import DIMENSIONS
from keeptrusts.core.metering.event_row import COLUMNS, EventRow, NumberedRow
from keeptrusts.core.metering.rates import GroupRate
from keeptrusts.core.metering.selection import END_OF_TIME_NS, Selection
from keeptrusts.core.metering.totals import SERVED_STATUSES, Totals
from keeptrusts.store.contracts import DEFAULT_ORG, Connection
from keeptrusts.store.numbered import NumberedRows
from keeptrusts.store.selecting import where_of

encode = msgspec.json.Encoder().encode

NAMES = ", ".join(COLUMNS)

INPUT = "(input_tokens + cache_read_tokens + cache_write_tokens + cache_write_1h_tokens)"
TOKENS = f"({INPUT} + output_tokens)"
BILLED_ERROR = "(status = 'upstream_error' AND COALESCE(cost_nanos, 0) > 0)"
QUOTED_STATUSES = ", ".join(f"'{status}'" for status in SERVED_STATUSES)
SERVED = f"(status IN ({QUOTED_STATUSES}) OR {BILLED_ERROR})"
SUMS = f"""
    SUM(CASE WHEN {SERVED} THEN 1 ELSE 0 END),
    SUM(CASE WHEN status = 'blocked' THEN 1 ELSE 0 END),
    SUM(CASE WHEN status = 'refused' THEN 1 ELSE 0 END),
    SUM(CASE WHEN status = 'upstream_error' AND NOT {BILLED_ERROR} THEN 1 ELSE 0 END),
    SUM(CASE WHEN status = 'cached' THEN 1 ELSE 0 END),
    SUM({INPUT}), SUM(cache_read_tokens), SUM(output_tokens), SUM(COALESCE(cost_nanos, 0)), SUM(saved_nanos),
    SUM(unpriced)"""
"""The fields of Totals, in their order."""


class SqlEvents:
    """See contracts.Events."""

    def __init__(self, connection: Connection, org_id: str = DEFAULT_ORG) -> None:
        self._sql = connection
        self._org = org_id
        self._rows = NumberedRows(connection, org_id, "event", "event_no", COLUMNS)

    async def count(self) -> int:
        """How many rows there are, alerts included."""
        rows = await self._sql.fetch("SELECT COUNT(*) FROM event WHERE org_id = $1", self._org)
        return int(rows[0][0])

    async def known(self, event_ids: Sequence[str]) -> set[str]:
        """See contracts.Events."""
        await self.write_new()
        # A subquery that counts is asked once per id, by the key: a planner without statistics reads the table for an IN.
        rows = await self._sql.fetch(
            f"""
            SELECT value FROM {self._sql.listed}
            WHERE (SELECT COUNT(*) FROM event WHERE org_id = $1 AND event_id = value) > 0""",
            self._org,
            encode(event_ids).decode(),
        )
        return {row[0] for row in rows}

    async def add_all(self, rows: Sequence[EventRow]) -> None:
        """See contracts.Events."""
        for row in rows:
            self._rows.add(msgspec.structs.astuple(row))

    async def write_new(self) -> None:
        """Writes the rows that wait for their numbers."""
        await self._rows.write()

    async def page(
        self, selection: Selection, limit: int, before: int | None = None, after: int | None = None
    ) -> list[NumberedRow]:
        """At most ``limit`` rows in the order of recording: newest first, or oldest first when ``after`` is given.

        ``before`` and ``after`` are row numbers that the page stays below or above.
        """
        # Only a window that ends in the past is better found by its time.
        where = where_of(selection, self._org, time_by_index=selection.until_ns != END_OF_TIME_NS)
        order = "DESC"
        if before is not None:
            where.add(f"event_no < {where.bind(before)}")
        if after is not None:
            where.add(f"event_no > {where.bind(after)}")
            order = "ASC"
        rows = await self._sql.fetch(
            f"SELECT event_no, {NAMES} FROM event WHERE {where} ORDER BY event_no {order} LIMIT {where.bind(limit)}",
            *where.args,
        )
        return [NumberedRow(number, _row(columns)) for number, *columns in rows]

    async def sums(self, selection: Selection, by: Sequence[str], interval_s: int | None, limit: int) -> list[Cell]:
        """Sums over the selection, grouped by dimensions and split by an interval, at most ``limit`` groups."""
        where = where_of(selection, self._org)
        columns = [DIMENSIONS[name] for name in by]
        if interval_s is not None:
            columns.append(f"at_ns / {where.bind(interval_s * NANOS_PER_S)}")
        groups = ", ".join(columns)
        rows = await self._sql.fetch(
            f"SELECT {', '.join([*columns, SUMS])} FROM event WHERE {where} "
            f"{f'GROUP BY {groups}' if columns else ''} ORDER BY SUM(COALESCE(cost_nanos, 0)) DESC LIMIT {where.bind(limit)}",
            *where.args,
        )
        return [_cell(row, len(by), interval_s) for row in rows]

    async def rates(self, selection: Selection, recent_since_ns: int) -> list[GroupRate]:
        """Per consumer group: all served calls and tokens, the busiest minute, and what came since ``recent_since_ns``."""
        where = where_of(selection, self._org)
        where.add(SERVED)
        recent = where.bind(recent_since_ns)
        minute = where.bind(60 * NANOS_PER_S)
        rows = await self._sql.fetch(
            f"""
            SELECT consumer_group, SUM(calls), SUM(tokens), MAX(calls), MAX(tokens), SUM(recent_calls), SUM(recent_tokens)
            FROM (
                SELECT consumer_group, COUNT(*) AS calls, SUM({TOKENS}) AS tokens,
                    SUM(CASE WHEN at_ns >= {recent} THEN 1 ELSE 0 END) AS recent_calls,
                    SUM(CASE WHEN at_ns >= {recent} THEN {TOKENS} ELSE 0 END) AS recent_tokens
                FROM event WHERE {where} GROUP BY consumer_group, at_ns / {minute}) AS by_minute
            GROUP BY consumer_group""",
            *where.args,
        )
        return [GroupRate(group, *map(int, numbers)) for group, *numbers in rows]


def _row(columns: list[Any]) -> EventRow:
    row = EventRow(*columns)
    return msgspec.structs.replace(
        row, unpriced=bool(row.unpriced), cache_hit=bool(row.cache_hit), stream=bool(row.stream)
    )


def _cell(row: tuple[Any, ...], dimensions: int, interval_s: int | None) -> Cell:
    start_s = None if interval_s is None else int(row[dimensions]) * interval_s
    sums = row[dimensions + (interval_s is not None) :]
    return Cell(tuple(row[:dimensions]), start_s, Totals(*(int(number or 0) for number in sums)))
