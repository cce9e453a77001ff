"""A strict sliding window: never more than the limit in any span of its length, whenever the span begins."""

from collections.abc import Sequence
from typing import Protocol

FINE_S = 60
"""Windows of up to so many seconds count by the second; longer ones in ``COARSE_BUCKETS`` steps."""

COARSE_BUCKETS = 288
HEAD, TOTAL, BUCKETS = 0, 1, 2
"""Where a window's cells hold the bucket that is filled now, the amount in all of them, and the first of them."""


class Cells(Protocol):
    """Whole numbers in a row: a list of this process's own, or memory that several processes share."""

    def __getitem__(self, index: int, /) -> int: ...

    def __setitem__(self, index: int, value: int, /) -> None: ...


def bucket_s_of(length_s: int) -> int:
    """How many seconds one bucket of such a window holds."""
    return 1 if length_s <= FINE_S else -(-length_s // COARSE_BUCKETS)


def buckets_of(length_s: int, bucket_s: int) -> int:
    """How many buckets such a window has: one more than its length, since the oldest, half-expired one counts whole."""
    return -(-length_s // bucket_s) + 1


class SlidingWindow:
    """Counts amounts in buckets of ``bucket_s`` seconds; the oldest, half-expired one counts whole.

    Pure: the caller hands in the time as a whole number of seconds on a monotonic clock. One that comes late, with an
    earlier time than another before it, counts as coming now: the window never turns back. ``cells`` may be memory that
    others change too, as long as only one of them is at it at a time.
    """

    __slots__ = ("bucket_s", "cells", "length_s", "size")

    def __init__(self, length_s: int, bucket_s: int | None = None, cells: Cells | None = None) -> None:
        self.length_s = length_s
        self.bucket_s = bucket_s_of(length_s) if bucket_s is None else bucket_s
        self.size = buckets_of(length_s, self.bucket_s)
        self.cells: Cells = [0] * (BUCKETS + self.size) if cells is None else cells

    def used(self, now_s: int) -> int:
        """The amount taken in the window that ends now."""
        head = now_s // self.bucket_s
        if head > self.cells[HEAD]:
            self.advance(head)
        return self.cells[TOTAL]

    def add(self, amount: int, now_s: int) -> None:
        """Takes ``amount``."""
        head = now_s // self.bucket_s
        cells = self.cells
        if head > cells[HEAD]:
            self.advance(head)
        cells[BUCKETS + cells[HEAD] % self.size] += amount
        cells[TOTAL] += amount

    def correct(self, by: int, taken_s: int, now_s: int) -> None:
        """Corrects an amount that was taken at ``taken_s``. What was too little counts from now; what was too much goes
        back to where it was taken: given back later it would outlive it, and the window would hold more than the limit."""
        if by > 0:
            self.add(by, now_s)
            return
        cells = self.cells
        head = now_s // self.bucket_s
        if head > cells[HEAD]:
            self.advance(head)
        bucket = taken_s // self.bucket_s
        if cells[HEAD] - bucket < self.size:
            cells[BUCKETS + bucket % self.size] += by
            cells[TOTAL] += by

    def wait_s(self, amount: int, limit: int, now_s: int) -> int:
        """Seconds until ``amount`` more fits under ``limit``, at least 1; the window's length when it never will."""
        total, size, cells = self.used(now_s), self.size, self.cells
        head = cells[HEAD]
        for passed in range(1, size + 1):
            total -= cells[BUCKETS + (head + passed) % size]
            if total + amount <= limit:
                return max(1, (head + passed) * self.bucket_s - now_s)
        return size * self.bucket_s

    def advance(self, head: int) -> None:
        """Lets go of what is older than the window; ``head`` is the bucket that now falls in."""
        cells, size = self.cells, self.size
        for bucket in range(cells[HEAD] + 1, min(head, cells[HEAD] + size) + 1):
            place = BUCKETS + bucket % size
            if cells[place]:
                cells[TOTAL] -= cells[place]
                cells[place] = 0
        cells[HEAD] = head

    def mend(self) -> None:
        """Makes the total what its buckets say: whoever changed them last may have died in the middle."""
        self.cells[TOTAL] = sum(self.cells[BUCKETS + place] for place in range(self.size))


def is_over(cells: Sequence[int] | Cells, length_s: int, now_s: int) -> bool:
    """Whether all that such a window's cells have counted has left it: they say nothing any more."""
    bucket_s = bucket_s_of(length_s)
    return now_s // bucket_s - cells[HEAD] >= buckets_of(length_s, bucket_s)
