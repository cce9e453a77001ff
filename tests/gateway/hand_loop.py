"""An event loop whose clock stands still until the test turns it: timers fire when their time comes, nothing sleeps."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
START_S = 1_000.0


class HandLoop(asyncio.SelectorEventLoop):
    """``turn`` runs what is ready; ``advance`` lets time pass, timer by timer. Tracebacks of broken callbacks are kept."""

    def __init__(self) -> None:
        super().__init__()
        self._now = START_S
        self.broken: list[dict[str, Any]] = []
        self.set_exception_handler(lambda _, context: self.broken.append(context))

    def time(self) -> float:
        return self._now

    def turn(self) -> None:
        """Runs everything that is ready, and what that makes ready."""
        for _ in range(1_000):
            self.call_soon(self.stop)
            self.run_forever()
            if not self._ready:  # type: ignore[attr-defined]
                return
        raise AssertionError("the loop never comes to rest")

    def advance(self, by_s: float) -> None:
        """Lets so much time pass, stopping at every timer on the way."""
        until = self._now + by_s
        self.turn()
        while True:
            due = [t.when() for t in self._scheduled if not t.cancelled()]  # type: ignore[attr-defined]
            following = min(due, default=until)
            if following > until:
                break
            self._now = max(self._now, following)
            self.turn()
            if not due:
                break
        self._now = until
        self.turn()

    def stall(self, by_s: float) -> None:
        """So much time passes while nothing runs, as for a process that is stopped or starved."""
        self._now += by_s

    def do(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Starts ``work`` and runs it as far as it goes without time passing."""
        task = self.create_task(work)
        self.turn()
        return task

    def done(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of ``work``, which needs no time to pass."""
        task = self.do(work)
        assert task.done(), "it waits for something"
        return task.result()
