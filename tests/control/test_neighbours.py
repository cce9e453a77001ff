"""Two API processes on one PostgreSQL: changes and signs of life cross over, and both hash keys alike."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from keeptrusts.clock import SystemClock
from keeptrusts.control import nodes
from keeptrusts.control.context import Actor, Control
from keeptrusts.control.neighbours import exchange_signs
from keeptrusts.control.opening import open_control
from keeptrusts.control.prices import in_force
from keeptrusts.control.tokens import Wish, create, get
from keeptrusts.core.link import Heartbeat, Registration
from keeptrusts.store.data_dir import DataDirUnusable
from keeptrusts.workers.seed_prices import seed_prices
from tests.hand_clock import HandClock
from tests.store.real_postgres import empty_database, ledger_database

pytestmark = pytest.mark.anyio

PEPPER = "5a" * 32
WISH = Wish("gateway", "key", None, None, None, None, None, None, None, {}, None)
ADMIN = Actor("admin", "admin")


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async with ledger_database() as made:
        yield made


def opened(directory: Path, url: str, clock: HandClock | SystemClock | None = None, pepper: str | None = PEPPER):  # type: ignore[no-untyped-def]
    return open_control(directory, "token", clock, url, pepper)


def registration(node_id: str) -> Registration:
    return Registration(node_id, "host", "0.1.0", (), True, (), (), ())


async def somebody_waits(control: Control) -> None:
    while not control.bell.awaited:  # noqa: ASYNC110 -- nothing tells of it
        await asyncio.sleep(0)


async def test_a_change_at_one_process_wakes_a_node_at_the_other(tmp_path: Path, url: str) -> None:
    async with opened(tmp_path / "a", url) as here, opened(tmp_path / "b", url) as there:
        await nodes.register(here, registration("node_1"))
        waiting = asyncio.create_task(nodes.heartbeat(here, "node_1", Heartbeat(0, {})))
        await somebody_waits(here)
        row, _ = await create(there, ADMIN, WISH)
        news = await waiting
    assert [key.key_id for key in news.keys] == [row.token_id]


async def test_a_node_that_goes_over_to_another_process_is_not_told_to_begin_anew(tmp_path: Path, url: str) -> None:
    async with opened(tmp_path / "a", url) as here, opened(tmp_path / "b", url) as there:
        await nodes.register(here, registration("node_1"))
        row, _ = await create(here, ADMIN, WISH)
        assert await get(there, row.token_id) == row
        seen = here.bell.last_seq
        assert there.bell.last_seq < seen
        waiting = asyncio.create_task(nodes.heartbeat(there, "node_1", Heartbeat(seen, {})))
        await somebody_waits(there)
        second, _ = await create(there, ADMIN, WISH)
        news = await waiting
        assert not news.resync
        assert [key.key_id for key in news.keys] == [second.token_id]
        ahead = await nodes.heartbeat(there, "node_1", Heartbeat(seen + 9, {}))
        assert ahead.resync, "what no process ever said is from another store"


async def test_nodes_of_the_other_process_are_alive_until_they_are_silent(
    tmp_path: Path, url: str, clock: HandClock
) -> None:
    def alive(control: Control) -> frozenset[str]:
        return control.presence.alive(clock.monotonic_s())

    async with opened(tmp_path / "a", url, clock) as here, opened(tmp_path / "b", url, clock) as there:
        for control, node in ((here, "node_1"), (there, "node_2")):
            await nodes.register(control, registration(node))
            control.presence.heard(node, clock.monotonic_s(), {"team_a": 7})
        for control in (here, there, here):
            await exchange_signs(control)
        assert alive(here) == alive(there) == {"node_1", "node_2"}
        assert here.presence.own(clock.monotonic_s()) == {"node_1"}
        assert there.presence.held("team_a", clock.monotonic_s()) == 14
        async with opened(tmp_path / "c", url, clock) as late:
            assert alive(late) == {"node_1", "node_2"}, "known before the first question"
        clock.turn(timedelta(seconds=11))
        assert alive(here) == frozenset()


async def test_the_catalogue_is_seeded_once_whoever_starts(tmp_path: Path) -> None:
    async with empty_database() as url:

        async def start(name: str) -> int:
            async with opened(tmp_path / name, url) as control:
                await seed_prices(control)
                return len(await in_force(control))

        seeded = await asyncio.gather(start("a"), start("b"))
        async with opened(tmp_path / "c", url) as control, control.store.read() as books:
            versions = await books.prices.of_catalogue()
    assert seeded[0] == seeded[1] > 1_500
    assert all(len(prices) == len(set(prices)) for prices in versions.values())


async def test_a_process_with_another_pepper_is_refused(tmp_path: Path, url: str) -> None:
    async with opened(tmp_path / "a", url):
        pass
    with pytest.raises(DataDirUnusable, match="KEEPTRUSTS_KEY_PEPPER"):
        async with opened(tmp_path / "b", url, pepper=None):
            pass
    with pytest.raises(DataDirUnusable, match="at least 32 bytes in hexadecimal"):
        async with opened(tmp_path / "c", url, pepper="not hex"):
            pass
