"""SQLite through APSW: one writer connection in one thread, read-only connections in threads of their own beside it."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import apsw

from keeptrusts.store.contracts import StoreAway

READERS = 3
BUSY_TIMEOUT_MS = 5_000
WRITER_WAIT_S = 10.0
READ_TIMEOUT_S = 30.0

AWAY = (
    apsw.BusyError,
    apsw.LockedError,
    apsw.FullError,
    apsw.IOError,
    apsw.CantOpenError,
    apsw.ReadOnlyError,
    apsw.InterruptError,
)
"""Conditions that may pass: the caller should try again later."""

P = ParamSpec("P")
T = TypeVar("T")


@lru_cache(maxsize=1024)
def numbered(sql: str) -> str:
    """``$1`` as SQLite binds it by number, so that a tuple of arguments serves, in any order and repeated."""
    return re.sub(r"\$(\d+)", r"?\1", sql)


class Lane:
    """A connection and the only thread that uses it: what is run in it runs in order, one at a time."""

    for_update = ""  # the one writer has nobody to keep out
    listed = "json_each($2)"

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self.connection: apsw.Connection

    async def open(self, path: Path, flags: int, pragmas: Sequence[str]) -> None:
        """Opens the connection in the lane's thread."""

        def connect() -> None:
            self.connection = apsw.Connection(str(path), flags=flags)
            self.connection.set_busy_timeout(BUSY_TIMEOUT_MS)
            for pragma in pragmas:
                self.connection.execute(f"PRAGMA {pragma}")

        await self.run(connect)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs it in the lane's thread. Raises StoreAway for conditions that may pass.

        Cancelling the caller does not stop what has begun: it only stops waiting for it.
        """
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: function(*args, **kwargs))
        except AWAY as error:
            raise StoreAway(f"the ledger's database can't answer now: {error}") from error

    async def close(self) -> None:
        """Closes the connection and ends the thread."""
        await self.run(self.connection.close)
        self._thread.shutdown(wait=False)

    async def fetch(self, sql: str, *args: Any) -> list[tuple[Any, ...]]:
        """See Connection."""
        return await self.run(lambda: self.connection.execute(numbered(sql), args).fetchall())

    async def fetch_each(self, sql: str, rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
        """See Connection."""
        if not rows:
            return []
        return await self.run(lambda: self.connection.executemany(numbered(sql), rows).fetchall())

    async def execute(self, sql: str, *args: Any) -> int:
        """See Connection."""

        def change() -> int:
            self.connection.execute(numbered(sql), args)
            return self.connection.changes()

        return await self.run(change)

    async def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """See Connection."""
        await self.run(self.connection.executemany, numbered(sql), rows)

    async def add_rows(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """See Connection."""
        places = ", ".join("?" * len(columns))
        await self.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})", rows)

    async def numbers(self, table: str, count: int) -> Sequence[int | None]:
        """See Connection. SQLite numbers rows itself, and has one writer."""
        return [None] * count


class SqliteDatabase:
    """One database file. ``open_sqlite`` makes it; nothing else opens the file."""

    alone = ""

    def __init__(self, writer: Lane, readers: Sequence[Lane]) -> None:
        self._writer = writer
        self._readers = readers
        self._idle: asyncio.LifoQueue[Lane] = asyncio.LifoQueue()
        for reader in readers:
            self._idle.put_nowait(reader)
        self._writing = asyncio.Lock()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Lane]:
        """See Database. Writers take turns; one that waits longer than ``WRITER_WAIT_S`` gets StoreAway."""
        try:
            async with asyncio.timeout(WRITER_WAIT_S):
                await self._writing.acquire()
        except TimeoutError:
            raise StoreAway(f"the ledger's writer was busy for {WRITER_WAIT_S:g} s") from None
        try:
            try:
                # Inside, too: whoever is cancelled here may leave a transaction that begins behind its back.
                await self._writer.run(self._writer.connection.execute, "BEGIN IMMEDIATE")
                yield self._writer
                await asyncio.shield(self._writer.run(self._writer.connection.execute, "COMMIT"))
            finally:
                await asyncio.shield(self._writer.run(_leave, self._writer.connection))
        finally:
            self._writing.release()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Lane]:
        """See Database. A reading that takes longer than ``READ_TIMEOUT_S`` is interrupted with StoreAway."""
        lane = await self._idle.get()
        watch = asyncio.get_running_loop().call_later(READ_TIMEOUT_S, lane.connection.interrupt)
        try:
            await lane.run(lane.connection.execute, "BEGIN")
            yield lane
        except asyncio.CancelledError:
            lane.connection.interrupt()
            raise
        finally:
            watch.cancel()
            await asyncio.shield(lane.run(_leave, lane.connection))
            self._idle.put_nowait(lane)

    async def close(self) -> None:
        """Closes every connection; the write-ahead log is folded into the file."""
        for lane in (*self._readers, self._writer):
            await lane.close()


def _leave(connection: apsw.Connection) -> None:
    """Ends whatever transaction is still open, so that the next one starts clean."""
    if connection.in_transaction:
        connection.execute("ROLLBACK")


async def open_sqlite(path: Path) -> SqliteDatabase:
    """Opens or makes the database file. Raises StoreAway when it can't be opened."""
    writer = Lane("ledger-writer")
    await writer.open(
        path,
        apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE,
        ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "mmap_size = 0", "trusted_schema = OFF"),
    )
    readers = [Lane(f"ledger-reader-{number}") for number in range(READERS)]
    for reader in readers:
        await reader.open(path, apsw.SQLITE_OPEN_READONLY, ("query_only = ON", "mmap_size = 0"))
    return SqliteDatabase(writer, readers)


async def open_sqlite_to_read(path: Path) -> SqliteDatabase:
    """Opens a database file beside whoever writes it, for reading alone. Raises StoreAway when it can't be opened."""
    lanes = [Lane(f"ledger-reader-{number}") for number in range(2)]
    for lane in lanes:
        await lane.open(path, apsw.SQLITE_OPEN_READONLY, ("query_only = ON", "mmap_size = 0"))
    return SqliteDatabase(lanes[0], lanes[1:])
