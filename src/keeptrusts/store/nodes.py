"""SQL of gateway nodes: who registered, with which rules, and the keyed hash of the token that it speaks with."""

import msgspec

from keeptrusts.core.link import Registration
from keeptrusts.store.contracts import DEFAULT_ORG, Connection

decode = msgspec.json.Decoder(Registration).decode


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
