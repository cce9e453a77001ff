"""Every ledger store, opened empty: the suite of promises runs on each."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from keeptrusts.store.books import SqlStore
from keeptrusts.store.contracts import LedgerStore
from keeptrusts.store.memory.store import MemoryStore
from keeptrusts.store.migrate import migrate, migrations
from keeptrusts.store.sqlite import open_sqlite
from tests.store.real_postgres import open_ledger


@asynccontextmanager
async def memory_ledger(directory: Path) -> AsyncIterator[LedgerStore]:
    yield MemoryStore()


@asynccontextmanager
async def sqlite_ledger(directory: Path) -> AsyncIterator[LedgerStore]:
    database = await open_sqlite(directory / "ledger.db")
    try:
        await migrate(database, migrations())
        yield SqlStore(database)
    finally:
        await database.close()


@asynccontextmanager
async def postgres_ledger(directory: Path) -> AsyncIterator[LedgerStore]:
    async with open_ledger() as database:
        yield SqlStore(database)


LEDGERS: dict[str, Callable[[Path], AbstractAsyncContextManager[LedgerStore]]] = {
    "memory": memory_ledger,
    "sqlite": sqlite_ledger,
    "postgres": postgres_ledger,
}
