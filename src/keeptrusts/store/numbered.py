"""Rows that are numbered in the order of the commits, so that whoever follows the numbers misses none."""

from collections.abc import Sequence
from typing import Any

from keeptrusts.store.contracts import Connection


class NumberedRows:
    """Gathers a transaction's new rows of one table and writes them when ``write`` is called, at its end.

    Where several writers work at once, who takes numbers holds up all others who want some until the commit. So numbers
    are taken last: the wait is short, and nobody waits for another row while holding up the rest.
    """

    def __init__(
        self, connection: Connection, org_id: str, table: str, number_column: str, columns: Sequence[str]
    ) -> None:
        self._sql = connection
        self._org = org_id
        self._table = table
        self._columns = ("org_id", number_column, *columns)
        self._waiting: list[Sequence[Any]] = []

    def add(self, row: Sequence[Any]) -> None:
        """One more row, in the order of the columns."""
        self._waiting.append(row)

    async def write(self) -> None:
        """Writes what was gathered."""
        if not self._waiting:
            return
        rows, self._waiting = self._waiting, []
        numbers = await self._sql.numbers(self._table, len(rows))
        await self._sql.add_rows(
            self._table, self._columns, [(self._org, number, *row) for number, row in zip(numbers, rows, strict=True)]
        )
