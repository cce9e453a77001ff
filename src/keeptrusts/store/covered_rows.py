"""SQL of the rows that checkpoints cover, read in the order of their numbers."""

from typing import Any

from keeptrusts.core.audit.rows import CoveredTable
from keeptrusts.core.audit.spans import Span
from keeptrusts.store.contracts import DEFAULT_ORG, Connection


class SqlCoveredRows:
    """The rows of one organization."""

    def __init__(self, connection: Connection, org_id: str = DEFAULT_ORG) -> None:
        self._sql = connection
        self._org = org_id

    async def page(self, table: CoveredTable, span: Span, limit: int) -> list[tuple[Any, ...]]:
        """Number and columns of the first ``limit`` rows whose numbers are in the span."""
        return await self._sql.fetch(
            f"SELECT {', '.join((table.number, *table.columns))} {_in_span(table)} ORDER BY {table.number} LIMIT $4",
            self._org,
            *span,
            limit,
        )

    async def numbers(self, table: CoveredTable, span: Span, limit: int) -> list[int]:
        """The first ``limit`` numbers in the span that have a row."""
        rows = await self._sql.fetch(
            f"SELECT {table.number} {_in_span(table)} ORDER BY {table.number} LIMIT $4", self._org, *span, limit
        )
        return [int(row[0]) for row in rows]

    async def count(self, table: CoveredTable, span: Span) -> int:
        """How many rows have their number in the span."""
        rows = await self._sql.fetch(f"SELECT COUNT(*) {_in_span(table)}", self._org, *span)
        return int(rows[0][0])

    async def number_of_event(self, event_id: str) -> int | None:
        """The number of the event with this id."""
        rows = await self._sql.fetch(
            "SELECT event_no FROM event WHERE org_id = $1 AND event_id = $2 LIMIT 1", self._org, event_id
        )
        return int(rows[0][0]) if rows else None

    async def strangers(self, table: CoveredTable, limit: int) -> list[int]:
        """Numbers of rows that belong to another organization; there is only one so far."""
        rows = await self._sql.fetch(
            f"SELECT {table.number} FROM {table.name} WHERE org_id <> $1 ORDER BY {table.number} LIMIT $2",
            self._org,
            limit,
        )
        return [int(row[0]) for row in rows]


def _in_span(table: CoveredTable) -> str:
    return f"FROM {table.name} WHERE org_id = $1 AND {table.number} >= $2 AND {table.number} <= $3"
