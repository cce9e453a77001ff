"""Several writers on one PostgreSQL: numbers in the order of the commits, nobody waits in a circle, commits are durable."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from keeptrusts.control.event_rows import call_row
from keeptrusts.core.ledger.posting import PeriodMovement
from keeptrusts.store.books import SqlStore
from keeptrusts.store.postgres import PostgresDatabase, open_postgres
from tests.ledger_node import event
from tests.store.real_postgres import command, ledger_database, open_ledger
from tests.store.test_ledger_contract import KEY, PERIOD, WALLET

pytestmark = pytest.mark.anyio


@pytest.fixture
async def database() -> AsyncIterator[PostgresDatabase]:
    async with open_ledger() as opened:
        yield opened


async def test_who_follows_the_numbers_misses_nothing(database: PostgresDatabase) -> None:
    """No number turns up below one that was seen already, and what was rolled back leaves no gap."""
    store = SqlStore(database)
    done = asyncio.Event()
    seen: list[int] = []

    async def follow() -> None:
        while not done.is_set() or seen[-1:] != [60]:
            async with store.read() as books:
                seen.extend(change.seq for change in await books.changes.after(seen[-1] if seen else 0, 100))

    async def add(number: int) -> None:
        async with store.write() as books:
            await books.changes.add("key", f"tok_{number}")
            await books.changes.add("key", f"tok_{number}")
            if number % 4 == 3:
                await books.changes.write_new()
                raise ConnectionAbortedError

    follower = asyncio.create_task(follow())
    await asyncio.gather(*(add(number) for number in range(40)), return_exceptions=True)
    done.set()
    await follower
    assert seen == list(range(1, 61))


async def test_rows_with_numbers_and_wallets_may_be_touched_in_any_order(database: PostgresDatabase) -> None:
    """A batch adds events and then posts; an allocation sets a budget and then adds an alert. Neither waits for the other
    while it holds up what that one wants: the numbers are taken when everything else is done."""
    store = SqlStore(database)
    async with store.write() as books:
        await books.wallets.add(WALLET, 1)
        await books.wallets.add_period(PERIOD)
    both = asyncio.Barrier(2)

    async def batch() -> None:
        async with store.write() as books:
            await books.events.add_all([call_row(event("evt_1"), "node_1", 1, None)])
            await both.wait()
            await books.wallets.post(KEY, PeriodMovement(leased=0, posted=5, overrun=0))

    async def allocation() -> None:
        async with store.write() as books:
            await books.wallets.set_period_budget(KEY, 50)
            await both.wait()
            await books.events.add_all([call_row(event("evt_2"), "node_1", 2, None)])

    await asyncio.gather(batch(), allocation())
    async with store.read() as books:
        assert await books.events.known(["evt_1", "evt_2"]) == {"evt_1", "evt_2"}


async def test_commits_wait_for_the_disk_whatever_the_servers_default_is() -> None:
    async with ledger_database() as url:
        await command(f"ALTER DATABASE {url.rpartition('/')[2]} SET synchronous_commit = off")
        opened = await open_postgres(url)
        async with opened.transaction() as sql:
            assert await sql.fetch("SELECT current_setting('synchronous_commit')") == [("on",)]
        await opened.close()


async def test_a_text_with_nul_is_stored_with_its_picture(database: PostgresDatabase) -> None:
    """SQLite takes any text; PostgreSQL must not refuse a call's row, and with it the node's journal, for one character."""
    store = SqlStore(database)
    async with store.write() as books:
        await books.events.add_all([call_row(event("evt_1", model="a\0b"), "node_1", 1, None)])
        await books.meta.put("name", "\0")
        assert await books.meta.get("name") == "\u2400"
    async with database.read() as sql:
        assert await sql.fetch("SELECT model FROM event") == [("a\u2400b",)]
