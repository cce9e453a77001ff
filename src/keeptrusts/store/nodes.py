"""SQL of gateway nodes: who registered, with which rules, and the keyed hash of the token that it speaks with."""

from typing import Any

import msgspec
from msgspec import Struct

from keeptrusts.core.link import Registration
from keeptrusts.store.contracts import DEFAULT_ORG, Connection

decode = msgspec.json.Decoder(Registration).decode


class NodeRow(Struct, frozen=True):
    """A node, how far its journal is applied, and what it holds: open leases and what is left in them, and what of closed
    ones is in suspense, in nano-USD. ``state``: live, ended or retired."""

    node_id: str
    registration: Registration
    registered_at_ms: int
    state: str
    journal_seq: int
    open_leases: int
    leased_nanos: int
    suspense_nanos: int


ROWS = """
    SELECT n.node_id, n.registration, n.registered_at_ms, n.state, COALESCE(j.last_seq, 0),
        (SELECT COUNT(*) FROM lease l WHERE l.org_id = n.org_id AND l.node_id = n.node_id AND l.closed = 0),
        (SELECT COALESCE(SUM(l.granted_nanos - l.settled_nanos - l.returned_nanos), 0) FROM lease l
            WHERE l.org_id = n.org_id AND l.node_id = n.node_id AND l.closed = 0),
        (SELECT COALESCE(SUM(l.suspended_nanos - l.resolved_nanos), 0) FROM lease l
            WHERE l.org_id = n.org_id AND l.node_id = n.node_id AND l.suspended_nanos > l.resolved_nanos)
    FROM node n LEFT JOIN journal j ON j.org_id = n.org_id AND j.node_id = n.node_id
    WHERE n.org_id = $1"""


class SqlNodes:
    """Nodes of one organization."""

    def __init__(self, connection: Connection, org_id: str = DEFAULT_ORG) -> None:
        self._sql = connection
        self._org = org_id

    async def find(self, node_id: str) -> Registration | None:
        """What the node said of itself when it registered."""
        rows = await self._sql.fetch(
            "SELECT registration FROM node WHERE org_id = $1 AND node_id = $2", self._org, node_id
        )
        return decode(rows[0][0]) if rows else None

    async def row(self, node_id: str) -> NodeRow | None:
        """The node with what it holds."""
        rows = await self._sql.fetch(f"{ROWS} AND n.node_id = $2", self._org, node_id)
        return _row(rows[0]) if rows else None

    async def page(self, ended: bool, before_id: str | None, limit: int) -> list[NodeRow]:
        """Nodes, the newest first, with an id below ``before_id`` where given; those that ended only if asked for."""
        some = "" if ended else " AND n.state <> 'ended'"
        beyond = "" if before_id is None else " AND n.node_id < $3"
        more = () if before_id is None else (before_id,)
        rows = await self._sql.fetch(f"{ROWS}{some}{beyond} ORDER BY n.node_id DESC LIMIT $2", self._org, limit, *more)
        return [_row(row) for row in rows]

    async def latest(self) -> Registration | None:
        """The registration that came last."""
        rows = await self._sql.fetch(
            "SELECT registration FROM node WHERE org_id = $1 ORDER BY registered_at_ms DESC, node_id DESC LIMIT 1",
            self._org,
        )
        return decode(rows[0][0]) if rows else None

    async def by_digest(self, digest: str) -> str | None:
        """The node whose token's keyed hash this is."""
        rows = await self._sql.fetch(
            "SELECT node_id FROM node WHERE org_id = $1 AND token_digest = $2", self._org, digest
        )
        return rows[0][0] if rows else None

    async def add(self, registration: Registration, token_digest: str, now_ms: int) -> None:
        """A node that nobody has heard of."""
        await self._sql.execute(
            """
            INSERT INTO node (org_id, node_id, token_digest, registration, registered_at_ms)
            VALUES ($1, $2, $3, $4, $5)""",
            self._org,
            registration.node_id,
            token_digest,
            msgspec.json.encode(registration).decode(),
            now_ms,
        )

    async def describe(self, registration: Registration) -> None:
        """What a known node says of itself takes the place of what was known."""
        await self._sql.execute(
            "UPDATE node SET registration = $3 WHERE org_id = $1 AND node_id = $2",
            self._org,
            registration.node_id,
            msgspec.json.encode(registration).decode(),
        )

    async def living(self) -> int:
        """How many are not known to have ended."""
        rows = await self._sql.fetch("SELECT COUNT(*) FROM node WHERE org_id = $1 AND state = 'live'", self._org)
        return int(rows[0][0])

    async def set_token(self, node_id: str, token_digest: str) -> None:
        """A fresh token for a known node; the old one is no use from then on."""
        await self._sql.execute(
            "UPDATE node SET token_digest = $3 WHERE org_id = $1 AND node_id = $2", self._org, node_id, token_digest
        )


def _row(row: tuple[Any, ...]) -> NodeRow:
    node_id, registration, registered_at_ms, state, *sums = row
    seq, leases, leased, suspense = map(int, sums)
    return NodeRow(node_id, decode(registration), registered_at_ms, state, seq, leases, leased, suspense)
