"""Where fake children report: tests wait on its connections, never on a clock."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from keeptrusts.supervisor.child import Child

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_S = 20.0


@dataclass(frozen=True, slots=True)
class Reported:
    """A fake child that runs, or ran."""

    name: str
    pid: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def exit(self, code: int) -> None:
        """Tells it to end with this code, and waits until it has."""
        self.writer.write(f"exit {code}\n".encode())
        await self.gone()

    async def gone(self) -> None:
        """Returns when the process has ended."""
        async with asyncio.timeout(DEADLINE_S):
            try:
                assert await self.reader.read() == b""
            except ConnectionResetError:
                return


class Registrar:
    """Hands out children's reports in the order in which they come."""

    def __init__(self) -> None:
        self.port = 0
        self._reports: asyncio.Queue[Reported] = asyncio.Queue()
        self._all: list[Reported] = []

    async def next(self) -> Reported:
        """The next report; fails when none comes in time."""
        async with asyncio.timeout(DEADLINE_S):
            return await self._reports.get()

    async def these(self, *names: str) -> list[Reported]:
        """The next reports, which are these names' in any order; in the order of the names."""
        found = {report.name: report for report in [await self.next() for _ in names]}
        assert sorted(found) == sorted(names)
        return [found[name] for name in names]

    @property
    def has_more(self) -> bool:
        return not self._reports.empty()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        if not line:  # a child that was killed before it could report
            writer.close()
            return
        name, pid = line.decode().split()
        report = Reported(name, int(pid), reader, writer)
        self._all.append(report)
        await self._reports.put(report)

    def close(self) -> None:
        for report in self._all:
            report.writer.close()


@asynccontextmanager
async def registrar() -> AsyncIterator[Registrar]:
    it = Registrar()
    server = await asyncio.start_server(it.take, "127.0.0.1", 0)
    it.port = server.sockets[0].getsockname()[1]
    async with server:
        yield it
        it.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
        assert isinstance(port, int)
        return port


def fake(name: str, at: Registrar, *how: str, ready_port: int | None = None, kept: bool = True) -> Child:
    """A fake child as the supervisor starts it."""
    module = "tests.supervisor.fake_child"
    argv = (sys.executable, "-m", module, name, str(at.port), str(ready_port or 0), *how)
    return Child(name, argv, {**os.environ, "PYTHONPATH": str(ROOT)}, ready_port, kept)
