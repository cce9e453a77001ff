"""SQL of the few named values that the store remembers about itself."""

from keeptrusts.store.contracts import Connection


class SqlMeta:
    """Names and texts."""

    def __init__(self, connection: Connection) -> None:
        self._sql = connection

    async def get(self, name: str) -> str | None:
        """The value under ``name``."""
        rows = await self._sql.fetch("SELECT value FROM meta WHERE name = $1", name)
        return rows[0][0] if rows else None

    async def put(self, name: str, value: str) -> None:
        """Sets the value under ``name``."""
        await self._sql.execute(
            "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            name,
            value,
        )

    async def claim(self, name: str, first: str) -> str:
        """The value under ``name``, ``first`` when there was none, kept from other writers until the commit."""
        await self._sql.execute(
            "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING", name, first
        )
        rows = await self._sql.fetch(f"SELECT value FROM meta WHERE name = $1{self._sql.for_update}", name)
        value: str = rows[0][0]
        return value
