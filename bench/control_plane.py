"""How fast the control plane takes what nodes ship: batches applied in one process, and through the HTTP API of a real one."""

import asyncio
import http.client
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import uvloop

from bench.child import Child
from bench.ledger_journals import Batch
from bench.ledger_site import (
    ADMIN_TOKEN,
    Node,
    Place,
    check_books,
    new_database,
    people,
)
from bench.peers.starting import bare_environment, free_port, get
from keeptrusts.collector import calm_collector
from keeptrusts.control.batches import apply_batch
from keeptrusts.control.context import Control
from keeptrusts.control.retrying import idempotent
from tests.journeys.processes import descendants
from tests.soak.engines import StoreServer, postgres_server

MIB = 1024 * 1024
SIZES = {"500 events": (64 * MIB, 500), "1 MiB": (MIB, 1_000_000)}
BARS = {"SQLite": 10_000, "PostgreSQL": 20_000}
_READY_S = 20.0
_ANSWER_S = 120.0
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Filling:
    """One ledger filled in one way: the bench's table has a line for it. Processor times are for one event."""

    engine: str
    way: str
    size: str
    nodes: int
    events: int
    seconds: float
    batch_ms: tuple[float, ...]
    api_cpu_us: float
    database_cpu_us: float

    @property
    def events_per_s(self) -> float:
        """Events applied and committed per second, from the first batch to the last answer."""
        return self.events / self.seconds

    def quantile_ms(self, share: float) -> float:
        """Of the batches' times, each from its sending to its answer."""
        ordered = sorted(self.batch_ms)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


@dataclass(frozen=True)
class Amounts:
    """How much is shipped: calls of one filling in this process, and of the burst that goes through the API."""

    calls: int = 12_000
    burst: int = 100_000
    rounds: int = 3


def measure_control_plane(folder: Path, amounts: Amounts) -> list[Filling]:
    """Every filling, the medians of interleaved rounds. Raises BooksWrong when a ledger does not add up."""
    calm_collector()
    with postgres_server() as server:
        rounds = [_round(folder, server, amounts, number) for number in range(amounts.rounds)]
        burst = [_through_the_api(folder, server, engine, amounts.burst) for engine in BARS]
    middle = [sorted(same, key=lambda one: one.events_per_s)[len(same) // 2] for same in zip(*rounds, strict=True)]
    return middle + burst


def _round(folder: Path, server: StoreServer, amounts: Amounts, number: int) -> list[Filling]:
    found = []
    for engine in BARS:
        for size in SIZES:
            for nodes in (1, 4):
                place = _place(folder, server, engine, f"r{number}_{nodes}_{size.split()[0]}_{engine.lower()}")
                found.append(uvloop.run(_in_this_process(place, server, engine, size, nodes, amounts.calls // nodes)))
                _say(found[-1])
    return found


def _place(folder: Path, server: StoreServer, engine: str, name: str) -> Place:
    own = folder / name
    own.mkdir(mode=0o700)
    return Place(own, asyncio.run(new_database(server, name)) if engine == "PostgreSQL" else None)


async def _in_this_process(
    place: Place, server: StoreServer, engine: str, size: str, nodes: int, calls_each: int
) -> Filling:
    async with place.open() as control:
        known = await people(control, nodes, calls_each)
        shipments = [_batches(node, size) for node in known]
        times: list[float] = []
        cpu, database_cpu, start = time.process_time(), _cpu_s(server), time.perf_counter()
        await asyncio.gather(*(_apply(control, node, each, times) for node, each in zip(known, shipments, strict=True)))
        seconds = time.perf_counter() - start
        cpu, database_cpu = time.process_time() - cpu, _cpu_s(server) - database_cpu
        await check_books(control, known)
        events = sum(node.journal.events for node in known)
    each_us = 1e6 / events
    return Filling(
        engine, "in process", size, nodes, events, seconds, tuple(times), cpu * each_us, database_cpu * each_us
    )


def _batches(node: Node, size: str) -> list[Batch]:
    most_bytes, most_events = SIZES[size]
    return list(node.journal.batches(most_bytes=most_bytes, most_events=most_events))


async def _apply(control: Control, node: Node, shipment: list[Batch], times: list[float]) -> None:
    for batch in shipment:
        start = time.perf_counter()
        await idempotent(
            lambda batch=batch: apply_batch(  # type: ignore[misc]
                control.store, control.tools, node.terms, batch.data, batch.first_seq, batch.previous_chain
            )
        )
        times.append((time.perf_counter() - start) * 1e3)


def _through_the_api(folder: Path, server: StoreServer, engine: str, burst: int) -> Filling:
    """A backlog of four nodes, shipped at once to `kt api run` over HTTP, batch by batch as the shipper does it."""
    place = _place(folder, server, engine, f"burst_{engine.lower()}")

    async def prepare() -> list[Node]:
        async with place.open() as control:
            return await people(control, 4, burst // 4)

    async def check() -> None:
        async with place.open() as control:
            await check_books(control, known)

    known = asyncio.run(prepare())
    shipments = [_batches(node, "1 MiB") for node in known]
    times: list[float] = []
    with _api(place) as (api, port):
        cpu, database_cpu, start = sum(api.cpu_s()), _cpu_s(server), time.perf_counter()
        failures: list[str] = []
        shippers = [
            threading.Thread(target=_ship, args=(port, node.token, each, times, failures))
            for node, each in zip(known, shipments, strict=True)
        ]
        for shipper in shippers:
            shipper.start()
        for shipper in shippers:
            shipper.join()
        seconds = time.perf_counter() - start
        cpu, database_cpu = sum(api.cpu_s()) - cpu, _cpu_s(server) - database_cpu
    if failures:
        raise RuntimeError(f"the API refused a batch: {failures[0]}")
    asyncio.run(check())
    events = sum(node.journal.events for node in known)
    each_us = 1e6 / events
    found = Filling(engine, "HTTP", "1 MiB", 4, events, seconds, tuple(times), cpu * each_us, database_cpu * each_us)
    _say(found)
    return found


@contextmanager
def _api(place: Place) -> Iterator[tuple[Child, int]]:
    port = free_port()
    told = {"KEEPTRUSTS_API_TOKEN": ADMIN_TOKEN}
    if place.database_url is not None:
        told["KEEPTRUSTS_DATABASE_URL"] = place.database_url
    program = str(Path(sys.executable).with_name("kt"))
    command = [program, "api", "run", "--port", str(port), "--data-dir", str(place.folder)]
    environment = bare_environment(place.folder, told)
    with Child(command, core=None, environment=environment, log=place.folder / "api.log") as api:
        deadline = time.monotonic() + _READY_S
        while True:
            try:
                if get(port, "/readyz")[0] == 200:
                    break
            except OSError:
                pass
            if api.exit_code is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the API did not get ready: {api.log_text()[-500:]}")
            time.sleep(0.02)
        yield api, port


def _ship(port: int, token: str, shipment: list[Batch], times: list[float], failures: list[str]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWER_S)
    try:
        for batch in shipment:
            head = {
                "authorization": f"Bearer {token}",
                "content-type": "application/octet-stream",
                "x-journal-first-seq": str(batch.first_seq),
                "x-journal-previous-chain": batch.previous_chain.hex(),
            }
            start = time.perf_counter()
            connection.request("POST", "/v1/gateway/batches", batch.data, head)
            answer = connection.getresponse()
            said = answer.read()
            times.append((time.perf_counter() - start) * 1e3)
            if answer.status != 200:
                failures.append(f"{answer.status} {said[:300]!r}")
                return
    except OSError as error:
        failures.append(str(error))
    finally:
        connection.close()


def _cpu_s(server: StoreServer) -> float:
    """Processor time of PostgreSQL's processes, those that have ended too."""
    total = 0
    for pid in (server.pid, *descendants(server.pid)):
        try:
            stat = Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(map(int, stat[11:15] if pid == server.pid else stat[11:13]))
    return total / _TICKS_PER_S


def _say(one: Filling) -> None:
    print(
        f"{one.engine}, {one.way}, {one.nodes} nodes, {one.size}: {one.events_per_s:,.0f} events/s, "
        f"{one.api_cpu_us:.1f} us CPU an event ({one.database_cpu_us:.1f} in the database), "
        f"batch p50 {median(one.batch_ms):.0f} ms",
        file=sys.stderr,
        flush=True,
    )
