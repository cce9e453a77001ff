"""SQL of the event ledger: adding rows, listing them page by page, and sums over them."""

from collections.abc import Sequence

import msgspec

from keeptrusts.core.metering.event_row import COLUMNS, EventRow
from keeptrusts.store.contracts import DEFAULT_ORG, Connection

KNOWN_CHUNK = 500
NAMES = ", ".join(COLUMNS)
INSERT = (
    f"INSERT INTO event (org_id, {NAMES}) VALUES ($1, {', '.join(f'${place}' for place in range(2, len(COLUMNS) + 2))})"
)


class SqlEvents:
    """See contracts.Events."""

    def __init__(self, connection: Connection, org_id: str = DEFAULT_ORG) -> None:
        self._sql = connection
        self._org = org_id

    async def known(self, event_ids: Sequence[str]) -> set[str]:
        """See contracts.Events."""
        found: set[str] = set()
        for start in range(0, len(event_ids), KNOWN_CHUNK):
            chunk = event_ids[start : start + KNOWN_CHUNK]
            places = ", ".join(f"${place}" for place in range(2, len(chunk) + 2))
            rows = await self._sql.fetch(
                f"SELECT event_id FROM event WHERE org_id = $1 AND event_id IN ({places})", self._org, *chunk
            )
            found.update(row[0] for row in rows)
        return found

    async def add_all(self, rows: Sequence[EventRow]) -> None:
        """See contracts.Events."""
        org = (self._org,)
        await self._sql.executemany(INSERT, [org + msgspec.structs.astuple(row) for row in rows])
