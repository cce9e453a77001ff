"""Recovering what crashed nodes left, when a gateway starts: before its calls need the money in it, but not for ever."""

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path

from keeptrusts.core.link import Registration
from keeptrusts.gateway.adoption import adopt_journals, ship_retired
from keeptrusts.gateway.link import Link, LinkDown

log = logging.getLogger("keeptrusts::gateway")

RETRY_S = (0.1, 0.2, 0.5, 1.0, 2.0)

WAIT_S = 5.0
"""How long a start waits for the recovery; what takes longer goes on beside the calls."""


class Recovery:
    """Adopts the journals under ``root`` whose nodes are gone, again and again until the store takes them.

    ``keep`` is told of the task that does it, so that it ends with the node. ``keep_s``: see adopt_journals.
    """

    def __init__(
        self,
        root: Path,
        link_for: Callable[[], Link] | None,
        keep_s: float,
        keep: Callable[[asyncio.Task[None]], None],
    ) -> None:
        self._root = root
        self._link_for = link_for
        self._keep_s = keep_s
        self._keep = keep
        self._task: asyncio.Task[None] | None = None

    async def first(self, registration: Registration) -> None:
        """Recovers everything, or waits WAIT_S for it; ``registration`` is how the dead nodes are introduced."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._recover(registration))
            self._keep(self._task)
        done, _ = await asyncio.wait({self._task}, timeout=WAIT_S)
        if done:
            self._task.result()
        else:
            log.warning("Recovering what crashed gateways left takes long: it goes on beside the calls.")

    async def _recover(self, registration: Registration) -> None:
        failures = 0
        while True:
            try:
                await adopt_journals(self._root, registration, self._link_for, time.time_ns, self._keep_s)
                return
            except LinkDown as error:
                if failures == 0:
                    log.warning("What crashed gateways left can't be recovered yet: %s", error)
            await asyncio.sleep(RETRY_S[min(failures, len(RETRY_S) - 1)])
            failures += 1

    async def ship_retired(self, registration: Registration) -> None:
        """The store was put back to an older state: what it lacks of journals that had ended well is shipped again."""
        if self._link_for is None:
            return
        failures = 0
        while True:
            try:
                await ship_retired(self._root, registration, self._link_for)
                return
            except LinkDown as error:
                if failures == 0:
                    log.warning("Journals that had ended can't be shipped again yet: %s", error)
            await asyncio.sleep(RETRY_S[min(failures, len(RETRY_S) - 1)])
            failures += 1
