"""What a gateway process knows of itself beside its money: what it counted of calls, since when it runs, how late its loop is."""

import asyncio
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import msgspec

from keeptrusts.core.rulebook.rulebook import Rulebook
from keeptrusts.gateway.call import Call
from keeptrusts.gateway.call_counts import CallCounts
from keeptrusts.gateway.trace_context import Tracing

LOOK_S = 0.25
"""How often the loop's lag is looked at."""

PAGE_BYTES = 4096
FINGERPRINT_DIGITS = 12


class Observed:
    """One process's observations. ``ended`` is called with every call that ended and its door's name.

    ``in_flight`` says how many requests are being served; ``tracing`` gives calls their traces, where somebody traces;
    ``dropped`` says of how many calls nothing could be told (``afterwards.py``).
    """

    def __init__(self) -> None:
        self.counts = CallCounts()
        self.ended: Callable[[Call, str], None] = self.counts.ended
        self.started_at = time.time()
        self.in_flight: Callable[[], int] = int
        self.tracing: Tracing | None = None
        self.dropped: Callable[[], int] = int
        self._lag_max_s = 0.0

    async def watch_loop(self) -> None:
        """Measures how late the event loop is, over and over."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LOOK_S
            await asyncio.sleep(LOOK_S)
            self._lag_max_s = max(self._lag_max_s, loop.time() - due)

    def take_lag_s(self) -> float:
        """The worst lag since this was last called."""
        lag_s, self._lag_max_s = self._lag_max_s, 0.0
        return lag_s

    @property
    def uptime_s(self) -> float:
        """Since the process began to serve."""
        return max(0.0, time.time() - self.started_at)


def fingerprint(rulebook: Rulebook) -> str:
    """The same rules have the same one, on every node and after every start. The secrets among them can't be read from it."""
    return sha256(msgspec.json.encode(rulebook, order="deterministic")).hexdigest()[:FINGERPRINT_DIGITS]


def resident_bytes() -> int:
    """The process's memory, 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES
    except (OSError, ValueError, IndexError):
        return 0
