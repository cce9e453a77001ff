"""A schema is brought forward once, and one that we do not know is left alone."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import msgspec
import pytest

from keeptrusts.control.event_rows import call_row
from keeptrusts.core.audit.statement import Sealed
from keeptrusts.core.ledger.entry import Entry
from keeptrusts.core.ledger.ticket import Ticket
from keeptrusts.store.books import Books
from keeptrusts.store.migrate import Migration, UnknownSchema, migrate, migrations
from keeptrusts.store.sqlite import SqliteDatabase, open_sqlite
from keeptrusts.store.tickets import SqlTickets
from tests.ledger_node import event

pytestmark = pytest.mark.anyio

ONE = Migration(1, "0001_a.sql", "CREATE TABLE a (x INTEGER) STRICT")
TWO = Migration(2, "0002_b.sql", "CREATE TABLE b (x INTEGER) STRICT; CREATE TABLE c (x INTEGER) STRICT")


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    opened = await open_sqlite(tmp_path / "t.db")
    yield opened
    await opened.close()


async def test_each_migration_is_applied_once(database: SqliteDatabase) -> None:
    assert await migrate(database, [ONE]) == ["0001_a.sql"]
    assert await migrate(database, [ONE]) == []
    assert await migrate(database, [ONE, TWO]) == ["0002_b.sql"]


async def test_a_database_of_a_newer_release_is_refused_and_untouched(database: SqliteDatabase) -> None:
    await migrate(database, [ONE, TWO])
    with pytest.raises(UnknownSchema, match=r"0002_b\.sql, which this release does not know"):
        await migrate(database, [ONE])


async def test_a_database_with_another_history_is_refused(database: SqliteDatabase) -> None:
    await migrate(database, [ONE])
    with pytest.raises(UnknownSchema, match=r"another 0001_a\.sql"):
        await migrate(database, [msgspec.structs.replace(ONE, sql="CREATE TABLE z (x INTEGER) STRICT"), TWO])
    async with database.read() as sql:
        assert await sql.fetch("SELECT COUNT(*) FROM schema_migration") == [(1,)]


async def test_a_migration_that_fails_leaves_nothing(database: SqliteDatabase) -> None:
    bad = Migration(2, "0002_bad.sql", "CREATE TABLE b (x INTEGER) STRICT; CREATE TABLE b (x INTEGER) STRICT")
    with pytest.raises(apsw.SQLError):
        await migrate(database, [ONE, bad])
    assert await migrate(database, [ONE, TWO]) == ["0001_a.sql", "0002_b.sql"]


async def test_the_releases_own_migrations_number_from_one_without_a_gap(database: SqliteDatabase) -> None:
    ours = migrations()
    assert [migration.number for migration in ours] == list(range(1, len(ours) + 1))
    assert await migrate(database, ours) == [migration.name for migration in ours]


@pytest.mark.parametrize("table", ["event", "ledger_entry", "audit", "checkpoint", "checkpoint_rows"])
async def test_facts_are_neither_updated_nor_deleted(database: SqliteDatabase, table: str) -> None:
    """L8: the database itself refuses, whoever asks."""
    await migrate(database, migrations())
    async with database.transaction() as sql:
        books = Books(sql)
        await books.events.add_all([call_row(event("evt_1"), "node_1", 1, None)])
        await books.entries.add_all([Entry("wal_1", "settle", 1, 1, "p", None, "n", None, 1)])
        await books.audit.add(1, "admin", "token.create", "tok_1", None, "{}")
        await books.write_new()
        await books.checkpoints.add(Sealed(1, "{}", ""), {"event": b""})
    for change in (f"UPDATE {table} SET org_id = 'x'", f"DELETE FROM {table}"):
        with pytest.raises(apsw.ConstraintError, match="never"):
            async with database.transaction() as sql:
                await sql.execute(change)


async def test_tickets_of_budgets_outlive_the_table_that_policies_need(database: SqliteDatabase) -> None:
    ours = migrations()
    before = next(number for number, migration in enumerate(ours) if migration.name.endswith("_escalations.sql"))
    await migrate(database, ours[:before])
    row = ("tkt_1", "open", "t", "wal_1", "[]", None, "g", "m", "evt_1", "req", "digest", "nod_1", None, 5, 0, 1, 2)
    columns = Ticket.__struct_fields__[: len(row)]
    async with database.transaction() as sql:
        places = ", ".join(f"${number}" for number in range(1, len(row) + 1))
        await sql.execute(
            f"INSERT INTO cost_ticket (org_id, {', '.join(columns)}) VALUES ('default', {places})",
            *row,
        )
    await migrate(database, ours)
    async with database.read() as sql:
        assert await SqlTickets(sql, "default").of_retry("digest") == Ticket(*row)  # type: ignore[arg-type]


async def test_two_that_migrate_the_same_file_at_once_migrate_it_once(tmp_path: Path) -> None:
    both = [await open_sqlite(tmp_path / "same.db") for _ in range(2)]
    try:
        applied = await asyncio.gather(*(migrate(database, migrations()) for database in both))
    finally:
        for database in both:
            await database.close()
    assert sorted(applied, key=len) == [[], [migration.name for migration in migrations()]]
