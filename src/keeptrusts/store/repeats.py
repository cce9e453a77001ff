"""SQL of requests with an Idempotency-Key: what each was answered, so that asking again changes nothing."""

from keeptrusts.store.contracts import DEFAULT_ORG, Connection


class SqlRepeats:
    """Answered requests of one organization, by who asked and the digest of the key."""

    def __init__(self, connection: Connection, org_id: str = DEFAULT_ORG) -> None:
        self._sql = connection
        self._org = org_id

    async def find(self, actor: str, key_digest: str) -> tuple[str, str] | None:
        """The digest of the request that was answered under this key, and the answer."""
        rows = await self._sql.fetch(
            """
            SELECT request_digest, answer FROM idempotency
            WHERE org_id = $1 AND actor = $2 AND key_digest = $3""",
            self._org,
            actor,
            key_digest,
        )
        return (rows[0][0], rows[0][1]) if rows else None

    async def add(self, actor: str, key_digest: str, request_digest: str, answer: str, at_ms: int) -> None:
        """Remembers an answer."""
        await self._sql.execute(
            """
            INSERT INTO idempotency (org_id, actor, key_digest, request_digest, answer, at_ms)
            VALUES ($1, $2, $3, $4, $5, $6)""",
            self._org,
            actor,
            key_digest,
            request_digest,
            answer,
            at_ms,
        )

    async def forget_before(self, at_ms: int) -> None:
        """Drops answers that nobody comes back for."""
        await self._sql.execute("DELETE FROM idempotency WHERE org_id = $1 AND at_ms < $2", self._org, at_ms)
