"""SQL of recovery mode: whether the store is in it, what it knows of each node, and whom it waits for."""

from typing import Any

import msgspec

from keeptrusts.core.ledger.recovery import Awaited, NodeMark, Recovery, Said
from keeptrusts.core.link import Registration
from keeptrusts.store.contracts import DEFAULT_ORG, Connection
from keeptrusts.store.meta import SqlMeta

NAME = "recovery"
ENDED = ""

_decode = msgspec.json.Decoder(Recovery).decode
_registration = msgspec.json.Decoder(Registration).decode


class SqlRecovery:
    """See contracts.Recoveries."""

    def __init__(self, connection: Connection, org_id: str = DEFAULT_ORG) -> None:
        self._sql = connection
        self._org = org_id
        self._meta = SqlMeta(connection)

    async def state(self) -> Recovery | None:
        """See contracts.Recoveries."""
        text = await self._meta.get(NAME)
        return _decode(text) if text else None

    async def begin(self, since_ms: int, reason: str) -> bool:
        """See contracts.Recoveries."""
        if await self.state() is not None:
            return False
        await self._meta.put(NAME, msgspec.json.encode(Recovery(since_ms, reason)).decode())
        return True

    async def end(self) -> None:
        """Money may be granted again."""
        await self._meta.put(NAME, ENDED)

    async def standing(self, node_id: str) -> tuple[Recovery | None, NodeMark]:
        """See contracts.Recoveries."""
        rows = await self._sql.fetch(
            """
            SELECT (SELECT value FROM meta WHERE name = $3),
                COALESCE((SELECT grants FROM node_mark WHERE org_id = $1 AND node_id = $2), 0),
                COALESCE((SELECT excused_seq FROM node_mark WHERE org_id = $1 AND node_id = $2), 0)""",
            self._org,
            node_id,
            NAME,
        )
        text, grants, excused_seq = rows[0]
        return (_decode(text) if text else None), NodeMark(grants, excused_seq)

    async def grants(self) -> int:
        """How many grants were ever made."""
        rows = await self._sql.fetch("SELECT COALESCE(SUM(grants), 0) FROM node_mark")
        return int(rows[0][0])

    async def hear(self, node_id: str, recovery: Recovery, said: Said) -> None:
        """A node speaks in a recovery: what it says first is what is waited for."""
        await self._sql.execute(
            """
            INSERT INTO node_mark (org_id, node_id, recovery_ms, said_seq, said_shipped_seq, said_grants)
            VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT (org_id, node_id) DO UPDATE SET recovery_ms = excluded.recovery_ms, said_seq = excluded.said_seq,
                said_shipped_seq = excluded.said_shipped_seq, said_grants = excluded.said_grants, complete = 0
            WHERE node_mark.recovery_ms <> excluded.recovery_ms""",
            self._org,
            node_id,
            recovery.since_ms,
            said.journal_seq,
            said.shipped_seq,
            said.grants,
        )

    async def complete(self, recovery: Recovery) -> None:
        """Marks the nodes whose journals are applied up to what they said; their grants are all known from here on."""
        await self._sql.execute(
            """
            UPDATE node_mark SET complete = 1, grants = CASE WHEN said_grants > grants THEN said_grants ELSE grants END
            WHERE org_id = $1 AND recovery_ms = $2 AND complete = 0 AND said_seq <= COALESCE(
                (SELECT last_seq FROM journal
                 WHERE journal.org_id = node_mark.org_id AND journal.node_id = node_mark.node_id), 0)""",
            self._org,
            recovery.since_ms,
        )

    async def excuse(self, recovery: Recovery) -> None:
        """What the nodes that were heard of have not brought is not waited for any more, now or later."""
        await self._sql.execute(
            """
            UPDATE node_mark SET grants = CASE WHEN said_grants > grants THEN said_grants ELSE grants END,
                excused_seq = CASE WHEN said_shipped_seq > excused_seq THEN said_shipped_seq ELSE excused_seq END
            WHERE org_id = $1 AND recovery_ms = $2""",
            self._org,
            recovery.since_ms,
        )

    async def awaited(self, recovery: Recovery) -> list[Awaited]:
        """The live nodes, by id."""
        rows = await self._sql.fetch(
            """
            SELECT node.node_id, node.registration, node_mark.recovery_ms, node_mark.said_seq, journal.last_seq,
                node_mark.complete
            FROM node
            LEFT JOIN node_mark ON node_mark.org_id = node.org_id AND node_mark.node_id = node.node_id
            LEFT JOIN journal ON journal.org_id = node.org_id AND journal.node_id = node.node_id
            WHERE node.org_id = $1 AND node.state = 'live' ORDER BY node.node_id""",
            self._org,
        )
        return [_awaited(row, recovery) for row in rows]


def _awaited(row: tuple[Any, ...], recovery: Recovery) -> Awaited:
    node_id, registration, recovery_ms, said_seq, last_seq, complete = row
    heard = recovery_ms == recovery.since_ms
    return Awaited(
        node_id,
        _registration(registration).hostname,
        said_seq if heard else None,
        last_seq or 0,
        heard and bool(complete),
    )
