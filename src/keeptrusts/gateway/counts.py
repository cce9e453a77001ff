"""The memory of counters for names that clients make up, and the one that all workers of a port share."""

import mmap
import os
import time
from collections.abc import Iterable
from hashlib import blake2b

from keeptrusts.core.limits.gate import Gate
from keeptrusts.core.limits.meter import Memory, Meter, OwnMemory, Places
from keeptrusts.core.limits.quotas import UNLIMITED_QUOTAS, Counted
from keeptrusts.core.limits.window import (
    BUCKETS,
    COARSE_BUCKETS,
    FINE_S,
    HEAD,
    Cells,
    bucket_s_of,
    buckets_of,
    is_over,
)
from keeptrusts.gateway.name_table import DIGEST_BYTES, NameTable
from keeptrusts.gateway.turns import GENERATION, HEAD_WORDS, KEY, PLACES_USED, WINDOWS_USED, GuardedGate, Turns

WORD_BYTES = 8
INDEX_ENTRIES, INDEX_WORDS, PROBES = 1 << 17, 3, 64
WINDOW_WORDS = 16 * 1024 * 1024
PLACES_MAX = 64
PLACES_WORDS = PLACES_MAX << 16
FINE_SETS, COARSE_SETS, PLACES_SETS = 1 << 14, 1 << 12, 1 << 10
FINE_CELLS = BUCKETS + buckets_of(FINE_S, 1)
COARSE_CELLS = BUCKETS + COARSE_BUCKETS + 2
CROWD = "crowd"
"""What all scopes are, together, that find no room of their own."""

CROWD_SHARE = 1_000
"""One part in so many of the room is the crowd's."""

WINDOWS = HEAD_WORDS + INDEX_ENTRIES * INDEX_WORDS
PLACES = WINDOWS + WINDOW_WORDS
NAMES = PLACES + PLACES_WORDS
NAMES_WORDS = (
    NameTable.words(FINE_SETS, FINE_CELLS)
    + NameTable.words(COARSE_SETS, COARSE_CELLS)
    + NameTable.words(PLACES_SETS, PLACES_MAX)
)
SHARED_BYTES = WORD_BYTES * (NAMES + NAMES_WORDS)
"""Most of it is never touched, and takes no room then."""


class NamedMemory:
    """Counters of names that clients make up: as ``Memory``, but what it gave is to be asked for again whenever
    ``generation`` has changed. ``lasting`` is where the crowd is counted."""

    def __init__(self, words: memoryview, head: memoryview, own: int, lasting: Memory) -> None:
        self.own = own
        self._head = head
        self._crowd = Meter(CROWD, UNLIMITED_QUOTAS, lasting)
        key = bytes(head[KEY : KEY + 2])
        coarse = NameTable.words(FINE_SETS, FINE_CELLS)
        places = coarse + NameTable.words(COARSE_SETS, COARSE_CELLS)
        self._fine = NameTable(words[:coarse], FINE_SETS, FINE_CELLS, key, _window_over, self._renamed)
        self._coarse = NameTable(words[coarse:places], COARSE_SETS, COARSE_CELLS, key, _window_over, self._renamed)
        self._places = NameTable(words[places:], PLACES_SETS, PLACES_MAX, key, _nobody_runs, self._renamed)

    @property
    def generation(self) -> int:
        """Changes when a record gets another owner."""
        return self._head[GENERATION]

    def window(self, scope: str, counts: Counted, window_s: int) -> Cells:
        """See Memory."""
        table = self._fine if window_s <= FINE_S else self._coarse
        cells = table.find(f"{counts} {window_s} {scope}", window_s)
        if cells is None:
            return self._crowd.window(counts, window_s).cells
        if cells[HEAD] == 0:
            # Else it would look as if it had been over for long, before it is used first.
            cells[HEAD] = int(time.monotonic()) // bucket_s_of(window_s)
        return cells

    def places(self, scope: str) -> Places:
        """See Memory."""
        cells = self._places.find(scope, 0)
        return self._crowd.places if cells is None else cells

    def clear_own(self) -> None:
        """Whoever had this number before is gone, and its calls with it."""
        self._places.clear_column(self.own)

    def _renamed(self) -> None:
        self._head[GENERATION] += 1


def own_names() -> NamedMemory:
    """The names of a process that counts alone."""
    words = memoryview(mmap.mmap(-1, WORD_BYTES * (HEAD_WORDS + NAMES_WORDS))).cast("q")
    head = words[:HEAD_WORDS]
    _draw_key(head)
    return NamedMemory(words[HEAD_WORDS:], head, 0, OwnMemory())


def new_counts() -> int:
    """Makes the memory that workers share: the descriptor of a file without a name, for them to inherit."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("keeptrusts-limits", 0)
    else:
        import tempfile

        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.ftruncate(fd, SHARED_BYTES)
    _draw_key(memoryview(mmap.mmap(fd, HEAD_WORDS * WORD_BYTES)).cast("q"))
    return fd


class SharedMemory:
    """The memory of one of several workers. What it gives for a scope is the same for all of them, and for ever.

    It is asked within a turn only. What a worker made in a turn that it did not live to end may be lost room.
    """

    def __init__(self, fd: int, number: int) -> None:
        """``number`` is this worker's place; what a dead one of that number had under way is over."""
        self.own = number
        words = memoryview(mmap.mmap(fd, SHARED_BYTES)).cast("q")
        self._head, self._index = words[:HEAD_WORDS], words[HEAD_WORDS:WINDOWS]
        self._windows, self._places = words[WINDOWS:PLACES], words[PLACES:NAMES]
        self._key = bytes(self._head[KEY : KEY + 2])
        self.turns = Turns(fd, self._head)
        self.names = NamedMemory(words[NAMES:], self._head, number, self)
        with self.turns:
            for start in range(0, self._head[PLACES_USED], PLACES_MAX):
                self._places[start + number] = 0
            self.names.clear_own()

    def window(self, scope: str, counts: Counted, window_s: int) -> Cells:
        """See Memory."""
        size = BUCKETS + buckets_of(window_s, bucket_s_of(window_s))
        return self._of(f"{counts} {window_s} ", scope, self._windows, WINDOWS_USED, size)

    def places(self, scope: str) -> memoryview:
        """See Memory."""
        return self._of("places ", scope, self._places, PLACES_USED, PLACES_MAX)

    @property
    def name(self) -> str:
        """What tells this memory from another host's."""
        return self._key.hex()

    def gate(self, meters: Iterable[Meter], shown: bool, parts: int) -> Gate:
        """The gate of these meters, which takes turns with the other workers'."""
        with self.turns:
            return GuardedGate(meters, shown, parts, self.turns)

    def _of(self, kind: str, scope: str, room: memoryview, used_word: int, size: int) -> memoryview:
        digest = blake2b((kind + scope).encode(), digest_size=DIGEST_BYTES, key=self._key).digest()
        low, high = int.from_bytes(digest[:8], "little", signed=True), int.from_bytes(digest[8:], "little", signed=True)
        index, head = self._index, self._head
        first = low % INDEX_ENTRIES
        for probe in range(first, first + PROBES):
            at = probe % INDEX_ENTRIES * INDEX_WORDS
            offset = index[at + 2] - 1
            if offset >= 0 and (index[at], index[at + 1]) == (low, high):
                return room[offset : offset + size]
            if offset < 0:
                offset = head[used_word]
                kept_free = 0 if scope == CROWD else len(room) // CROWD_SHARE
                if offset + size > len(room) - kept_free:
                    break
                head[used_word] = offset + size
                index[at], index[at + 1], index[at + 2] = low, high, offset + 1
                return room[offset : offset + size]
        return self._of(kind, CROWD, room, used_word, size)


def _draw_key(head: memoryview) -> None:
    head[KEY], head[KEY + 1] = (int.from_bytes(os.urandom(WORD_BYTES), "little", signed=True) for _ in range(2))


def _window_over(cells: memoryview, window_s: int) -> bool:
    return is_over(cells, window_s, int(time.monotonic()))


def _nobody_runs(cells: memoryview, _: int) -> bool:
    return not any(cells)
