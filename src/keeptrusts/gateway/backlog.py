"""How much of the journal may wait for the store: past that, no call is admitted, before a disk is full."""

import logging
import math
import sys

from keeptrusts.gateway.journal import Journal
from keeptrusts.gateway.refusals import full

log = logging.getLogger("keeptrusts::gateway")

LOGGED_S = 60.0
"""How often the log says that the journal is full."""


class Backlog:
    """The bound on one journal. ``max_bytes`` None: nobody ships it, so that nothing waits."""

    def __init__(self, journal: Journal, max_bytes: int | None) -> None:
        self._journal = journal
        self._max_bytes = sys.maxsize if max_bytes is None else max_bytes
        self._logged_at = -math.inf

    def allow(self, max_bytes: int) -> None:
        """From now on so much may wait; of a journal that nobody ships nothing does."""
        if self._max_bytes != sys.maxsize:
            self._max_bytes = max_bytes

    @property
    def full(self) -> bool:
        """Whether more waits than may."""
        return self._journal.unshipped_bytes > self._max_bytes

    def refuse_if_full(self, now: float) -> None:
        """Raises Refused(JOURNAL_FULL) while more waits than may."""
        if self._journal.unshipped_bytes > self._max_bytes:
            if now - self._logged_at > LOGGED_S:
                self._logged_at = now
                log.error(
                    "%d bytes of the journal wait for the control plane, and %d may: no more calls until it has caught up.",
                    self._journal.unshipped_bytes,
                    self._max_bytes,
                )
            raise full()
