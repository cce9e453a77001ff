"""SQL of the ledger's examination: every table that an invariant speaks of, read in pages by key, changing nothing."""

from keeptrusts.store.contracts import DEFAULT_ORG, Connection
from keeptrusts.store.schema import Difference, differences

NUMBERED = {"event": "event_no", "ledger_entry": "entry_no", "audit": "audit_no"}
"""Tables that are only ever added to, with the number that their rows get in order, from 1, without a gap."""


class SqlInspection:
    """What an examination reads of one organization."""

    def __init__(self, connection: Connection, org_id: str = DEFAULT_ORG) -> None:
        self._sql = connection
        self._org = org_id

    async def altered_schema(self) -> list[Difference]:
        """What of the schema is not as the migrations made it."""
        return await differences(self._sql)

    async def extent(self, table: str) -> tuple[int, int]:
        """The highest number of a numbered table, and how many rows it has."""
        number = NUMBERED[table]
        rows = await self._sql.fetch(
            f"SELECT COALESCE(MAX({number}), 0), COUNT(*) FROM {table} WHERE org_id = $1", self._org
        )
        return int(rows[0][0]), int(rows[0][1])

    async def gaps(self, table: str, limit: int) -> list[tuple[int, int]]:
        """The first gaps in the numbers of a table, each by the last number before it and the first after it."""
        number = NUMBERED[table]
        rows = await self._sql.fetch(
            f"""
            SELECT before, number FROM (
                SELECT {number} AS number, LAG({number}, 1, 0) OVER (ORDER BY {number}) AS before
                FROM {table} WHERE org_id = $1) AS numbers
            WHERE number <> before + 1 ORDER BY number LIMIT $2""",
            self._org,
            limit,
        )
        return [(int(before), int(after)) for before, after in rows]
