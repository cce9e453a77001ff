"""The supervisor: all ready or nothing, what dies comes back, an end in order, and nothing left behind."""

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from keeptrusts.supervisor.child import Child, ending
from keeptrusts.supervisor.supervise import STOPPING, Patience, Supervisor
from tests.supervisor.registrar import DEADLINE_S, ROOT, Registrar, fake, free_port, registrar

QUICK = Patience(restart_delay_s=0.01, restart_delay_max_s=0.04)


class Run:
    """A supervisor at work inside the test, and what it said."""

    def __init__(self, children: Sequence[Child], later: Sequence[Child] = (), patience: Patience = QUICK) -> None:
        self.said: list[str] = []
        self.ready = asyncio.Event()
        self._later = later
        self.supervisor = Supervisor(self._heard, patience)
        self._task = asyncio.create_task(self.supervisor.run(children, self._then))

    def _heard(self, line: str) -> None:
        if line != STOPPING:
            self.said.append(line)

    async def _then(self) -> Sequence[Child]:
        self.ready.set()
        return self._later

    async def stop(self) -> int:
        self.supervisor.stop()
        return await self.ended()

    async def ended(self) -> int:
        async with asyncio.timeout(DEADLINE_S):
            return await self._task


def test_all_ready_then_what_comes_after_and_an_end_in_order() -> None:
    """The last one started ends first: the gateway's last words need the API."""

    async def story(at: Registrar) -> None:
        run = Run(
            [fake("api", at, ready_port=free_port()), fake("gateway", at, ready_port=free_port())], [fake("demo", at)]
        )
        api, gateway = await at.these("api", "gateway")
        demo = await at.next()
        order: list[str] = []
        watches = [asyncio.create_task(note_end(child.name, child.gone(), order)) for child in (api, gateway, demo)]
        assert await run.stop() == 0
        await asyncio.gather(*watches)
        assert order == ["demo", "gateway", "api"]
        assert run.said == []

    tell(story)


def test_a_team_is_stopped_together_after_what_came_later() -> None:
    """Each may need long to end: the last one must not wait for the first. A deaf one does not keep the others."""

    async def story(at: Registrar) -> None:
        team = [replace(fake(f"gateway-{n}", at, *how), team="gateway") for n, how in ((1, ["deaf"]), (2, []))]
        run = Run([fake("api", at), *team], patience=Patience(stop_grace_s=0.5))
        api, first, second = await at.these("api", "gateway-1", "gateway-2")
        order: list[str] = []
        watches = [asyncio.create_task(note_end(child.name, child.gone(), order)) for child in (api, first, second)]
        assert await run.stop() == 0
        await asyncio.gather(*watches)
        assert order == ["gateway-2", "gateway-1", "api"]
        assert run.said == ["gateway-1 did not stop in time and was killed"]

    tell(story)


def test_a_dead_child_is_started_again_with_a_growing_bounded_delay() -> None:
    async def story(at: Registrar) -> None:
        run = Run([fake("gateway", at, ready_port=free_port())])
        gateway = await at.next()
        await run.ready.wait()
        for _ in range(4):
            os.kill(gateway.pid, signal.SIGKILL)
            gateway = await at.next()
        await gateway.exit(3)
        await at.next()
        assert await run.stop() == 0
        assert run.said == [
            f"gateway ended ({how}): starting it again in {delay} s"
            for how, delay in [
                ("killed by SIGKILL", "0.01"),
                ("killed by SIGKILL", "0.02"),
                ("killed by SIGKILL", "0.04"),
                ("killed by SIGKILL", "0.04"),
                ("exit code 3", "0.04"),
            ]
        ]

    tell(story)


def test_a_child_that_ran_long_is_started_again_without_delay() -> None:
    async def story(at: Registrar) -> None:
        patience = Patience(restart_delay_s=0.01, restart_delay_max_s=1, ran_long_s=0)
        run = Run([fake("gateway", at, ready_port=free_port())], patience=patience)
        gateway = await at.next()
        await run.ready.wait()
        for _ in range(3):
            await gateway.exit(1)
            gateway = await at.next()
        assert await run.stop() == 0
        assert {line.rpartition(" in ")[2] for line in run.said} == {"0.01 s"}

    tell(story)


def test_a_child_that_ends_before_it_is_ready_stops_everything() -> None:
    async def story(at: Registrar) -> None:
        run = Run([fake("api", at, ready_port=free_port()), never_ready("gateway", at)])
        api, gateway = await at.these("api", "gateway")
        await gateway.exit(2)
        assert await run.ended() == 1
        await api.gone()
        assert run.said == ["gateway ended before it was ready (exit code 2): stopping"]
        assert not run.ready.is_set()

    tell(story)


def test_a_child_that_never_gets_ready_stops_everything() -> None:
    async def story(at: Registrar) -> None:
        children = [
            fake("api", at),
            never_ready("gateway", at),
        ]
        run = Run(children, patience=Patience(ready_timeout_s=0.5))
        assert await run.ended() == 1
        assert run.said == ["gateway not ready after 0.5 s: stopping"]

    tell(story)


def test_a_stop_before_all_are_ready_is_a_good_end() -> None:
    async def story(at: Registrar) -> None:
        run = Run([never_ready("gateway", at)])
        gateway = await at.next()
        assert await run.stop() == 0
        await gateway.gone()
        assert run.said == []

    tell(story)


def test_a_child_that_cannot_be_started_stops_everything() -> None:
    async def story(at: Registrar) -> None:
        run = Run([fake("api", at), Child("gateway", ("/no/such/program",), {}, unanswered())])
        assert await run.ended() == 1
        assert run.said == ["gateway ended before it was ready (not started: No such file or directory): stopping"]

    tell(story)


def test_who_is_not_kept_is_not_started_again() -> None:
    async def story(at: Registrar) -> None:
        run = Run([fake("api", at)], [fake("demo", at, kept=False)])
        _, demo = await at.these("api", "demo")
        await demo.exit(0)
        assert await run.stop() == 0
        assert run.said == []
        assert not at.has_more

    tell(story)


def test_a_child_that_does_not_listen_is_killed_when_its_time_is_up() -> None:
    async def story(at: Registrar) -> None:
        run = Run([fake("gateway", at, "deaf")], patience=Patience(stop_grace_s=0.1))
        gateway = await at.next()
        assert await run.stop() == 0
        await gateway.gone()
        assert run.said == ["gateway did not stop in time and was killed"]

    tell(story)


def test_a_second_stop_does_not_wait() -> None:
    async def story(at: Registrar) -> None:
        run = Run([fake("gateway", at, "deaf")], patience=Patience(stop_grace_s=3_600))
        gateway = await at.next()
        run.supervisor.stop()
        assert await run.stop() == 0
        await gateway.gone()

    tell(story)


def test_a_killed_supervisor_takes_its_children_with_it() -> None:
    async def story(at: Registrar) -> None:
        async with supervisor_process(at) as process:
            api, gateway = await at.these("api", "gateway")
            await says_ready(process)
            process.kill()
            await api.gone()
            await gateway.gone()

    tell(story)


def test_a_supervisor_killed_before_its_children_are_ready_takes_them_too() -> None:
    async def story(at: Registrar) -> None:
        async with supervisor_process(at) as process:
            first = await at.next()
            process.kill()
            await first.gone()
            # The other one may have been started and not have reported: if it did, it ends too.
            if at.has_more:
                await (await at.next()).gone()

    tell(story)


def test_sigterm_ends_supervisor_and_children_and_is_a_good_end() -> None:
    async def story(at: Registrar) -> None:
        async with supervisor_process(at) as process:
            api, gateway = await at.these("api", "gateway")
            await says_ready(process)
            process.terminate()
            await api.gone()
            await gateway.gone()
            assert await process.wait() == 0

    tell(story)


def test_how_a_process_ended_is_said_in_words() -> None:
    assert [ending(0), ending(3), ending(-9), ending(-99)] == [
        "exit code 0",
        "exit code 3",
        "killed by SIGKILL",
        "killed by signal 99",
    ]


def tell(story: Callable[[Registrar], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with registrar() as at:
            await story(at)

    asyncio.run(whole())


def never_ready(name: str, at: Registrar) -> Child:
    """A fake child that listens nowhere, while its readiness is asked for at a port."""
    return replace(fake(name, at), ready_port=unanswered())


def unanswered() -> int:
    """A port where nobody listens, nor can before this process has ended."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    taken.detach()
    assert isinstance(port, int)
    return port


async def note_end(name: str, end: Awaitable[None], order: list[str]) -> None:
    await end
    order.append(name)


async def says_ready(process: Process) -> None:
    assert process.stdout
    async with asyncio.timeout(DEADLINE_S):
        assert await process.stdout.readline() == b"ready\n"


@asynccontextmanager
async def supervisor_process(at: Registrar) -> AsyncIterator[Process]:
    """A supervisor of its own with an api and a gateway; killed at the end if it is left."""
    ports = [f"{name}={free_port()}" for name in ("api", "gateway")]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.supervisor.fake_supervisor", str(at.port), *ports, cwd=ROOT, stdout=PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        assert process.stdout
        await process.stdout.read()  # ends when the last that inherited it has ended
        await process.wait()
