"""One listening socket, several processes: connections are shared, and none waits for who does not take it."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

from keeptrusts.gateway.acceptor import NOBODY, Acceptor, Place

DEADLINE_S = 20.0


class Held(asyncio.Protocol):
    """A connection of one of the acceptors."""

    def __init__(self, worker: "Worker") -> None:
        self._worker = worker

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._worker.held.append(self)
        self._transport = transport
        self._worker.changed.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._worker.held.remove(self)
        self._worker.acceptor.gone()
        self._worker.changed.set()

    def close(self) -> None:
        self._transport.close()


class Worker:
    """An acceptor as a process has it, with a descriptor of its own for the shared socket."""

    def __init__(self, listener: socket.socket, counts: memoryview, number: int, changed: asyncio.Event) -> None:
        self.held: list[Held] = []
        self.changed = changed
        self.acceptor = Acceptor(Place(listener.dup(), counts, number), lambda: Held(self))


class Port:
    """A shared port and its workers, in one loop."""

    def __init__(self, workers: int) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1_000)
        self.counts = memoryview(bytearray(4 * workers)).cast("i")
        for number in range(workers):
            self.counts[number] = NOBODY
        self.changed = asyncio.Event()
        self.workers = [Worker(self.listener, self.counts, number, self.changed) for number in range(workers)]
        self.clients: list[socket.socket] = []

    def connect(self, count: int) -> None:
        """Clients whose connections the kernel queues."""
        self.clients += [socket.create_connection(self.listener.getsockname()) for _ in range(count)]

    async def until_held(self, count: int) -> list[int]:
        """How many each worker holds, once all together hold so many."""
        async with asyncio.timeout(DEADLINE_S):
            while sum(len(worker.held) for worker in self.workers) != count:
                self.changed.clear()
                await self.changed.wait()
        return [len(worker.held) for worker in self.workers]

    def close(self) -> None:
        for worker in self.workers:
            worker.acceptor.close()
            for held in list(worker.held):
                held.close()
        for client in self.clients:
            client.close()
        self.listener.close()


def tell(story: Callable[[Port], Awaitable[None]], workers: int = 4) -> None:
    async def whole() -> None:
        port = Port(workers)
        try:
            await story(port)
        finally:
            port.close()

    asyncio.run(whole())


def test_a_burst_is_shared_evenly() -> None:
    async def story(port: Port) -> None:
        port.connect(200)
        for worker in port.workers:
            worker.acceptor.open()
        held = await port.until_held(200)
        assert max(held) - min(held) <= 2, held
        assert list(port.counts) == held

    tell(story)


def test_who_has_fewer_is_given_the_next_ones() -> None:
    async def story(port: Port) -> None:
        first, second = port.workers
        first.acceptor.open()
        port.connect(10)
        assert await port.until_held(10) == [10, 0]
        second.acceptor.open()
        port.connect(10)
        assert await port.until_held(20) == [10, 10]
        for held in list(first.held):
            held.close()
        await port.until_held(10)
        assert list(port.counts) == [0, 10]

    tell(story, workers=2)


def test_nobody_waits_for_a_worker_that_takes_nothing() -> None:
    """A killed worker leaves its number behind, a stopped one does not look."""

    async def story(port: Port) -> None:
        port.counts[1] = 0
        port.workers[0].acceptor.open()
        port.connect(50)
        assert await port.until_held(50) == [50, 0]

    tell(story, workers=2)


def test_who_closes_leaves_the_queue_to_the_others() -> None:
    async def story(port: Port) -> None:
        leaving, staying = port.workers
        leaving.acceptor.open()
        port.connect(3)
        assert await port.until_held(3) == [3, 0]
        leaving.acceptor.close()
        port.connect(5)
        assert port.counts[0] == NOBODY
        staying.acceptor.open()
        assert await port.until_held(8) == [3, 5]

    tell(story, workers=2)


def test_a_client_that_left_the_queue_is_not_counted() -> None:
    async def story(port: Port) -> None:
        port.connect(3)
        port.clients.pop().close()
        port.workers[0].acceptor.open()
        port.connect(2)
        assert await port.until_held(4) == [4]
        assert list(port.counts) == [4]

    tell(story, workers=1)
