"""One listening socket that several gateway processes accept from: each takes a connection only while no other has fewer.

Without that, whichever process the kernel wakes first takes whatever is in the queue, and a burst ends up with a few.
How many connections each has stands in a piece of memory that they share; no lock is needed, since each writes its own
number, and a number that is a moment old costs balance, never a connection.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress

from msgspec import Struct

NOBODY = -1
"""The count of a place where no process accepts."""

TURN_ACCEPTS = 8
"""Connections taken at most in one turn of the loop, so that calls under way have theirs."""

GIVE_WAY_S = 0.02
"""How long a process leaves a waiting connection to another that has fewer."""

LOOK_AGAIN_S = 0.0005

IGNORE_S = 1.0
"""A process that did not take what was left to it (it is stuck, or dead) is left nothing for so long, or until its number
changes."""

BUSY_S = 0.05
"""How long accepting rests after the system refused it (no more descriptors, for example)."""


class Place(Struct):
    """A worker's place at a shared port: the socket, everybody's number of connections, which number is its own, and the
    file in which limits are counted together."""

    listener: socket.socket
    counts: memoryview
    number: int
    limits_fd: int = -1


class Acceptor:
    """Accepts connections at one place, from ``open`` until ``close``."""

    def __init__(self, place: Place, protocol: Callable[[], asyncio.Protocol]) -> None:
        self._place = place
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._connections = 0
        self._opened = False
        self._waiting_since: float | None = None
        self._ignored = [(NOBODY, 0.0)] * len(place.counts)
        self._pause: asyncio.TimerHandle | None = None
        self._beginning: set[asyncio.Task[object]] = set()

    def open(self) -> None:
        """Accepts from now on."""
        self._place.listener.setblocking(False)
        self._opened = True
        self._tell()
        self._loop.add_reader(self._place.listener.fileno(), self._accept)

    def close(self) -> None:
        """Takes no more; who waits in the queue is left to the others. The socket stays open in the processes that hold it."""
        if self._opened:
            self._opened = False
            if self._pause is not None:
                self._pause.cancel()
            else:
                self._loop.remove_reader(self._place.listener.fileno())
            self._place.counts[self._place.number] = NOBODY
        self._place.listener.close()

    def gone(self) -> None:
        """One of its connections is closed."""
        self._connections -= 1
        self._tell()

    def _tell(self) -> None:
        if self._opened:
            self._place.counts[self._place.number] = self._connections

    def _accept(self) -> None:
        for _ in range(TURN_ACCEPTS):
            if self._gives_way():
                self._rest(LOOK_AGAIN_S)
                return
            try:
                connection, _ = self._place.listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                self._waiting_since = None
                return
            except OSError:
                self._rest(BUSY_S)
                return
            self._waiting_since = None
            self._begin(connection)

    def _gives_way(self) -> bool:
        """Whether another has fewer connections, and is still given time to take this one."""
        now = self._loop.time()
        counts = enumerate(self._place.counts)
        freer = [n for n, count in counts if NOBODY < count < self._connections and not self._ignores(n, count, now)]
        if not freer:
            return False
        if self._waiting_since is None:
            self._waiting_since = now
        if now - self._waiting_since < GIVE_WAY_S:
            return True
        for number in freer:
            self._ignored[number] = self._place.counts[number], now + IGNORE_S
        return False

    def _ignores(self, number: int, count: int, now: float) -> bool:
        seen, until = self._ignored[number]
        return count == seen and now < until

    def _begin(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._connections += 1
        self._tell()
        task = self._loop.create_task(self._connect(connection))
        self._beginning.add(task)
        task.add_done_callback(self._beginning.discard)

    async def _connect(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._protocol, connection)
        except OSError:
            # The client left while it was being accepted: no protocol was made that would tell us.
            connection.close()
            self.gone()

    def _rest(self, for_s: float) -> None:
        self._loop.remove_reader(self._place.listener.fileno())
        self._pause = self._loop.call_later(for_s, self._resume)

    def _resume(self) -> None:
        self._pause = None
        if self._opened:
            with suppress(OSError):
                self._loop.add_reader(self._place.listener.fileno(), self._accept)
