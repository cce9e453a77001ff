"""PostgreSQL's own promises: who may write, what errors mean, numbers without gaps, months, and nothing of a password."""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg
import pytest

from keeptrusts.control.event_rows import call_row
from keeptrusts.core.ledger.entry import Entry
from keeptrusts.store.books import Books, SqlStore
from keeptrusts.store.contracts import OutcomeUnknown, StoreAway, StoreConflict
from keeptrusts.store.event_months import make_months
from keeptrusts.store.migrate import migrate, migrations
from keeptrusts.store.postgres import DatabaseUrlInvalid, PostgresDatabase, open_postgres, told_without_password
from tests.ledger_node import event
from tests.store.cutting_proxy import cutting_proxy
from tests.store.real_postgres import command, empty_database, ledger_database, open_ledger, server, standby

pytestmark = pytest.mark.anyio

MAY = datetime(2026, 5, 20, tzinfo=UTC)


@pytest.fixture
async def database() -> AsyncIterator[PostgresDatabase]:
    async with open_ledger() as opened:
        yield opened


async def test_two_processes_that_start_at_once_migrate_once() -> None:
    ours = migrations("postgres")
    async with empty_database() as url:
        both = [await open_postgres(url) for _ in range(2)]
        try:
            applied = await asyncio.gather(*(migrate(database, ours) for database in both))
            await asyncio.gather(*(make_months(database) for database in both))
        finally:
            for database in both:
                await database.close()
    assert sorted(applied, key=len) == [[], [migration.name for migration in ours]]


async def test_what_is_undone_leaves_no_gap_in_the_change_feed(database: PostgresDatabase) -> None:
    store = SqlStore(database)

    async def undone() -> None:
        async with store.write() as books:
            await books.changes.add("key", "tok_lost")
            raise LookupError

    for name in ("tok_1", "tok_2"):
        async with store.write() as books:
            await books.changes.add("key", name)
        with pytest.raises(LookupError):
            await undone()
    async with store.read() as books:
        assert [(change.seq, change.subject_id) for change in await books.changes.after(0, 9)] == [
            (1, "tok_1"),
            (2, "tok_2"),
        ]


async def test_changes_are_numbered_in_the_order_of_their_commits(database: PostgresDatabase) -> None:
    """A reader that goes on from the newest number it saw can't pass by one that commits late."""
    store = SqlStore(database)
    has_number, may_commit = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        async with store.write() as books:
            await books.changes.add("key", "slow")
            await books.write_new()
            has_number.set()
            await may_commit.wait()

    async def fast() -> int:
        async with store.write() as books:
            await books.changes.add("key", "fast")
        return books.changes.newest_added

    first = asyncio.create_task(slow())
    await has_number.wait()
    second = asyncio.create_task(fast())
    async with store.read() as books:
        assert await books.changes.last_seq() == 0
    may_commit.set()
    await first
    assert await second == 2


async def test_events_go_to_their_month_and_any_other_time_to_the_rest(database: PostgresDatabase) -> None:
    assert await make_months(database, MAY) == ["event_2026_05", "event_2026_06", "event_2026_07", "event_2026_08"]
    assert await make_months(database, MAY) == []
    at_ns = int(MAY.timestamp()) * 10**9
    async with database.transaction() as sql:
        rows = [call_row(event("evt_1", at_ns=at_ns), "n", 1, None), call_row(event("evt_2", at_ns=1), "n", 2, None)]
        books = Books(sql)
        await books.events.add_all(rows)
        await books.write_new()
    async with database.read() as sql:
        found = await sql.fetch("SELECT event_id, CAST(tableoid AS REGCLASS)::text, event_no FROM event ORDER BY 1")
        assert await Books(sql).events.known(["evt_1", "evt_2", "evt_3"]) == {"evt_1", "evt_2"}
    assert found == [("evt_1", "event_2026_05", 1), ("evt_2", "event_other", 2)]


async def test_a_month_that_has_rows_in_the_rest_already_gets_no_partition(
    database: PostgresDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    async with SqlStore(database).write() as books:
        await books.events.add_all([call_row(event("evt_1", at_ns=int(MAY.timestamp()) * 10**9), "n", 1, None)])
    with caplog.at_level(logging.WARNING):
        assert await make_months(database, MAY) == ["event_2026_06", "event_2026_07", "event_2026_08"]
    assert "Events of 2026-05 stay in the default partition" in caplog.text


@pytest.mark.parametrize("table", ["event", "ledger_entry", "audit"])
async def test_facts_are_neither_updated_nor_deleted(database: PostgresDatabase, table: str) -> None:
    """L8: the database itself refuses, whoever asks, in the table and in a partition of it."""
    await make_months(database, MAY)
    async with SqlStore(database).write() as books:
        at_ns = int(MAY.timestamp()) * 10**9
        await books.events.add_all([call_row(event("evt_1", at_ns=at_ns), "node_1", 1, None)])
        await books.entries.add_all([Entry("wal_1", "settle", 1, 1, "p", None, "n", None, 1)])
        await books.audit.add(1, "admin", "token.create", "tok_1", None, "{}")
    tables = [table, "event_2026_05"] if table == "event" else [table]
    for name in tables:
        for change in (f"UPDATE {name} SET org_id = 'x'", f"DELETE FROM {name}"):
            with pytest.raises(asyncpg.PostgresError, match="never"):
                async with database.transaction() as sql:
                    await sql.execute(change)
    with pytest.raises(asyncpg.PostgresError, match="never"):
        async with database.transaction() as sql:
            await sql.execute(f"TRUNCATE {table}")


async def test_a_server_set_read_only_can_be_asked_and_grants_nothing() -> None:
    async with ledger_database() as url:
        name = url.rpartition("/")[2]
        await command(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        database = await open_postgres(url)
        try:
            with pytest.raises(StoreAway, match="money is decided on the primary alone"):
                async with database.transaction() as sql:
                    await sql.execute("INSERT INTO meta (name, value) VALUES ('a', 'b')")
            async with database.read() as sql:
                assert await sql.fetch("SELECT 1") == [(1,)]
        finally:
            await database.close()


async def test_a_standby_is_refused_and_passed_by_where_the_primary_is_named_too() -> None:
    async with ledger_database() as url:
        with standby() as copy:
            name = url.rpartition("/")[2]
            with pytest.raises(StoreAway, match="money is decided on the primary alone"):
                await open_postgres(copy.url(name))
            both = url.replace(f":{server().port}/", f":{copy.port},127.0.0.1:{server().port}/")
            database = await open_postgres(both)
            try:
                async with database.transaction() as sql:
                    assert await sql.fetch("SELECT pg_is_in_recovery()") == [(False,)]
            finally:
                await database.close()


async def test_two_that_wait_for_each_other_end_in_a_conflict_for_one(database: PostgresDatabase) -> None:
    async with database.transaction() as sql:
        await sql.executemany("INSERT INTO meta (name, value) VALUES ($1, '')", [("a",), ("b",)])
    met = asyncio.Barrier(2)

    async def take(first: str, second: str) -> None:
        async with database.transaction() as sql:
            await sql.execute("UPDATE meta SET value = 'x' WHERE name = $1", first)
            await met.wait()
            await sql.execute("UPDATE meta SET value = 'x' WHERE name = $1", second)

    ended = await asyncio.gather(take("a", "b"), take("b", "a"), return_exceptions=True)
    assert sorted(type(end) for end in ended if end is not None) == [StoreConflict]


async def test_a_connection_that_is_shut_down_is_an_outage_and_the_next_one_works(database: PostgresDatabase) -> None:
    async def shut_down() -> None:
        async with database.transaction() as sql:
            pid = (await sql.fetch("SELECT pg_backend_pid()"))[0][0]
            await command(f"SELECT pg_terminate_backend({pid})")
            await sql.fetch("SELECT 1")

    with pytest.raises(StoreAway):
        await shut_down()
    async with database.read() as sql:
        assert await sql.fetch("SELECT 1") == [(1,)]


async def test_a_cancelled_transaction_leaves_nothing_and_its_connection_is_fit_for_the_next(
    database: PostgresDatabase,
) -> None:
    begun = asyncio.Event()

    async def work() -> None:
        async with database.transaction() as sql:
            await sql.execute("INSERT INTO meta (name, value) VALUES ('a', 'b')")
            begun.set()
            await sql.fetch("SELECT pg_sleep(60)")

    task = asyncio.create_task(work())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with database.transaction() as sql:
        assert await sql.fetch("SELECT name FROM meta") == []


@pytest.mark.parametrize(("fate", "rows"), [("lost_before", []), ("lost_after", [("a",)])])
async def test_a_connection_lost_at_the_commit_is_told_as_unknown(fate: str, rows: list[tuple[str]]) -> None:
    fates = iter(["through"] * 0 + [fate])
    async with ledger_database() as url, cutting_proxy(server().port, lambda: next(fates)) as proxy:  # type: ignore[arg-type]
        shaky = await open_postgres(url.replace(f":{server().port}/", f":{proxy.port}/"))
        direct = await open_postgres(url)
        try:
            with pytest.raises(OutcomeUnknown, match="unknown"):
                async with shaky.transaction() as sql:
                    await sql.execute("INSERT INTO meta (name, value) VALUES ('a', 'b')")
            async with direct.read() as sql:
                assert await sql.fetch("SELECT name FROM meta") == rows
        finally:
            await shaky.close()
            await direct.close()


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:hush@h/d",
        "postgresql://u:hu#sh@h/d",
        "postgresql://u:hu/sh@h/d",
        "postgresql://u:hu?sh@h/d",
        "postgresql://u:hush@h:port/d",
        "postgresql://u:hush@h:99999999/d",
    ],
)
async def test_a_url_that_cannot_be_used_is_refused_without_its_password(url: str) -> None:
    with pytest.raises((DatabaseUrlInvalid, StoreAway)) as refused:
        await open_postgres(url)
    assert "hu" not in str(refused.value)
    assert refused.value.__cause__ is None


async def test_a_wrong_password_is_told_without_it() -> None:
    url = server().url("postgres").replace("secret", "wr0ng")
    with pytest.raises(StoreAway, match="password authentication failed") as refused:
        await open_postgres(url)
    assert "wr0ng" not in str(refused.value)


def test_where_the_ledger_is_can_be_shown() -> None:
    told = told_without_password("postgresql://u:p%2Fw@a:1,b:2/ledger?sslmode=verify-full&password=hush")
    assert told == "PostgreSQL at a:1,b:2, database ledger"
