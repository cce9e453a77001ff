"""SQL of journals: how far each node's records are applied, and those that could not be."""

from keeptrusts.store.contracts import DEFAULT_ORG, Connection, Unapplied


class SqlJournals:
    """See contracts.Journals."""

    def __init__(self, connection: Connection, org_id: str = DEFAULT_ORG) -> None:
        self._sql = connection
        self._org = org_id

    async def position(self, node_id: str) -> tuple[int, bytes] | None:
        """See contracts.Journals. A journal that never came gets a row at 0 first, because only a row can be locked: of two
        first batches at once, the second must see what the first did."""
        found = await self._position(node_id)
        if found is None and self._sql.for_update:
            await self._sql.execute(
                """
                INSERT INTO journal (org_id, node_id, last_seq, chain) VALUES ($1, $2, 0, '')
                ON CONFLICT (org_id, node_id) DO NOTHING""",
                self._org,
                node_id,
            )
            found = await self._position(node_id)
        return (found[0], bytes.fromhex(found[1])) if found is not None and found[0] else None

    async def _position(self, node_id: str) -> tuple[int, str] | None:
        rows = await self._sql.fetch(
            f"SELECT last_seq, chain FROM journal WHERE org_id = $1 AND node_id = $2{self._sql.for_update}",
            self._org,
            node_id,
        )
        return (rows[0][0], rows[0][1]) if rows else None

    async def advance(self, node_id: str, last_seq: int, chain: bytes) -> None:
        """See contracts.Journals."""
        await self._sql.execute(
            """
            INSERT INTO journal (org_id, node_id, last_seq, chain) VALUES ($1, $2, $3, $4)
            ON CONFLICT (org_id, node_id) DO UPDATE SET last_seq = excluded.last_seq, chain = excluded.chain""",
            self._org,
            node_id,
            last_seq,
            chain.hex(),
        )

    async def end(self, node_id: str) -> None:
        """See contracts.Journals."""
        await self._sql.execute(
            "UPDATE node SET state = 'ended' WHERE org_id = $1 AND node_id = $2 AND state = 'live'", self._org, node_id
        )

    async def retired(self, node_id: str) -> bool:
        """See contracts.Journals."""
        # Grants of one node must not wait for each other here, only for whoever retires it.
        shared = " FOR SHARE" if self._sql.for_update else ""
        rows = await self._sql.fetch(
            f"SELECT state FROM node WHERE org_id = $1 AND node_id = $2{shared}", self._org, node_id
        )
        return bool(rows) and rows[0][0] == "retired"

    async def retire(self, node_id: str) -> None:
        """See contracts.Journals."""
        await self._sql.execute(
            "UPDATE node SET state = 'retired' WHERE org_id = $1 AND node_id = $2", self._org, node_id
        )

    async def quarantine(self, node_id: str, seq: int, record: bytes, reason: str, at_ms: int) -> None:
        """See contracts.Journals."""
        await self._sql.execute(
            """
            INSERT INTO quarantine (org_id, node_id, journal_seq, record, reason, at_ms)
            VALUES ($1, $2, $3, $4, $5, $6)""",
            self._org,
            node_id,
            seq,
            record,
            reason,
            at_ms,
        )

    async def quarantined(self, node_id: str) -> list[Unapplied]:
        """See contracts.Journals."""
        rows = await self._sql.fetch(
            """
            SELECT journal_seq, record, reason FROM quarantine WHERE org_id = $1 AND node_id = $2
            ORDER BY journal_seq""",
            self._org,
            node_id,
        )
        return [Unapplied(*row) for row in rows]
