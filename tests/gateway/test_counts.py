"""The memory that workers count limits in together: one scope is one row for all, and what a dead one left is mended."""

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeptrusts.core.limits.gate import Exceeded, Gate, Permit
from keeptrusts.core.limits.limit_set import LimitSet
from keeptrusts.core.limits.meter import Meter
from keeptrusts.core.limits.quotas import Quotas, quotas_of
from keeptrusts.core.limits.window import BUCKETS, TOTAL
from keeptrusts.gateway.counts import FINE_CELLS, SharedMemory, new_counts, own_names
from keeptrusts.gateway.name_table import WAYS, NameTable
from keeptrusts.gateway.turns import CHANGING, WAIT_S
from tests.architecture.sources import ROOT
from tests.gateway.hammering import ALLOWED, gate_of

ALL = quotas_of(LimitSet(requests_per_minute=10, tokens_per_day=1_000, concurrent_requests=4))


@pytest.fixture
def fd() -> Iterator[int]:
    fd = new_counts()
    yield fd
    os.close(fd)


class Worker:
    """One of several: in the product a process of its own."""

    def __init__(self, fd: int, number: int) -> None:
        self.memory = SharedMemory(fd, number)

    def gate(self, quotas: Quotas = ALL, scope: str = "key k") -> Gate:
        return self.memory.gate([Meter(scope, quotas, self.memory)], True, 1)


def enter(gate: Gate, tokens: int = 10, now_s: int = 1_000) -> Permit:
    passed = gate.enter(tokens, now_s)
    assert isinstance(passed, Permit), passed
    return passed


def test_workers_count_as_one(fd: int) -> None:
    gates = [Worker(fd, number).gate() for number in range(3)]
    permits = [enter(gates[number % 3]) for number in range(4)]
    assert isinstance(gates[0].enter(10, 1_000), Exceeded), "four run"
    for permit in permits:
        permit.leave(1, 1_001)
    late = Worker(fd, 3).gate()
    found = enter(late, 5)
    assert found.least_requests is not None
    assert found.least_tokens is not None
    assert (found.least_requests[0], found.least_tokens[0]) == (5, 1_000 - 4 - 5)
    assert isinstance(enter(Worker(fd, 1).gate(scope="key other")), Permit)


def test_a_worker_in_a_dead_ones_place_begins_with_nobody_running(fd: int) -> None:
    first, second = Worker(fd, 0), Worker(fd, 1)
    for _ in range(2):
        enter(first.gate())
        enter(second.gate())
    assert isinstance(second.gate().enter(1, 1_000), Exceeded)
    again = Worker(fd, 0)
    enter(again.gate())
    enter(again.gate())
    assert isinstance(second.gate().enter(1, 1_000), Exceeded)


def test_a_count_that_was_torn_is_summed_up_again_by_every_gate(fd: int) -> None:
    first, second = Worker(fd, 0), Worker(fd, 1)
    gates = [first.gate(), second.gate()]
    for gate in gates:
        enter(gate).leave(None, 1_000)
    [meter] = gates[0].meters
    meter.window("requests", 60).cells[TOTAL] = -700  # it died between two numbers of one charge
    first.memory._head[CHANGING] = 1
    for gate in gates:
        left = enter(gate).least_requests
        assert left is not None
        assert 6 <= left[0] <= 7


def test_who_holds_the_turn_for_ever_stops_nobody(fd: int) -> None:
    """A process that was stopped in these microseconds: the others go on without it, after a moment and then at once."""
    gate = Worker(fd, 0).gate()
    holds = f"import fcntl, sys; fcntl.lockf({fd}, fcntl.LOCK_EX); print('held', flush=True); sys.stdin.read()"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", holds], pass_fds=(fd,), stdin=pipe, stdout=pipe) as stopped:
        assert stopped.stdout is not None
        assert stopped.stdout.readline() == b"held\n"
        assert [enter(gate, 1).least_requests is not None for _ in range(4)] == [True] * 4
        assert isinstance(gate.enter(1, 1_000), Exceeded)
        stopped.kill()
    fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert WAIT_S < 1


KILLS = 12


def test_whoever_is_killed_whenever_no_limit_is_passed_and_no_count_is_torn(fd: int) -> None:
    """Workers that do nothing else, killed in whatever they are at; many die in the middle of a charge."""
    seen, told = os.pipe()
    command = [sys.executable, "-m", "tests.gateway.hammering", str(fd)]
    with ExitStack() as kept:

        def begin(number: int) -> subprocess.Popen[bytes]:
            worker = subprocess.Popen([*command, str(number), str(told)], pass_fds=(fd, told), cwd=ROOT)
            kept.callback(worker.wait)
            kept.callback(worker.kill)
            return worker

        workers = [begin(number) for number in range(3)]
        let_through = kills = 0
        while let_through < ALLOWED - KILLS:
            let_through += len(os.read(seen, 65_536))
            if kills < KILLS and let_through > kills * ALLOWED // KILLS:
                victim = kills % 3
                workers[victim].kill()
                workers[victim].wait()
                workers[victim] = begin(victim)
                kills += 1
    os.close(told)
    while more := os.read(seen, 65_536):
        let_through += len(more)
    os.close(seen)
    assert kills == KILLS
    assert let_through <= ALLOWED
    gate = gate_of(fd, 0)
    gate.enter(1, int(time.monotonic()))
    for cells, _, size, *_ in (*gate._requests, *gate._tokens):
        assert cells[TOTAL] == sum(cells[BUCKETS + place] for place in range(size))


NOW_S = int(time.monotonic())
MADE_UP = Quotas(quotas_of(LimitSet(requests_per_minute=1)).windows)


def test_names_that_clients_make_up_are_the_same_for_all_workers(fd: int) -> None:
    first, second = Worker(fd, 0).memory, Worker(fd, 1).memory
    for memory, passes in ((first, True), (second, False)):
        for name in range(300):
            gate = memory.gate([Meter(f"user {name}", MADE_UP, memory.names)], True, 1)
            assert isinstance(gate.enter(0, NOW_S), Permit) is passes, name


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=200))
def test_nobody_who_counts_is_displaced_by_made_up_names(names: list[int]) -> None:
    """In a table far too small for them: each name has its own row, or is told that there is none."""
    memory, sets = memoryview(bytearray(8 * NameTable.words(2, FINE_CELLS))).cast("q"), 2
    table = NameTable(memory, sets, FINE_CELLS, b"key", lambda cells, _: not cells[TOTAL], lambda: None)
    counted: dict[int, int] = {}
    crowd = 0
    for name in names:
        cells = table.find(str(name), 60)
        if cells is None:
            crowd += 1
            assert name not in counted
            continue
        counted[name] = counted.get(name, 0) + 1
        cells[TOTAL] += 1
        assert cells[TOTAL] == counted[name]
    assert len(counted) <= sets * WAYS
    assert sum(counted.values()) + crowd == len(names)


def test_a_flood_of_names_ends_in_one_crowd_that_is_limited_too() -> None:
    names = own_names()
    generation = names.generation
    names._fine._sets = 1
    passed = 0
    for number in range(100):
        gate = Gate([Meter(f"user {number}", MADE_UP, names)])
        passed += isinstance(gate.enter(0, NOW_S), Permit)
    assert passed == WAYS + 1, "eight names, and the rest as one"
    assert names.generation == generation
