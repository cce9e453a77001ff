"""The supervisor: starts the children, waits until all are ready, starts again what dies, and stops everything in order."""

import asyncio
import os
import signal
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from keeptrusts.gateway.hangup import Terminal
from keeptrusts.supervisor.child import Child, ending, start, stop, until_ready
from keeptrusts.supervisor.lifeline import make_lifeline

STOPPING = "Stopping. A second Ctrl-C does not wait for calls under way."


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the supervisor waits for what. A restart's delay doubles up to its bound; a child that ran long starts anew.

    ``stop_grace_s`` lets a gateway finish its calls (30 s) and ship its journal (10 s); a second stop does not wait.
    ``ready_timeout_s`` None: as long as it takes.
    """

    ready_timeout_s: float | None = 60.0
    stop_grace_s: float = 45.0
    restart_delay_s: float = 0.2
    restart_delay_max_s: float = 10.0
    ran_long_s: float = 30.0
    reload_age_s: float = 5.0


class Supervisor:
    """Runs children until ``stop`` is asked for. ``say`` prints a line for people."""

    def __init__(self, say: Callable[[str], None], patience: Patience = Patience()) -> None:
        self._say = say
        self._patience = patience
        self._stopping = asyncio.Event()
        self._hurry = asyncio.Event()
        self._all_ready = False
        self._running: dict[str, tuple[Child, Process]] = {}
        self._order: dict[str, int] = {}
        self._started_s: dict[str, float] = {}
        self._lifeline_fd = -1

    def stop(self) -> None:
        """Asks for an end in order; asked again, for an end at once."""
        if self._stopping.is_set():
            self._hurry.set()
        else:
            self._say(STOPPING)
            self._stopping.set()

    def reload(self) -> None:
        """Tells every child that can to read its configuration. One that was started just now reads it anyway."""
        young_s = asyncio.get_running_loop().time() - self._patience.reload_age_s
        for child, process in self._running.values():
            if child.takes_reload and process.returncode is None and self._started_s[child.name] < young_s:
                process.send_signal(signal.SIGHUP)

    async def run(self, children: Sequence[Child], then: Callable[[], Awaitable[Sequence[Child]]]) -> int:
        """Returns the exit code: 0 after ``stop``, 1 when a child could not be made ready.

        ``then`` is awaited when all are ready, and answers with the children to start after that.
        """
        read_end, write_end = make_lifeline()
        self._lifeline_fd = read_end
        keepers = self._keepers(children)
        try:
            code = await self._until_stopped(children, keepers, then)
        finally:
            self._stopping.set()
            await self._stop_all()
            await asyncio.gather(*keepers)
            os.close(write_end)
            os.close(read_end)
        return code

    async def _until_stopped(
        self,
        children: Sequence[Child],
        keepers: list[asyncio.Task[None]],
        then: Callable[[], Awaitable[Sequence[Child]]],
    ) -> int:
        if not await self._made_ready(children, keepers):
            return 0 if self._stopping.is_set() else 1
        self._all_ready = True
        keepers += self._keepers(await then())
        await self._stopping.wait()
        return 0

    def _keepers(self, children: Sequence[Child]) -> list[asyncio.Task[None]]:
        for child in children:
            self._order[child.name] = len(self._order)
        return [asyncio.create_task(self._keep(child)) for child in children]

    async def _made_ready(self, children: Sequence[Child], keepers: Sequence[asyncio.Task[None]]) -> bool:
        """True when all children are ready; False when one ended first, time ran out or a stop was asked for."""
        probes = {asyncio.create_task(until_ready(child)): child.name for child in children}
        ready = asyncio.gather(*probes)
        stopping = asyncio.create_task(self._stopping.wait())
        whatever_comes_first: set[asyncio.Future[Any]] = {ready, stopping, *keepers}
        try:
            await asyncio.wait(
                whatever_comes_first,
                timeout=self._patience.ready_timeout_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if ready.done():
                return True
            late = [name for probe, name in probes.items() if not probe.done()]
            timeout_s = self._patience.ready_timeout_s
            if timeout_s is not None and not self._stopping.is_set() and not any(keeper.done() for keeper in keepers):
                self._say(f"{' and '.join(late)} not ready after {timeout_s:g} s: stopping")
            return False
        finally:
            ready.cancel()
            stopping.cancel()
            await asyncio.gather(ready, stopping, return_exceptions=True)

    async def _keep(self, child: Child) -> None:
        """Keeps one child running. Ends when a stop is asked for, or the child is not to be started again."""
        patience, delay_s = self._patience, self._patience.restart_delay_s
        clock = asyncio.get_running_loop()
        again = False
        while not self._stopping.is_set():
            started_s = clock.time()
            how = await self._lived(child, again=again)
            again = self._all_ready
            if self._stopping.is_set() or not child.kept:
                return
            if not self._all_ready:
                self._say(f"{child.name} ended before it was ready ({how}): stopping")
                return
            if clock.time() - started_s >= patience.ran_long_s:
                delay_s = patience.restart_delay_s
            self._say(f"{child.name} ended ({how}): starting it again in {delay_s:g} s")
            await self._pause(delay_s)
            delay_s = min(delay_s * 2, patience.restart_delay_max_s)

    async def _lived(self, child: Child, again: bool) -> str:
        """Runs the child once, to its end; says how it ended."""
        try:
            process = await start(child, self._lifeline_fd, again)
        except OSError as trouble:
            return f"not started: {trouble.strerror}"
        self._running[child.name] = child, process
        self._started_s[child.name] = asyncio.get_running_loop().time()
        if self._stopping.is_set():
            # Asked to stop while it was being started: whoever stops the others has not seen this one.
            await stop(process, self._hurry, self._patience.stop_grace_s)
        return ending(await process.wait())

    async def _pause(self, delay_s: float) -> None:
        try:
            async with asyncio.timeout(delay_s):
                await self._stopping.wait()
        except TimeoutError:
            return

    async def _stop_all(self) -> None:
        """Stops the children, the last one first: who was started on top of another ends before it, a team all at once."""
        last_first = sorted(self._running.values(), key=lambda it: self._order[it[0].name], reverse=True)
        for _, together in groupby(last_first, key=lambda it: it[0].team or it[0].name):
            await asyncio.gather(*(self._stop_one(child, process) for child, process in together))

    async def _stop_one(self, child: Child, process: Process) -> None:
        if not await stop(process, self._hurry, self._patience.stop_grace_s):
            self._say(f"{child.name} did not stop in time and was killed")


def stop_on_signals(supervisor: Supervisor) -> None:
    """Lets Ctrl-C, SIGTERM and a closed terminal stop the supervisor; the second of them at once. Any other SIGHUP is passed on
    to the children that take it as a reload."""
    loop = asyncio.get_running_loop()
    terminal = Terminal()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, supervisor.stop)
    loop.add_signal_handler(signal.SIGHUP, lambda: supervisor.stop() if terminal.gone else supervisor.reload())
