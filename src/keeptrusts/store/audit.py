"""SQL of the audit trail: who changed what, when, from what to what. Rows are only ever added."""

from collections.abc import Mapping

from msgspec import Struct

from keeptrusts.store.contracts import DEFAULT_ORG, Connection

FILTERS = ("actor", "action", "subject_id")
"""Columns by which acts can be chosen."""


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

    async def latest(
        self, equals: Mapping[str, str], before: int | None, since_ns: int, until_ns: int, limit: int
    ) -> list[Act]:
        """The newest acts first, numbered below ``before`` where given, whose columns (of ``FILTERS``) have these values."""
        args: list[str | int] = [self._org, 2**63 - 1 if before is None else before, since_ns, until_ns, limit]
        where = ""
        for name, value in equals.items():
            assert name in FILTERS
            args.append(value)
            where += f" AND {name} = ${len(args)}"
        rows = await self._sql.fetch(
            f"""
            SELECT audit_no, at_ns, actor, action, subject_id, before, after FROM audit
            WHERE org_id = $1 AND audit_no < $2 AND at_ns >= $3 AND at_ns < $4{where}
            ORDER BY audit_no DESC LIMIT $5""",
            *args,
        )
        return [Act(*row) for row in rows]
