"""A ledger store in this process, on either engine, for faults that need thousands of strokes rather than processes."""

from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

from keeptrusts.store.books import SqlStore
from keeptrusts.store.contracts import LedgerStore
from keeptrusts.store.postgres import open_postgres
from tests.soak.fault_proxy import Fault, FaultProxy
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
async def commits_cut(probability: float, seed: int) -> AsyncIterator[tuple[LedgerStore, Callable[[], int]]]:
    """An empty ledger on PostgreSQL behind a proxy: so many COMMITs are delivered whose answer is cut off. The second value
    tells how many were."""
    with ExitStack() as stack:
        async with ledger_database() as url:
            proxy = stack.enter_context(FaultProxy(server().port, seed))
            database = await open_postgres(url.replace(f":{server().port}/", f":{proxy.port}/"))
            proxy.set(Fault(cut_answer=probability, telling=is_commit))
            try:
                yield SqlStore(database), lambda: proxy.cuts
            finally:
                proxy.set(Fault())
                await database.close()
