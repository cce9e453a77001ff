"""The simulator itself: a seed plays alike every time, the dead do nothing, and time passes without anybody waiting."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from keeptrusts.gateway.journal import Journal, JournalBusy
from tests.simulation.loop import HERE, Process, Stuck, VirtualLoop
from tests.simulation.machine import Host, Machine
from tests.simulation.run import play

PLAY = "from tests.simulation.run import play; import sys; print(play(int(sys.argv[1]), 40).trace)"


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    loop = VirtualLoop(1)
    yield loop
    loop.bury()


def test_a_seed_plays_alike_in_this_process_and_in_another_with_other_hashes() -> None:
    here = play(8, calls=40)
    assert here.violation is None
    assert play(8, calls=40).trace == here.trace
    assert play(9, calls=40).trace != here.trace
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        there = subprocess.run(
            [sys.executable, "-c", PLAY, "8"], env=environment, capture_output=True, text=True, check=True
        )
        assert there.stdout.split()[-1] == str(here.trace)


def test_hours_pass_at_once_and_in_order(loop: VirtualLoop) -> None:
    seen: list[float] = []

    async def sleeper(hours: int) -> None:
        await asyncio.sleep(hours * 3_600)
        seen.append(round(loop.time() / 3_600))

    async def all_of_them() -> None:
        await asyncio.gather(*(sleeper(hours) for hours in (3, 1, 2)))

    began = time.perf_counter()
    loop.run_until_complete(all_of_them())
    assert seen == [1, 2, 3]
    assert time.perf_counter() - began < 10


def test_within_a_process_the_order_is_asyncios_and_between_them_it_is_drawn() -> None:
    orders = set()
    for seed in range(12):
        loop = VirtualLoop(seed)
        seen: list[str] = []
        for name in "ab":
            process = Process(loop, name)
            for number in range(3):
                loop.call_soon(seen.append, f"{name}{number}", context=process.context())
        loop.run_until_complete(asyncio.sleep(1))
        assert [each for each in seen if each[0] == "a"] == ["a0", "a1", "a2"]
        orders.add("".join(seen))
        loop.bury()
    assert len(orders) > 3


def test_the_dead_do_nothing_more_not_even_their_last_will(loop: VirtualLoop) -> None:
    did: list[str] = []
    process = Process(loop, "mortal")

    async def live() -> None:
        try:
            did.append("began")
            await asyncio.sleep(1)
            did.append("went on")
        finally:
            did.append(f"last will of {HERE.get(None)}")

    process.spawn(live())
    loop.run_until_complete(asyncio.sleep(0.5))
    loop.kill(process)
    loop.run_until_complete(asyncio.sleep(5))
    assert did == ["began"]


def test_a_stopped_process_goes_on_later(loop: VirtualLoop) -> None:
    seen: list[float] = []
    process = Process(loop, "sleepy")
    process.later(1.0, lambda: seen.append(loop.time()))
    start = loop.time()
    loop.stop_process(process, 30.0)
    loop.run_until_complete(asyncio.sleep(60))
    assert 30.0 <= seen[0] - start < 31.0


def test_who_waits_for_ever_is_found(loop: VirtualLoop) -> None:
    async def wait() -> None:
        await loop.create_future()

    with pytest.raises(Stuck):
        loop.run_until_complete(wait())


def test_death_frees_the_journals_lock_and_keeps_what_was_written(loop: VirtualLoop, tmp_path: Path) -> None:
    machine = Machine(loop, 1)
    process = Process(loop, "gateway", Host("host", tmp_path))

    async def write() -> None:
        journal = Journal(tmp_path, "nod_1")
        journal.append(b"written")
        await journal.written()
        with pytest.raises(JournalBusy):
            Journal(tmp_path, "nod_1")

    with machine.running():
        loop.run_until_complete(process.spawn(write()))
        machine.kill(process)
        [segment] = tmp_path.glob("*.journal")
        assert b"written" in segment.read_bytes()

        async def adopt() -> None:
            Journal(tmp_path, "nod_1").close()

        loop.run_until_complete(Process(loop, "heir", process.host).spawn(adopt()))
        loop.bury()
        machine.close()
