"""SQL of consumer groups, as the nodes that registered last described them."""

import msgspec
from msgspec import Struct

from keeptrusts.core.limits.limit_set import LimitSet
from keeptrusts.core.link import RegisteredGroup
from keeptrusts.store.contracts import DEFAULT_ORG, Connection

decode = msgspec.json.Decoder(LimitSet).decode


class GroupRow(Struct, frozen=True):
    """A group and the node whose registration described it last."""

    group: RegisteredGroup
    node_id: str
    registered_at_ms: int


class SqlGroups:
    """Consumer groups of one organization."""

    def __init__(self, connection: Connection, org_id: str = DEFAULT_ORG) -> None:
        self._sql = connection
        self._org = org_id

    async def every(self) -> list[GroupRow]:
        """All groups by name."""
        rows = await self._sql.fetch(
            """
            SELECT g.name, g.team_id, g.limits, g.node_id, n.registered_at_ms FROM consumer_group AS g
            JOIN node AS n ON n.org_id = g.org_id AND n.node_id = g.node_id WHERE g.org_id = $1 ORDER BY g.name""",
            self._org,
        )
        return [
            GroupRow(RegisteredGroup(name, team_id, decode(limits)), node_id, registered_at_ms)
            for name, team_id, limits, node_id, registered_at_ms in rows
        ]

    async def team_of(self, name: str) -> str | None:
        """The team that pays for the group's calls."""
        rows = await self._sql.fetch(
            "SELECT team_id FROM consumer_group WHERE org_id = $1 AND name = $2", self._org, name
        )
        return rows[0][0] if rows else None

    async def put_all(self, node_id: str, groups: tuple[RegisteredGroup, ...]) -> None:
        """The groups of a node's registration; each replaces what was known under its name."""
        await self._sql.executemany(
            """
            INSERT INTO consumer_group (org_id, name, node_id, team_id, limits) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (org_id, name) DO UPDATE SET node_id = excluded.node_id, team_id = excluded.team_id,
                limits = excluded.limits""",
            [
                (self._org, group.name, node_id, group.team_id, msgspec.json.encode(group.limits).decode())
                for group in groups
            ],
        )
