"""The engine: one writer, readers beside it, all or nothing, and a clear sentence when it can't."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest

from keeptrusts.store.contracts import StoreAway
from keeptrusts.store.sqlite import SqliteDatabase, open_sqlite

pytestmark = pytest.mark.anyio


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    opened = await open_sqlite(tmp_path / "t.db")
    async with opened.transaction() as sql:
        await sql.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT) STRICT")
    yield opened
    await opened.close()


async def count(database: SqliteDatabase) -> int:
    async with database.read() as sql:
        return int((await sql.fetch("SELECT COUNT(*) FROM t"))[0][0])


async def test_placeholders_bind_by_number(database: SqliteDatabase) -> None:
    async with database.read() as sql:
        assert await sql.fetch("SELECT $2, $1, $2", "one", "two") == [("two", "one", "two")]


async def test_changed_rows_are_counted(database: SqliteDatabase) -> None:
    async with database.transaction() as sql:
        assert await sql.execute("INSERT INTO t (a, b) VALUES ($1, $2)", 1, "x") == 1
        await sql.executemany("INSERT INTO t (a, b) VALUES ($1, $2)", [(2, "y"), (3, "z")])
        assert await sql.execute("UPDATE t SET b = $1 WHERE a > $2", "w", 1) == 2
        assert await sql.execute("UPDATE t SET b = $1 WHERE a > $2", "w", 9) == 0


async def test_a_reader_sees_what_was_committed_when_it_began(database: SqliteDatabase) -> None:
    async with database.read() as sql:
        assert await sql.fetch("SELECT COUNT(*) FROM t") == [(0,)]
        async with database.transaction() as writer:
            await writer.execute("INSERT INTO t (a) VALUES (1)")
        assert await sql.fetch("SELECT COUNT(*) FROM t") == [(0,)]
    assert await count(database) == 1


async def test_readers_cannot_write(database: SqliteDatabase) -> None:
    with pytest.raises(StoreAway):
        async with database.read() as sql:
            await sql.execute("INSERT INTO t (a) VALUES (1)")


async def test_an_error_rolls_everything_back_and_the_next_writer_goes_on(database: SqliteDatabase) -> None:
    with pytest.raises(apsw.ConstraintError):
        async with database.transaction() as sql:
            await sql.executemany("INSERT INTO t (a) VALUES ($1)", [(1,), (1,)])
    assert await count(database) == 0
    async with database.transaction() as sql:
        await sql.execute("INSERT INTO t (a) VALUES (1)")
    assert await count(database) == 1


async def test_writers_take_turns(database: SqliteDatabase) -> None:
    async def add(number: int) -> None:
        async with database.transaction() as sql:
            rows = await sql.fetch("SELECT COUNT(*) FROM t")
            await sql.execute("INSERT INTO t (a, b) VALUES ($1, $2)", rows[0][0], str(number))

    await asyncio.gather(*(add(number) for number in range(20)))
    assert await count(database) == 20


async def test_a_writer_that_is_cancelled_leaves_nothing_and_blocks_nobody(database: SqliteDatabase) -> None:
    inside = asyncio.Event()

    async def write_and_wait() -> None:
        async with database.transaction() as sql:
            await sql.execute("INSERT INTO t (a) VALUES (1)")
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(write_and_wait())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with database.transaction() as sql:
        await sql.execute("INSERT INTO t (a) VALUES (2)")
    assert await count(database) == 1


async def test_a_writer_that_is_cancelled_while_its_transaction_begins_leaves_none_behind(
    database: SqliteDatabase,
) -> None:
    """The thread may run BEGIN after its caller has gone: the next writer must find the connection clean."""

    async def write() -> None:
        async with database.transaction() as sql:
            await sql.execute("INSERT INTO t (a, b) VALUES (1, 'never')")
            await asyncio.Event().wait()

    for turns in range(12):
        task = asyncio.ensure_future(write())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with database.transaction() as sql:
            assert await sql.fetch("SELECT * FROM t") == []


async def test_a_reader_that_is_cancelled_in_the_middle_of_a_query_is_fit_for_the_next(
    database: SqliteDatabase,
) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT MAX(i) FROM n"

    async def read_for_ever() -> None:
        async with database.read() as sql:
            await sql.fetch(endless)

    for _ in range(5):
        task = asyncio.create_task(read_for_ever())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises((asyncio.CancelledError, StoreAway)):
            await task
    assert await count(database) == 0


async def test_what_was_committed_is_there_after_opening_again(tmp_path: Path) -> None:
    first = await open_sqlite(tmp_path / "again.db")
    async with first.transaction() as sql:
        await sql.execute("CREATE TABLE t (a INTEGER PRIMARY KEY) STRICT")
        await sql.execute("INSERT INTO t (a) VALUES (5)")
    await first.close()
    second = await open_sqlite(tmp_path / "again.db")
    assert await count(second) == 1
    await second.close()


async def test_commits_are_durable_and_memory_is_not_mapped(database: SqliteDatabase) -> None:
    async with database.transaction() as sql:
        assert await sql.fetch("PRAGMA synchronous") == [(2,)]
        assert await sql.fetch("PRAGMA journal_mode") == [("wal",)]
        assert await sql.fetch("PRAGMA mmap_size") == [(0,)]
        assert await sql.fetch("PRAGMA foreign_keys") == [(1,)]


async def test_a_place_where_no_file_can_be_is_store_away(tmp_path: Path) -> None:
    with pytest.raises(StoreAway, match="can't answer"):
        await open_sqlite(tmp_path / "no" / "such" / "directory.db")
