"""SQL of the change feed that nodes follow: which key, price or wallet changed, in the order of the commits."""

from keeptrusts.store.contracts import DEFAULT_ORG, Change, Connection
from keeptrusts.store.numbered import NumberedRows

COLUMNS = ("kind", "subject_id", "version", "recall", "except_node_id")

KEPT = 100_000
"""How many changes are kept; a node that is farther behind takes a new snapshot."""


class SqlChanges:
    """See contracts.Changes."""

    def __init__(self, connection: Connection, org_id: str = DEFAULT_ORG) -> None:
        self._sql = connection
        self._org = org_id
        self.newest_added = 0
        self._rows = NumberedRows(connection, org_id, "change", "seq", COLUMNS)
        self._added = False

    async def add(
        self, kind: str, subject_id: str, version: int = 0, recall: bool = False, except_node_id: str | None = None
    ) -> None:
        """See contracts.Changes."""
        self._rows.add((kind, subject_id, version, int(recall), except_node_id))
        self._added = True

    async def write_new(self) -> None:
        """Writes the changes that wait for their numbers."""
        if self._added:
            self._added = False
            await self._rows.write()
            self.newest_added = await self.last_seq()

    async def last_seq(self) -> int:
        """See contracts.Changes."""
        await self.write_new()
        rows = await self._sql.fetch("SELECT COALESCE(MAX(seq), 0) FROM change")
        return int(rows[0][0])

    async def first_seq(self) -> int:
        """The number of the oldest change that is kept, 0 when there is none."""
        rows = await self._sql.fetch("SELECT COALESCE(MIN(seq), 0) FROM change")
        return int(rows[0][0])

    async def after(self, seq: int, limit: int) -> list[Change]:
        """See contracts.Changes."""
        await self.write_new()
        rows = await self._sql.fetch(
            """
            SELECT seq, kind, subject_id, version, recall, except_node_id FROM change
            WHERE seq > $1 AND org_id = $2 ORDER BY seq LIMIT $3""",
            seq,
            self._org,
            limit,
        )
        return [
            Change(number, kind, subject, version, bool(recall), node)
            for number, kind, subject, version, recall, node in rows
        ]

    async def forget_old(self) -> int:
        """Drops all but the newest ``KEPT`` changes and returns how many went."""
        return await self._sql.execute("DELETE FROM change WHERE seq <= (SELECT MAX(seq) FROM change) - $1", KEPT)
