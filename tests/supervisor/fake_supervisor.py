"""A supervisor in a process of its own, so that a test can kill it: REGISTRAR_PORT NAME=PORT..."""

import asyncio
import sys
from collections.abc import Sequence

from keeptrusts.supervisor.child import Child
from keeptrusts.supervisor.supervise import Supervisor, stop_on_signals
from tests.supervisor.registrar import Registrar, fake


async def main() -> int:
    at = Registrar()
    at.port = int(sys.argv[1])
    pairs = [pair.split("=") for pair in sys.argv[2:]]
    supervisor = Supervisor(print)
    stop_on_signals(supervisor)

    async def then() -> Sequence[Child]:
        print("ready", flush=True)
        return []

    return await supervisor.run([fake(name, at, ready_port=int(port)) for name, port in pairs], then)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
