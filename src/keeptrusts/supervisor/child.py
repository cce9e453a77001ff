"""One process under supervision: how it is started, asked whether it is ready, described when it ends, and stopped."""

import asyncio
import signal
from asyncio.subprocess import Process
from collections.abc import Mapping
from dataclasses import dataclass, field

from keeptrusts.supervisor.lifeline import LIFELINE_FD

READY_REQUEST = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
READY_ANSWER_MAX_BYTES = 64
READY_PROBE_TIMEOUT_S = 2.0
READY_POLL_S = 0.03
READY_POLL_MAX_S = 0.5


@dataclass(frozen=True, slots=True)
class Child:
    """What to run. ``ready_port`` answers ``/readyz`` at ``ready_host`` when it can be used; None: it is ready once it runs.

    ``kept`` says whether it is started again when it ends. Children that follow each other and name the same ``team`` are
    stopped together. ``inherited`` are descriptors of ours that it needs. ``when_restarted`` follows its arguments when it is
    started again; ``takes_reload``: SIGHUP tells it to read its configuration. The environment is all of it, and is never shown.
    """

    name: str
    argv: tuple[str, ...]
    environ: Mapping[str, str] = field(repr=False)
    ready_port: int | None = None
    kept: bool = True
    ready_host: str = "127.0.0.1"
    team: str = ""
    inherited: tuple[int, ...] = ()
    when_restarted: tuple[str, ...] = ()
    takes_reload: bool = False


async def start(child: Child, lifeline_fd: int, again: bool = False) -> Process:
    """Starts the child in a session of its own, so that a Ctrl-C in the terminal reaches the supervisor alone."""
    return await asyncio.create_subprocess_exec(
        *child.argv,
        *(child.when_restarted if again else ()),
        env={**child.environ, LIFELINE_FD: str(lifeline_fd)},
        stdin=asyncio.subprocess.DEVNULL,
        pass_fds=(lifeline_fd, *child.inherited),
        start_new_session=True,
    )


async def until_ready(child: Child) -> None:
    """Returns when the child answers ``/readyz`` with 200."""
    pause_s = READY_POLL_S
    while child.ready_port is not None:
        if await _is_ready(child.ready_host, child.ready_port):
            return
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 1.1, READY_POLL_MAX_S)


async def stop(process: Process, hurry: asyncio.Event, grace_s: float) -> bool:
    """SIGTERM, and SIGKILL when it has not ended after ``grace_s`` or somebody is in a hurry; True if it ended by itself."""
    if process.returncode is not None:
        return True
    process.terminate()
    ended, hurried = asyncio.create_task(process.wait()), asyncio.create_task(hurry.wait())
    await asyncio.wait({ended, hurried}, timeout=grace_s, return_when=asyncio.FIRST_COMPLETED)
    hurried.cancel()
    by_itself = ended.done()
    if not by_itself:
        process.kill()
    await ended
    return by_itself


def ending(returncode: int) -> str:
    """How a process ended, in words."""
    if returncode >= 0:
        return f"exit code {returncode}"
    try:
        return f"killed by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"killed by signal {-returncode}"


async def _is_ready(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(READY_PROBE_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(READY_REQUEST)
                answer = await reader.read(READY_ANSWER_MAX_BYTES)
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
    return answer.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200"))
