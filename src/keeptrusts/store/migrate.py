"""Brings a database to the schema of this release: numbered files, each applied once, remembered with its checksum."""

import re
from collections.abc import Sequence
from hashlib import sha256
from importlib.resources import files

from msgspec import Struct

from keeptrusts.store.contracts import Connection, Database

NAME = re.compile(r"(\d{4})_\w+\.sql")


class UnknownSchema(Exception):
    """The database was made by another release, or its history is not ours. Nothing was changed."""


class Migration(Struct, frozen=True):
    """One numbered file of SQL."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text."""
        return sha256(self.sql.encode()).hexdigest()


def migrations(engine: str = "sqlite") -> list[Migration]:
    """The files that came with this release, in order."""
    found = []
    for file in files("keeptrusts.store").joinpath("migrations", engine).iterdir():
        match = NAME.fullmatch(file.name)
        if match:
            found.append(Migration(int(match[1]), file.name, file.read_text(encoding="utf-8")))
    return sorted(found, key=lambda migration: migration.number)


async def migrate(database: Database, known: Sequence[Migration]) -> list[str]:
    """Applies what is missing, in one transaction, and returns the names applied. Raises UnknownSchema.

    Of two processes that start at once the second waits for the first, and then finds nothing missing.
    """
    async with database.transaction() as connection:
        if database.alone:
            await connection.fetch(database.alone)
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migration (number INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL)"
        )
        missing = known[await _applied(connection, known) :]
        for migration in missing:
            await connection.execute(migration.sql)
            await connection.execute(
                "INSERT INTO schema_migration (number, name, checksum) VALUES ($1, $2, $3)",
                migration.number,
                migration.name,
                migration.checksum,
            )
    return [migration.name for migration in missing]


async def _applied(connection: Connection, known: Sequence[Migration]) -> int:
    rows = await connection.fetch("SELECT number, name, checksum FROM schema_migration ORDER BY number")
    for place, (number, name, checksum) in enumerate(rows):
        if place >= len(known):
            raise UnknownSchema(f"the database has migration {name}, which this release does not know: run a newer one")
        ours = known[place]
        if (number, checksum) != (ours.number, ours.checksum):
            raise UnknownSchema(f"the database was made with another {name} than this release's {ours.name}")
    return len(rows)


async def must_be_current(connection: Connection, known: Sequence[Migration]) -> None:
    """Raises UnknownSchema unless the database has exactly these migrations; changes nothing."""
    applied = await _applied(connection, known)
    if applied < len(known):
        raise UnknownSchema(f"the database lacks {known[applied].name}: start this release's API on it once")
