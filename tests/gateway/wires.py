"""Connections to a provider that exist only in the test: it sees what is written, and decides what comes back and when."""

import asyncio
from typing import Any

from tests.gateway.hand_loop import HandLoop


class Wire(asyncio.Transport):
    """One connection. ``says``, ``closes`` and ``resets`` are what the provider does."""

    def __init__(self, loop: HandLoop, protocol: Any) -> None:
        super().__init__()
        self._loop = loop
        self.protocol = protocol
        self.written = b""
        self.reading = True
        self._closing = False

    def write(self, data: Any) -> None:
        assert not self._closing
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return self._closing

    def _lose(self, error: Exception | None) -> None:
        if not self._closing:
            self._closing = True
            self._loop.call_soon(self.protocol.connection_lost, error)

    def abort(self) -> None:
        self._lose(None)

    def close(self) -> None:
        self._lose(None)

    def pause_reading(self) -> None:
        assert self.reading
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading
        self.reading = True

    def says(self, data: bytes) -> None:
        assert self.reading
        if not self._closing:
            self.protocol.data_received(data)
            self._loop.turn()

    def closes(self) -> None:
        self._lose(None)
        self._loop.turn()

    def resets(self) -> None:
        self._lose(ConnectionResetError())
        self._loop.turn()


class Exchangeboard:
    """Stands where the loop makes connections. ``refuses`` is raised instead; ``silent`` lets nobody in."""

    def __init__(self, loop: HandLoop) -> None:
        self._loop = loop
        self.wires: list[Wire] = []
        self.refuses: Exception | None = None
        self.silent = False
        loop.create_connection = self._connect  # type: ignore[assignment, method-assign]

    async def _connect(self, factory: Any, host: str, port: int, **_: Any) -> tuple[Wire, Any]:
        del host, port
        if self.refuses is not None:
            raise self.refuses
        if self.silent:
            await self._loop.create_future()
        protocol = factory()
        wire = Wire(self._loop, protocol)
        self.wires.append(wire)
        protocol.connection_made(wire)
        return wire, protocol
