"""An event loop for many processes at once, on a clock that nobody waits for, whose order is drawn from a seed.

Every callback belongs to a process, found by its context. Between two callbacks the loop chooses which process goes on; within
one the order is asyncio's own. When nobody is ready, time jumps to the next timer.
"""

import asyncio
import contextvars
import gc
import heapq
import os
import random
import warnings
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any
from zlib import crc32

STEP_S = 0.000_02
"""How much time each callback takes."""

START_S = 1_000.0


class Stuck(Exception):
    """Nothing is ready, no timer runs, and the end has not come: whoever waits would wait for ever."""


class Process:
    """What dies as one. ``killed`` is called when it does, before anything else happens; ``fuse`` counts down to that."""

    def __init__(self, loop: "VirtualLoop", name: str, host: Any = None) -> None:
        self.loop = loop
        self.name = name
        self.host = host
        self.number = loop.number_process()
        self.alive = True
        self.stopped_until = 0.0
        self.fuse = -1
        self.ready: deque[asyncio.Handle] = deque()
        self.tasks: list[asyncio.Task[Any]] = []
        self.timers: list[asyncio.Handle] = []
        self.belongings: list[Any] = []
        self._pruned_at = 64

    def spawn(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Starts ``work`` in this process."""
        if not self.alive:
            work.close()
            raise RuntimeError(f"{self.name} is dead")
        return self.loop.create_task(work, context=self.context())

    def context(self) -> contextvars.Context:
        """A context whose callbacks are this process's."""
        context = contextvars.Context()
        context.run(HERE.set, self)
        return context

    def later(self, delay_s: float, act: Callable[..., None], *arguments: Any) -> None:
        """Calls ``act`` in this process after a while."""
        if self.alive:
            self.loop.call_later(delay_s, act, *arguments, context=self.context())

    def own(self, task: "asyncio.Task[Any]") -> None:
        """Keeps the task, so that a dead process's coroutines are never collected, and so closed, before the end."""
        self.tasks.append(task)
        if len(self.tasks) >= self._pruned_at:
            self.tasks = [each for each in self.tasks if not each.done()]
            self._pruned_at = max(64, 2 * len(self.tasks))

    def __repr__(self) -> str:
        return f"<{self.name}>"


HERE: contextvars.ContextVar[Process] = contextvars.ContextVar("here")


class VirtualFuture(asyncio.Future[Any]):
    """A future that hashes by its number: sets of them are walked through in the same order in every run."""

    def __init__(self, loop: "VirtualLoop") -> None:
        self._serial = loop.next_serial()
        super().__init__(loop=loop)

    def __hash__(self) -> int:
        return self._serial


class VirtualTask(asyncio.Task[Any]):
    """A task that hashes by its number."""

    def __init__(self, work: Coroutine[Any, Any, Any], *, loop: "VirtualLoop", context: Any = None) -> None:
        self._serial = loop.next_serial()
        super().__init__(work, loop=loop, context=context)
        self._log_destroy_pending = False

    def __hash__(self) -> int:
        return self._serial


class _Ready:
    """Where asyncio puts callbacks: each goes to its process."""

    def __init__(self, loop: "VirtualLoop") -> None:
        self._loop = loop

    def append(self, handle: asyncio.Handle) -> None:
        process = handle._context.get(HERE, None) or self._loop.outside  # type: ignore[attr-defined]
        if process.alive:
            if not process.ready and process.stopped_until == 0.0:
                self._loop.runnable.append(process)
            process.ready.append(handle)
        else:
            process.timers.append(handle)

    def __len__(self) -> int:
        return sum(len(process.ready) for process in self._loop.runnable)

    def clear(self) -> None:
        """Asyncio clears it at the end."""


class VirtualLoop(asyncio.BaseEventLoop):
    """``after_step`` is called with the process whose callback has just run; ``on_kill`` when a process dies."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._dice = random.Random(f"order {seed}")
        self._now = START_S
        self._serials = 0
        self._processes = 0
        self.steps = 0
        self.trace = 0
        self.runnable: list[Process] = []
        self.dead: list[Process] = []
        self.broken: list[dict[str, Any]] = []
        self.synced: dict[tuple[int, int], int] = {}
        self.sync_s: Callable[[], float] = lambda: 0.001
        self.outside = Process(self, "outside")
        self.after_step: Callable[[Process], None] | None = None
        self._ready = _Ready(self)  # type: ignore[assignment]
        self.set_task_factory(lambda loop, work, **more: self._task(work, **more))
        self.set_exception_handler(lambda _, context: self.broken.append(context))

    def number_process(self) -> int:
        self._processes += 1
        return self._processes

    def next_serial(self) -> int:
        self._serials += 1
        return self._serials

    def time(self) -> float:
        return self._now

    def create_future(self) -> Any:
        return VirtualFuture(self)

    def _task(self, work: Any, *, context: contextvars.Context | None = None, **_: Any) -> VirtualTask:
        task = VirtualTask(work, loop=self, context=context)
        process = (context or contextvars.copy_context()).get(HERE, None) or self.outside
        process.own(task)
        return task

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:  # type: ignore[override]
        """What threads would do is done by the loop, in order; a sync of a file takes its time."""
        future = self.create_future()
        if func is os.fdatasync:
            self.call_later(self.sync_s(), self._sync, future, *args)
        else:
            self.call_soon(self._work, future, func, args)
        return future

    def _work(self, future: Any, func: Callable[..., Any], args: tuple[Any, ...]) -> None:
        try:
            result = func(*args)
        except Exception as error:
            if not future.cancelled():
                future.set_exception(error)
        else:
            if not future.cancelled():
                future.set_result(result)

    def _sync(self, future: Any, descriptor: int) -> None:
        try:
            status = os.fstat(descriptor)
        except OSError as error:
            # Closed meanwhile.
            if not future.cancelled():
                future.set_exception(error)
            return
        self.synced[status.st_dev, status.st_ino] = status.st_size
        if not future.cancelled():
            future.set_result(None)

    def _process_events(self, event_list: Any) -> None:
        """There are no sockets."""

    def _write_to_self(self) -> None:
        """Nobody waits in a selector."""

    def _run_once(self) -> None:
        scheduled = self._scheduled  # type: ignore[attr-defined]
        while scheduled and (scheduled[0]._cancelled or scheduled[0]._when <= self._now):
            handle = heapq.heappop(scheduled)
            handle._scheduled = False
            if not handle._cancelled:
                self._ready.append(handle)
        if not self.runnable:
            if not scheduled:
                raise Stuck("nothing is ready and no timer runs")
            self._now = max(self._now, scheduled[0]._when)
            return
        at = int(self._dice.random() * len(self.runnable))
        process = self.runnable[at]
        handle = process.ready.popleft()
        if not process.ready:
            del self.runnable[at]
        if handle._cancelled:
            return
        self._now += STEP_S
        self.steps += 1
        self.trace = crc32(b"%d %d" % (process.number, len(process.ready)), self.trace)
        handle._run()
        if process.fuse >= 0:
            process.fuse -= 1
        if self.after_step is not None:
            self.after_step(process)

    def stop_process(self, process: Process, for_s: float) -> None:
        """The process does not run for a while, as after SIGSTOP; its timers come due meanwhile."""
        if not process.alive or process.stopped_until:
            return
        process.stopped_until = self._now + for_s
        if process.ready:
            self.runnable.remove(process)
        self.outside.later(for_s, self._continue, process)

    def _continue(self, process: Process) -> None:
        process.stopped_until = 0.0
        if process.alive and process.ready:
            self.runnable.append(process)

    def kill(self, process: Process) -> None:
        """The process is gone, in the middle of whatever it did: nothing of it runs again, not even its ``finally``."""
        if not process.alive:
            return
        process.alive = False
        if process.ready and not process.stopped_until:
            self.runnable.remove(process)
        process.timers.extend(process.ready)
        process.ready.clear()
        self.dead.append(process)

    def bury(self) -> None:
        """After the run: what the dead and the living left suspended is closed where it can do nothing any more.

        Closing runs what is left of their ``finally``, which finds no loop: that it begins steps which nobody awaits is
        expected, here and in what the collector finds of them. Nothing of it may surface in whatever runs next.
        """
        self.close()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r"coroutine '.*' was never awaited", category=RuntimeWarning)
            self._close_all()
            gc.collect()

    def _close_all(self) -> None:
        for process in (*self.dead, self.outside):
            for task in process.tasks:
                if not task.done():
                    with suppress(BaseException):
                        task.get_coro().close()  # type: ignore[union-attr]
            process.tasks.clear()
            process.timers.clear()
            process.belongings.clear()
        self.dead.clear()
        self._scheduled.clear()  # type: ignore[attr-defined]
