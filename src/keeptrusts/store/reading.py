"""Opens a ledger's database beside whoever uses it, to be read and nothing else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import apsw

from keeptrusts.store.books import SqlStore
from keeptrusts.store.contracts import StoreAway
from keeptrusts.store.migrate import migrations, must_be_current
from keeptrusts.store.postgres import open_postgres
from keeptrusts.store.sqlite import open_sqlite_to_read


@asynccontextmanager
async def ledger_at(place: Path | str) -> AsyncIterator[SqlStore]:
    """The store in a SQLite file, or at the URL of a PostgreSQL. Raises StoreAway, UnknownSchema, DatabaseUrlInvalid."""
    if isinstance(place, Path):
        async with ledger_to_read(place) as store:
            yield store
        return
    database = await open_postgres(place)
    try:
        async with database.read() as connection:
            await must_be_current(connection, migrations("postgres"))
        yield SqlStore(database)
    finally:
        await database.close()


@asynccontextmanager
async def ledger_to_read(file: Path) -> AsyncIterator[SqlStore]:
    """The store in a SQLite file. Raises StoreAway when it can't be read, now or in the middle, and UnknownSchema."""
    try:
        database = await open_sqlite_to_read(file)
        try:
            async with database.read() as connection:
                await must_be_current(connection, migrations())
            yield SqlStore(database)
        finally:
            await database.close()
    except (apsw.SQLError, apsw.NotADBError, apsw.CorruptError) as error:
        raise StoreAway(f"it is damaged, or no ledger: {error}") from error
    except UnicodeDecodeError as error:
        raise StoreAway(f"it is damaged: a text in it is none ({error.reason})") from error
