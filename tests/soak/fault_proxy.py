"""A TCP proxy that breaks what passes through it on command: our own, since no other is at hand on every machine.

It runs an event loop on a thread of its own. A ``Fault`` holds for connections that are opened while it is set, and, where
it cuts, for those that are open already.
"""

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass

_RST_ON_CLOSE = struct.pack("ii", 1, 0)
_READ_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to the bytes.

    ``refuse``: every new connection is reset. ``black_hole``: nothing passes either way, and nothing is said.
    ``delay_s``: each piece waits so long. ``cut_answer``: with this probability a request is delivered whole but its
    answer is cut off before the first byte; ``telling`` says which pieces on the way there count as such a request.
    ``cut_after``: the connection is reset after so many bytes of answers. ``half_close``: the answers' side is closed
    (FIN) where a cut would have come. ``rst``: cuts are resets rather than FINs.
    """

    refuse: bool = False
    black_hole: bool = False
    delay_s: float = 0.0
    cut_answer: float = 0.0
    telling: Callable[[bytes], bool] | None = None
    cut_after: int | None = None
    half_close: bool = False
    rst: bool = True


HEALTHY = Fault()


class FaultProxy:
    """Listens on a free port of 127.0.0.1 and passes everything on to ``target``, a port or a Unix socket's path."""

    def __init__(self, target: int | str, seed: int = 0) -> None:
        self.target = target
        self.port = 0
        self.fault = HEALTHY
        self.cuts = 0
        self._draw = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._open: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._run, name="fault-proxy", daemon=True)

    def __enter__(self) -> "FaultProxy":
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set_result, None)
        self._thread.join(10)

    def set(self, fault: Fault) -> None:
        """From now on this happens; ``HEALTHY`` heals, and what hung in a black hole is reset."""
        was, self.fault = self.fault, fault
        if fault.refuse or fault.black_hole or was.black_hole:
            self.reset_all()

    def reset_all(self) -> None:
        """Resets every open connection."""
        self._loop.call_soon_threadsafe(self._reset_all)

    def _reset_all(self) -> None:
        for writer in list(self._open):
            _close(writer, rst=True)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stopped: asyncio.Future[None] = self._loop.create_future()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=2048)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stopped
        server.close()
        self._reset_all()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.fault.refuse:
            _close(writer, rst=True)
            return
        self._open.add(writer)
        try:
            if isinstance(self.target, int):
                there = await asyncio.open_connection("127.0.0.1", self.target)
            else:
                there = await asyncio.open_unix_connection(self.target)
        except OSError:
            self._open.discard(writer)
            _close(writer, rst=True)
            return
        self._open.add(there[1])
        passage = _Passage(self, writer, there[1])
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(passage.requests(reader))
                group.create_task(passage.answers(there[0]))
        except* (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            for one in (writer, there[1]):
                self._open.discard(one)
                _close(one, rst=False)

    def draws_cut(self) -> bool:
        """Whether this request's answer is to be cut."""
        if self._draw.random() < self.fault.cut_answer:
            self.cuts += 1
            return True
        return False


class _Passage:
    """One connection on its way through."""

    def __init__(self, proxy: FaultProxy, caller: asyncio.StreamWriter, there: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._caller = caller
        self._there = there
        self._doomed = False
        self._answered = 0

    async def requests(self, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(_READ_BYTES):
            fault = self._proxy.fault
            if fault.black_hole:
                continue
            if fault.delay_s:
                await asyncio.sleep(fault.delay_s)
            if fault.cut_answer and (fault.telling is None or fault.telling(data)):
                self._doomed = self._doomed or self._proxy.draws_cut()
            self._there.write(data)
            await self._there.drain()
        with contextlib.suppress(OSError):
            self._there.write_eof()

    async def answers(self, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(_READ_BYTES):
            fault = self._proxy.fault
            if fault.black_hole:
                continue
            if fault.delay_s:
                await asyncio.sleep(fault.delay_s)
            if self._doomed:
                self._cut(fault)
                return
            if fault.cut_after is not None and self._answered + len(data) >= fault.cut_after:
                self._caller.write(data[: max(0, fault.cut_after - self._answered)])
                self._proxy.cuts += 1
                self._cut(fault)
                return
            self._answered += len(data)
            self._caller.write(data)
            await self._caller.drain()
        with contextlib.suppress(OSError):
            self._caller.write_eof()

    def _cut(self, fault: Fault) -> None:
        if fault.half_close:
            self._caller.write_eof()
            return
        _close(self._caller, rst=fault.rst)
        _close(self._there, rst=False)


def _close(writer: asyncio.StreamWriter, rst: bool) -> None:
    with contextlib.suppress(OSError, RuntimeError):
        if rst and (sock := writer.get_extra_info("socket")) is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_ON_CLOSE)
        (writer.transport.abort if rst else writer.close)()
