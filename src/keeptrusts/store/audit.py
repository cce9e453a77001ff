"""SQL of the audit trail: who changed what, when, from what to what. Rows are only ever added."""

from msgspec import Struct

from keeptrusts.store.contracts import DEFAULT_ORG, Connection


class Act(Struct, frozen=True):
    """One row of the trail; ``before`` and ``after`` are JSON texts."""

    number: int
    at_ns: int
    actor: str
    action: str
    subject_id: str
    before: str | None
    after: str | None


class SqlAudit:
    """The trail of one organization."""

    def __init__(self, connection: Connection, org_id: str = DEFAULT_ORG) -> None:
        self._sql = connection
        self._org = org_id

    async def add(
        self, at_ns: int, actor: str, action: str, subject_id: str, before: str | None, after: str | None
    ) -> None:
        """One act; ``before`` and ``after`` are JSON texts without secrets."""
        await self._sql.execute(
            """
            INSERT INTO audit (org_id, at_ns, actor, action, subject_id, before, after)
            VALUES ($1, $2, $3, $4, $5, $6, $7)""",
            self._org,
            at_ns,
            actor,
            action,
            subject_id,
            before,
            after,
        )

    async def of_subject(self, subject_id: str) -> list[Act]:
        """Everything that was done to a subject, in order."""
        rows = await self._sql.fetch(
            """
            SELECT audit_no, at_ns, actor, action, subject_id, before, after FROM audit
            WHERE org_id = $1 AND subject_id = $2 ORDER BY audit_no""",
            self._org,
            subject_id,
        )
        return [Act(*row) for row in rows]
