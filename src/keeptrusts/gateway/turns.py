"""How workers take turns at the limits that they share: by a lock on the memory's file, which the kernel takes back from
whoever dies.

Who dies in the middle of a change leaves a mark. Whoever has the next turn counts that up, and every gate that sees another
count than when it was used last mends its windows first.
"""

import time
from collections.abc import Iterable
from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, lockf

from keeptrusts.core.limits.gate import Exceeded, Gate, Permit
from keeptrusts.core.limits.meter import Meter

HEAD_WORDS = 64
CHANGING, MENDS, GENERATION, WINDOWS_USED, PLACES_USED, KEY = 0, 1, 2, 3, 4, 8
"""Words of the shared memory's head: whether somebody has a turn; how often somebody died in one; how often a made-up name's
record has changed its owner; how much of the room for windows and for places is used; two words of a secret for hashes."""

WAIT_S = 0.25
IGNORED_S = 1.0
"""A turn that is not had within WAIT_S (its holder was stopped in these few microseconds) is taken anyhow, and so are those
of the next second: rather a count that is off by a few than a gateway that stands still."""

LOOK_AGAIN_S = 0.00005
AT_ONCE = LOCK_EX | LOCK_NB


class Turns:
    """A worker's way to be the only one at the shared memory. Not to be taken within a turn."""

    __slots__ = ("_fd", "_ignored_until", "_locked", "head")

    def __init__(self, fd: int, head: memoryview) -> None:
        self._fd = fd
        self.head = head
        self._ignored_until = 0.0
        self._locked = False

    def __enter__(self) -> None:
        try:
            lockf(self._fd, AT_ONCE)
            self._locked = True
        except OSError:
            self._locked = self._wait()
        head = self.head
        if head[CHANGING]:
            head[MENDS] += 1
        head[CHANGING] = 1

    def __exit__(self, *_: object) -> None:
        self.head[CHANGING] = 0
        if self._locked:
            lockf(self._fd, LOCK_UN)

    def _wait(self) -> bool:
        until = time.monotonic() + WAIT_S
        if until < self._ignored_until + WAIT_S:
            return False
        while time.monotonic() < until:
            time.sleep(LOOK_AGAIN_S)
            try:
                lockf(self._fd, AT_ONCE)
            except OSError:
                continue
            return True
        self._ignored_until = time.monotonic() + IGNORED_S
        return False


class GuardedGate(Gate):
    """A gate over memory that several workers share."""

    __slots__ = ("_mends", "_turns")

    def __init__(self, meters: Iterable[Meter], shown: bool, parts: int, turns: Turns) -> None:
        super().__init__(meters, shown, parts)
        self._turns = turns
        self._mends = -1

    def enter(self, tokens: int, now_s: int) -> Permit | Exceeded:
        """See Gate."""
        with self._turns:
            if self._mends != self._turns.head[MENDS]:
                self._mend()
            return Gate.enter(self, tokens, now_s)

    def note(self, tokens: int, now_s: int) -> Permit:
        """See Gate."""
        with self._turns:
            if self._mends != self._turns.head[MENDS]:
                self._mend()
            return super().note(tokens, now_s)

    def leave(self, tokens: int, used_tokens: int | None, taken_s: int, now_s: int) -> None:
        """See Gate. A worker's own places are its own to change."""
        if not self.counts_tokens:
            self.move(-1)
            return
        with self._turns:
            super().leave(tokens, used_tokens, taken_s, now_s)

    def _mend(self) -> None:
        for row in (*self._requests, *self._tokens):
            row[4].mend()
        self._mends = self._turns.head[MENDS]
