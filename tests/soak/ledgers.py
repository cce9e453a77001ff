"""A ledger store in this process, on either engine, for faults that need thousands of strokes rather than processes."""

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

from keeptrusts.store.books import SqlStore
from keeptrusts.store.contracts import LedgerStore
from keeptrusts.store.postgres import open_postgres
from tests.soak.fault_proxy import HEALTHY, FaultProxy
from tests.store.ledgers import LEDGERS
from tests.store.real_postgres import ledger_database, server


def is_commit(data: bytes) -> bool:
    """Whether these bytes tell a PostgreSQL to commit."""
    return b"COMMIT\x00" in data


@asynccontextmanager
async def ledger(engine: str, directory: Path) -> AsyncIterator[LedgerStore]:
    """An empty ledger; the directory exists."""
    async with LEDGERS[engine](directory) as store:
        yield store


@asynccontextmanager
async def behind_a_proxy(seed: int) -> AsyncIterator[tuple[LedgerStore, FaultProxy]]:
    """An empty ledger on PostgreSQL, and the proxy through which it is reached."""
    with ExitStack() as stack:
        async with ledger_database() as url:
            proxy = stack.enter_context(FaultProxy(server().port, seed))
            database = await open_postgres(url.replace(f":{server().port}/", f":{proxy.port}/"))
            try:
                yield SqlStore(database), proxy
            finally:
                proxy.set(HEALTHY)
                await database.close()
