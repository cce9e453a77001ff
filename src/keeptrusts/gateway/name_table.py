"""Counters for names that clients make up (users in headers, addresses): a table of a fixed size in which nobody who counts
is displaced.

A name has its place among a few that its hash decides. A place may be taken over once all that was counted there has left
its window, which loses nothing. Names that find no place are a crowd, for the caller to count as one.
"""

from collections.abc import Callable
from hashlib import blake2b

WAYS = 8
HEADER = 3
"""Words before a record's cells: the name's digest (two), and what the cells are for (a window's length)."""

DIGEST_BYTES = 16

IsOver = Callable[[memoryview, int], bool]
"""Whether the cells, used for this purpose, say nothing any more."""


class NameTable:
    """``sets`` times WAYS records of ``cells`` words over ``memory``; ``words`` says how long that is.

    ``changed`` is called when a record changes its owner: whoever remembers where a name is must look again.
    """

    def __init__(
        self, memory: memoryview, sets: int, cells: int, key: bytes, is_over: IsOver, changed: Callable[[], None]
    ) -> None:
        self._memory = memory
        self._sets = sets
        self._cells = cells
        self._key = key
        self._is_over = is_over
        self._changed = changed

    @staticmethod
    def words(sets: int, cells: int) -> int:
        """The length of the memory of such a table."""
        return sets * WAYS * (HEADER + cells)

    def find(self, name: str, purpose: int) -> memoryview | None:
        """The cells of this name, new and empty ones if it had none; None when all of its places count for others."""
        digest = blake2b(name.encode(), digest_size=DIGEST_BYTES, key=self._key).digest()
        low = int.from_bytes(digest[:8], "little", signed=True)
        high = int.from_bytes(digest[8:], "little", signed=True) or 1
        first = (low % self._sets) * WAYS
        free = None
        for way in range(first, first + WAYS):
            record = self._record(way)
            if record[0] == low and record[1] == high:
                return record[HEADER:]
            if free is None and (record[1] == 0 or self._is_over(record[HEADER:], record[2])):
                free = record
        if free is None:
            return None
        if free[1] != 0:
            self._changed()
            for place in range(len(free)):
                free[place] = 0
        free[0], free[1], free[2] = low, high, purpose
        return free[HEADER:]

    def clear_column(self, column: int) -> None:
        """Sets this one cell of every record to 0."""
        step = HEADER + self._cells
        for start in range(HEADER + column, self._sets * WAYS * step, step):
            if self._memory[start]:
                self._memory[start] = 0

    def _record(self, number: int) -> memoryview:
        step = HEADER + self._cells
        return self._memory[number * step : (number + 1) * step]
