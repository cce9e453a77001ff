"""A PostgreSQL proxy that loses commits: it hands COMMIT on, or does not, and hangs up before the answer."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Literal

Fate = Literal["through", "lost_before", "lost_after"]
COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"


class CuttingProxy:
    """``fate`` decides over each COMMIT: it goes through, never arrives, or is carried out and nobody hears of it."""

    def __init__(self, server_port: int, fate: Callable[[], Fate]) -> None:
        self.port = 0
        self.lost = 0
        self._server_port = server_port
        self._fate = fate
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self._server_port)
            answers = asyncio.ensure_future(self._pump(from_server, writer))
            with suppress(ConnectionError):
                while data := await reader.read(65_536):
                    # The driver waits for every answer, so a COMMIT stands at the end of what comes.
                    fate = self._fate() if data.endswith(COMMIT) else "through"
                    if fate == "lost_before":
                        self.lost += 1
                        break
                    if fate == "lost_after":
                        self.lost += 1
                        answers.cancel()
                        await asyncio.wait([answers])
                        to_server.write(data)
                        await from_server.read(65_536)
                        break
                    to_server.write(data)
                    await to_server.drain()
            answers.cancel()
            to_server.close()
            writer.transport.abort()
        finally:
            self._tasks.discard(task)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def end(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)


@asynccontextmanager
async def cutting_proxy(server_port: int, fate: Callable[[], Fate]) -> AsyncIterator[CuttingProxy]:
    proxy = CuttingProxy(server_port, fate)
    listener = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = listener.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        listener.close()
        await proxy.end()
