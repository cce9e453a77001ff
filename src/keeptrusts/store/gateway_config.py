"""SQL of the configuration that managed gateways go by: every version that there was, the highest in force."""

from msgspec import Struct

from keeptrusts.store.contracts import DEFAULT_ORG, Connection

COLUMNS = "version, text, actor, description, created_at_ms"


class ConfigRow(Struct, frozen=True):
    """One version: the text of the policy file, who put it there, and why."""

    version: int
    text: str
    actor: str
    description: str
    created_at_ms: int


class SqlGatewayConfig:
    """Versions of one organization."""

    def __init__(self, connection: Connection, org_id: str = DEFAULT_ORG) -> None:
        self._sql = connection
        self._org = org_id

    async def last_version(self) -> int:
        """The version in force, 0 when there is none."""
        rows = await self._sql.fetch(
            "SELECT COALESCE(MAX(version), 0) FROM gateway_config WHERE org_id = $1", self._org
        )
        return int(rows[0][0])

    async def find(self, version: int) -> ConfigRow | None:
        """This version."""
        rows = await self._sql.fetch(
            f"SELECT {COLUMNS} FROM gateway_config WHERE org_id = $1 AND version = $2", self._org, version
        )
        return ConfigRow(*rows[0]) if rows else None

    async def before(self, version: int, limit: int) -> list[ConfigRow]:
        """Versions below this one, the newest first, without their texts."""
        told = COLUMNS.replace("text", "''")
        rows = await self._sql.fetch(
            f"SELECT {told} FROM gateway_config WHERE org_id = $1 AND version < $2 ORDER BY version DESC LIMIT $3",
            self._org,
            version,
            limit,
        )
        return [ConfigRow(*row) for row in rows]

    async def add(self, row: ConfigRow) -> None:
        """The next version. Of two writers that add the same one, the second fails."""
        await self._sql.execute(
            f"INSERT INTO gateway_config (org_id, {COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6)",
            self._org,
            row.version,
            row.text,
            row.actor,
            row.description,
            row.created_at_ms,
        )
