"""What is done with calls after they ended, beside them: a bounded queue and a thread for each thing that is done.

The loop only appends. When a sink is slower than the calls, or hangs, its queue fills and further calls are left out and
counted; no call ever waits.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic, time_ns
from typing import Protocol

from keeptrusts.gateway.call import Call

log = logging.getLogger("keeptrusts::gateway")

QUEUE_MAX = 16_384
BATCH_MAX = 128
"""Small, since the thread holds the interpreter while it works on one."""

LOOK_S = 0.25
STOP_S = 3.0
"""How long all sinks may take with what is left once the gateway has stopped."""


class Ended:
    """A call that ended, its door's name, and when (Unix nanoseconds)."""

    __slots__ = ("at_ns", "call", "door")

    def __init__(self, call: Call, door: str, at_ns: int) -> None:
        self.call = call
        self.door = door
        self.at_ns = at_ns


class Sink(Protocol):
    """Takes calls that ended, in its thread; what it raises is logged once, and the batch is lost."""

    def take(self, batch: Sequence[Ended]) -> int:
        """Does its work; returns how many of the calls it could not deliver."""

    def close(self) -> None:
        """Delivers what it holds back, within a few seconds."""


class Line:
    """One sink's queue and thread: a sink that hangs keeps no other waiting. ``dropped`` counts what it did not get."""

    def __init__(self, sink: Sink, name: str) -> None:
        self.dropped = 0
        self._sink = sink
        self._name = name
        self._queue: deque[Ended] = deque()
        self._stopping = threading.Event()
        self._complained = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begins to work."""
        self._thread.start()

    def note(self, ended: Ended) -> None:
        """Leaves a call to the sink; on the loop."""
        if len(self._queue) >= QUEUE_MAX:
            self.dropped += 1
        else:
            self._queue.append(ended)

    def stop(self, within_s: float) -> None:
        """Gives the sink what is left; blocks for ``within_s`` at most."""
        self._stopping.set()
        self._thread.join(within_s)
        if self._thread.is_alive():
            log.warning("The %s did not get the last calls: it could not take them in time.", self._name)

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_S):
            self._drain()
        self._drain()
        try:
            self._sink.close()
        except Exception as error:
            self._complain(error)

    def _drain(self) -> None:
        while self._queue:
            batch = [self._queue.popleft() for _ in range(min(BATCH_MAX, len(self._queue)))]
            try:
                lost = self._sink.take(batch)
            except Exception as error:
                lost = len(batch)
                self._complain(error)
            if lost and not self.dropped:
                log.warning(
                    "The %s does not take what it should get: calls go on, and what it misses is counted.", self._name
                )
            self.dropped += lost

    def _complain(self, error: Exception) -> None:
        if not self._complained:
            self._complained = True
            log.error("The %s failed: %s: %s", self._name, type(error).__name__, error)


class Afterwards:
    """``ended`` counts a call by ``count`` and leaves it to every line."""

    def __init__(self, count: Callable[[Call, str], None], lines: Sequence[Line]) -> None:
        self._count = count
        self._lines = lines

    def ended(self, call: Call, door: str) -> None:
        """A call ended; on the loop."""
        self._count(call, door)
        ended = Ended(call, door, time_ns())
        for line in self._lines:
            line.note(ended)

    def dropped(self) -> int:
        """What lines did not get, each call once for each line."""
        return sum(line.dropped for line in self._lines)

    def start(self) -> None:
        """Begins to work."""
        for line in self._lines:
            line.start()

    def stop(self) -> None:
        """Delivers what is left, within STOP_S; blocks so long."""
        ends = monotonic() + STOP_S
        for line in self._lines:
            line.stop(max(0.0, ends - monotonic()))
