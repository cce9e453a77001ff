"""Checkpoints on PostgreSQL: transactions that commit out of order, several processes, and a superuser with SQL."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from keeptrusts.control.checkpoints import make_checkpoint
from keeptrusts.control.context import Control
from keeptrusts.control.inspecting import inspect
from keeptrusts.core.audit.findings import Report
from keeptrusts.core.audit.statement import Calls, read_statement
from keeptrusts.core.ledger.entry import Entry
from keeptrusts.store.books import Books, SqlStore
from keeptrusts.store.postgres import PostgresDatabase
from tests.audited_ledger import audited, fill
from tests.store.real_postgres import open_ledger

pytestmark = pytest.mark.anyio


@pytest.fixture
async def database() -> AsyncIterator[PostgresDatabase]:
    async with open_ledger() as opened:
        yield opened


@pytest.fixture
async def shared(tmp_path: Path, database: PostgresDatabase) -> AsyncIterator[Control]:
    """A control plane whose store is a PostgreSQL."""
    async with audited(tmp_path / "data") as control:
        own = control.store
        control.store = SqlStore(database)
        yield control
        control.store = own


async def inspected(control: Control) -> Report:
    return await inspect(control.store, frozenset([control.seal.public_key]), [])


async def add_entry(books: Books, event_id: str) -> None:
    await books.entries.add_all([Entry("wal_1", "settle", 1, 1, "p", event_id, "n", None, 1)])


async def test_a_whole_ledger(shared: Control) -> None:
    await fill(shared, 3, 2)
    report = await inspected(shared)
    assert report.offences == ()
    assert (report.checkpoints, report.proven, sum(report.uncovered.values())) == (3, True, 0)


async def test_the_same_calls_have_the_same_root_on_both_engines(shared: Control, tmp_path: Path) -> None:
    await fill(shared, 1, 2)
    async with audited(tmp_path / "other") as embedded:
        await fill(embedded, 1, 2)
        assert await calls_of_latest(embedded) == await calls_of_latest(shared)


async def calls_of_latest(control: Control) -> Calls:
    async with control.store.read() as books:
        latest = await books.checkpoints.latest()
    assert latest is not None
    return read_statement(latest.text).calls


async def test_a_row_that_commits_late_is_covered_by_the_next_one(shared: Control) -> None:
    async with shared.store.write() as late:
        await add_entry(late, "late")
        async with shared.store.write() as early:
            await add_entry(early, "early")
        assert await make_checkpoint(shared) is not None
        report = await inspected(shared)
        assert (report.covered["ledger_entry"], report.proven) == (1, True)
    report = await inspected(shared)
    assert (report.uncovered["ledger_entry"], report.proven) == (1, True)
    assert await make_checkpoint(shared) is not None
    report = await inspected(shared)
    assert (report.covered["ledger_entry"], report.uncovered["ledger_entry"], report.proven) == (2, 0, True)


async def test_a_number_that_a_rollback_used_up_is_no_offence(shared: Control) -> None:
    async def fail_halfway() -> None:
        async with shared.store.write() as books:
            await add_entry(books, "never")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail_halfway()
    async with shared.store.write() as books:
        await add_entry(books, "kept")
    await make_checkpoint(shared)
    assert (await inspected(shared)).proven
    assert await make_checkpoint(shared) is None


@pytest.mark.parametrize(
    ("sql", "table", "number", "fault"),
    [
        ("UPDATE event SET cost_nanos = cost_nanos + 1 WHERE event_no = 3", "event", 3, "edited"),
        ("UPDATE event SET at_ns = at_ns + 1 WHERE event_no = 3", "event", 3, "edited"),
        ("UPDATE event SET org_id = 'org_x' WHERE event_no = 3", "event", 3, "edited"),
        ("DELETE FROM event WHERE event_no = 1", "event", 1, "gone"),
        ("UPDATE event SET event_no = 2 WHERE event_no = 3", "event", 3, "gone"),
        ("UPDATE ledger_entry SET amount_nanos = 1 WHERE entry_no = 2", "ledger_entry", 2, "edited"),
        ("DELETE FROM audit WHERE audit_no = 1", "audit", 1, "gone"),
        ("UPDATE checkpoint SET signature = repeat('0', 128) WHERE checkpoint_no = 1", "checkpoint", 1, "damaged"),
        ("UPDATE checkpoint_rows SET contents = '\\x00' WHERE table_name = 'audit'", "checkpoint_rows", 1, "damaged"),
        ("DELETE FROM checkpoint WHERE checkpoint_no = 1", "checkpoint", 1, "gone"),
    ],
)
async def test_what_a_superuser_changes_is_named(
    shared: Control, database: PostgresDatabase, sql: str, table: str, number: int, fault: str
) -> None:
    await fill(shared, 2, 2)
    async with database.transaction() as connection:
        await connection.execute("SET LOCAL session_replication_role = replica")
        assert await connection.execute(sql) > 0
    report = await inspected(shared)
    assert (fault, table, number) in [(o.fault, o.table, o.number) for o in report.offences]


async def test_a_second_row_under_one_number_is_found(shared: Control, database: PostgresDatabase) -> None:
    """Partitions keep PostgreSQL from holding event_no unique."""
    await fill(shared, 1, 2)
    async with database.transaction() as connection:
        columns = (await connection.fetch("SELECT string_agg(attname, ',') FROM pg_attribute WHERE attrelid = 'event'::regclass AND attnum > 0 AND attname <> 'event_id'"))[0][0]  # fmt: skip
        await connection.execute(
            f"INSERT INTO event (event_id, {columns}) SELECT 'call_forged', {columns} FROM event WHERE event_no = 2"
        )
    (offence,) = (await inspected(shared)).offences
    assert (offence.fault, offence.table, offence.number, offence.row_id) == ("inserted", "event", 2, "call_forged")


@pytest.mark.parametrize("table", ["checkpoint", "checkpoint_rows"])
@pytest.mark.parametrize("change", ["DELETE FROM {}", "UPDATE {} SET org_id = 'x'", "TRUNCATE {}"])
async def test_the_database_itself_refuses_changes(
    shared: Control, database: PostgresDatabase, table: str, change: str
) -> None:
    await fill(shared, 1, 1)
    with pytest.raises(Exception, match="never"):
        async with database.transaction() as connection:
            await connection.execute(change.format(table))
