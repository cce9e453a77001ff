"""SQL of the directory of teams: their ids and what people call them."""

from keeptrusts.store.contracts import DEFAULT_ORG, Connection


class SqlDirectory:
    """Teams of one organization."""

    def __init__(self, connection: Connection, org_id: str = DEFAULT_ORG) -> None:
        self._sql = connection
        self._org = org_id

    async def teams(self) -> dict[str, str]:
        """The name of every team, by id."""
        rows = await self._sql.fetch("SELECT team_id, name FROM team WHERE org_id = $1 ORDER BY team_id", self._org)
        return dict(rows)

    async def put(self, team_id: str, name: str, at_ms: int) -> None:
        """Adds the team, or names it anew."""
        await self._sql.execute(
            """
            INSERT INTO team (org_id, team_id, name, created_at_ms) VALUES ($1, $2, $3, $4)
            ON CONFLICT (org_id, team_id) DO UPDATE SET name = excluded.name""",
            self._org,
            team_id,
            name,
            at_ms,
        )
