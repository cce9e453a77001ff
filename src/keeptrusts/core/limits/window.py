"""A strict sliding window: never more than the limit in any span of its length, whenever the span begins."""


class SlidingWindow:
    """Counts amounts in ``buckets`` of ``bucket_s`` seconds plus one: the oldest, half-expired bucket counts whole.

    Pure: the caller hands in the time as a whole number of seconds on a monotonic clock. One that comes late, with an
    earlier time than another before it, counts as coming now: the window never turns back.
    """

    __slots__ = ("_bucket_s", "_buckets", "_head", "_size", "_total")

    def __init__(self, length_s: int, bucket_s: int = 1) -> None:
        self._bucket_s = bucket_s
        self._size = length_s // bucket_s + 1
        self._buckets = [0] * self._size
        self._head = 0
        self._total = 0

    def used(self, now_s: int) -> int:
        """The amount taken in the window that ends now."""
        head = now_s // self._bucket_s
        if head > self._head:
            self._advance(head)
        return self._total

    def add(self, amount: int, now_s: int) -> None:
        """Takes ``amount``."""
        head = now_s // self._bucket_s
        if head > self._head:
            self._advance(head)
        self._buckets[self._head % self._size] += amount
        self._total += amount

    def correct(self, by: int, taken_s: int, now_s: int) -> None:
        """Corrects an amount that was taken at ``taken_s``. What was too little counts from now; what was too much goes
        back to where it was taken: given back later it would outlive it, and the window would hold more than the limit."""
        if by > 0:
            self.add(by, now_s)
            return
        head = now_s // self._bucket_s
        if head > self._head:
            self._advance(head)
        bucket = taken_s // self._bucket_s
        if self._head - bucket < self._size:
            self._buckets[bucket % self._size] += by
            self._total += by

    def wait_s(self, amount: int, limit: int, now_s: int) -> int:
        """Seconds until ``amount`` more fits under ``limit``, at least 1; the window's length when it never will."""
        total, size = self.used(now_s), self._size
        for passed in range(1, size + 1):
            total -= self._buckets[(self._head + passed) % size]
            if total + amount <= limit:
                return passed * self._bucket_s
        return size * self._bucket_s

    def _advance(self, head: int) -> None:
        size = self._size
        for bucket in range(self._head + 1, min(head, self._head + size) + 1):
            self._total -= self._buckets[bucket % size]
            self._buckets[bucket % size] = 0
        self._head = head
