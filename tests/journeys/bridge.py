"""A way for TCP between private networks, which share nothing but the file system: through sockets that are files.

``python -m tests.journeys.bridge enter PORT FILE`` listens on 127.0.0.1:PORT (0: any; the port is printed) and passes each connection to whoever listens at
FILE; ``leave FILE PORT`` listens at FILE and passes each connection to 127.0.0.1:PORT.
"""

import asyncio
import sys
from contextlib import suppress


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


async def _serve(direction: str, one: str, other: str) -> None:
    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if direction == "enter":
                far_reader, far_writer = await asyncio.open_unix_connection(other)
            else:
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", int(other))
            await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
            far_writer.close()
        finally:
            writer.close()

    if direction == "enter":
        server = await asyncio.start_server(pass_on, "127.0.0.1", int(one), backlog=512)
        print(server.sockets[0].getsockname()[1], flush=True)
    else:
        server = await asyncio.start_unix_server(pass_on, one, backlog=512)
        print("up", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(*sys.argv[1:4]))
