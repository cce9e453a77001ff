"""The simulated provider's shell: the answers of ``core/providers/simulated.py``, with its latency and its pace."""

import asyncio
import time
from collections.abc import Callable, Iterator

import msgspec

from keeptrusts.core.providers.simulated import simulate_reply, simulate_stream, simulated_fault
from keeptrusts.core.routing.target import SimulatedSettings, Target
from keeptrusts.gateway.journal import Journal
from keeptrusts.gateway.target_state import TargetState
from keeptrusts.gateway.token_count import count_tokens

NANOS_PER_MS = 1_000_000


class SimulatedAnswer:
    """An answer that comes from nowhere, at the pace that the settings ask for."""

    given_id = b""

    def __init__(self, settings: SimulatedSettings, status: int, events: Iterator[bytes], journal: Journal) -> None:
        self._settings = settings
        self._events = events
        self._journal = journal
        self._begun = False
        self.status = status
        self.headers: dict[bytes, bytes] = {}
        self.sent = True
        self.waited_ns = 0

    async def head(self) -> None:
        """Waits for the latency that the settings ask for."""
        if self._begun:
            return
        self._begun = True
        await self._journal.written()
        if self._settings.latency_ms:
            await self._pause(self._settings.latency_ms)

    async def whole(self) -> bytes:
        """The complete body."""
        await self.head()
        return b"".join(self._events)

    async def read(self) -> bytes:
        """The next event; empty at the end."""
        await self.head()
        if self._settings.token_interval_ms:
            await self._pause(self._settings.token_interval_ms)
        return next(self._events, b"")

    def pour(self, outlet: Callable[[bytes], bool]) -> None:
        """Nothing arrives by itself: all is read."""

    async def _pause(self, for_ms: int) -> None:
        await asyncio.sleep(for_ms / 1000)
        self.waited_ns += for_ms * NANOS_PER_MS

    def abandon(self) -> None:
        """Nothing to let go of."""


class SimulatedTarget:
    """A provider in this process: deterministic text, honest usage, no network."""

    def __init__(self, target: Target, state: TargetState) -> None:
        self.state = state
        self._settings = target.simulated or SimulatedSettings()
        self._calls = 0

    def send(
        self,
        path: str,
        lines: bytes,
        body: bytes,
        request_id: bytes,
        whole: bool,
        journal: Journal,
        content_type: str = "",
    ) -> SimulatedAnswer:
        """See ReadyTarget."""
        del path, lines, request_id, content_type
        self._calls += 1
        settings = self._settings
        if settings.fault_every and self._calls % settings.fault_every == 0:
            return SimulatedAnswer(settings, settings.fault_status, iter([simulated_fault(settings)]), journal)
        request = msgspec.json.decode(body)
        now_s = int(time.time())
        if whole:
            reply = simulate_reply(request, settings, count_tokens, now_s)
            return SimulatedAnswer(settings, 200, iter([reply]), journal)
        return SimulatedAnswer(settings, 200, simulate_stream(request, settings, count_tokens, now_s), journal)

    def retire(self) -> None:
        """See ReadyTarget."""

    def close(self) -> None:
        """See ReadyTarget."""
