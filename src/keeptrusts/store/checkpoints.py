"""SQL of checkpoints: their sealed statements, and the contents of the rows that each covers. Rows are only ever added."""

from collections.abc import Mapping

from keeptrusts.core.audit.statement import Sealed
from keeptrusts.store.contracts import DEFAULT_ORG, Connection


class SqlCheckpoints:
    """The chain of one organization."""

    def __init__(self, connection: Connection, org_id: str = DEFAULT_ORG) -> None:
        self._sql = connection
        self._org = org_id

    async def latest(self) -> Sealed | None:
        """The newest, None when there is none yet."""
        found = await self.before(None, 1)
        return found[0] if found else None

    async def find(self, number: int) -> Sealed | None:
        """The one with this number."""
        found = await self.after(number - 1, 1)
        return found[0] if found and found[0].number == number else None

    async def before(self, number: int | None, limit: int) -> list[Sealed]:
        """The newest first, numbered below ``number`` where given."""
        rows = await self._sql.fetch(
            """
            SELECT checkpoint_no, statement, signature FROM checkpoint
            WHERE org_id = $1 AND checkpoint_no < $2 ORDER BY checkpoint_no DESC LIMIT $3""",
            self._org,
            2**63 - 1 if number is None else number,
            limit,
        )
        return [Sealed(*row) for row in rows]

    async def after(self, number: int, limit: int) -> list[Sealed]:
        """The next ones after ``number``, in order."""
        rows = await self._sql.fetch(
            """
            SELECT checkpoint_no, statement, signature FROM checkpoint
            WHERE org_id = $1 AND checkpoint_no > $2 ORDER BY checkpoint_no LIMIT $3""",
            self._org,
            number,
            limit,
        )
        return [Sealed(*row) for row in rows]

    async def add(self, sealed: Sealed, contents: Mapping[str, bytes]) -> bool:
        """Adds a checkpoint and its rows' contents, by table; False, and no change, when another has its number already."""
        added = await self._sql.execute(
            """
            INSERT INTO checkpoint (org_id, checkpoint_no, statement, signature) VALUES ($1, $2, $3, $4)
            ON CONFLICT (org_id, checkpoint_no) DO NOTHING""",
            self._org,
            sealed.number,
            sealed.text,
            sealed.signature,
        )
        if added:
            await self._sql.executemany(
                "INSERT INTO checkpoint_rows (org_id, checkpoint_no, table_name, contents) VALUES ($1, $2, $3, $4)",
                [(self._org, sealed.number, table, packed) for table, packed in contents.items()],
            )
        return bool(added)

    async def contents(self, number: int) -> dict[str, bytes]:
        """What a checkpoint keeps of its rows, by table."""
        rows = await self._sql.fetch(
            "SELECT table_name, contents FROM checkpoint_rows WHERE org_id = $1 AND checkpoint_no = $2",
            self._org,
            number,
        )
        return {table: bytes(packed) for table, packed in rows}

    async def numbers(self, after: int, limit: int) -> list[int]:
        """The numbers of the next ones after ``after``."""
        return await self._numbers("checkpoint", after, limit)

    async def numbers_with_contents(self, after: int, limit: int) -> list[int]:
        """Checkpoints for which contents are kept, whether their statement is there or not."""
        return await self._numbers("checkpoint_rows", after, limit)

    async def _numbers(self, table: str, after: int, limit: int) -> list[int]:
        rows = await self._sql.fetch(
            f"""
            SELECT DISTINCT checkpoint_no FROM {table}
            WHERE org_id = $1 AND checkpoint_no > $2 ORDER BY checkpoint_no LIMIT $3""",
            self._org,
            after,
            limit,
        )
        return [int(row[0]) for row in rows]
