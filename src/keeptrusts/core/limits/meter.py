"""One limited scope (a key, a group, a team, everybody) and what it has used."""

from typing import Protocol

from keeptrusts.core.limits.quotas import Counted, Quotas
from keeptrusts.core.limits.window import Cells, SlidingWindow


class Places(Protocol):
    """How many calls of a scope run, one number for each process that serves them: a list, or shared memory."""

    def __getitem__(self, index: int, /) -> int: ...

    def __setitem__(self, index: int, value: int, /) -> None: ...

    def __len__(self) -> int: ...


class Memory(Protocol):
    """Where meters keep their numbers."""

    @property
    def own(self) -> int:
        """Which number of every ``Places`` is this process's own."""

    def window(self, scope: str, counts: Counted, window_s: int) -> Cells:
        """The cells of this window: always the same for the same scope, whoever asks."""

    def places(self, scope: str) -> Places:
        """The places of this scope."""


class OwnMemory:
    """The memory of a process that counts alone. A meter keeps what it was given."""

    own = 0

    def window(self, scope: str, counts: Counted, window_s: int) -> Cells:
        """See Memory."""
        del scope, counts
        return SlidingWindow(window_s).cells

    def places(self, scope: str) -> Places:
        """See Memory."""
        del scope
        return [0]


class Meter:
    """The counters of one scope (``key tok_...``, ``group marketing``) and what it may use.

    Only what has a quota is counted. Windows and places are made when they are first needed, and kept by all meters that
    were made of one another.
    """

    __slots__ = ("_counters", "_memory", "quotas", "scope")

    def __init__(self, scope: str, quotas: Quotas, memory: Memory) -> None:
        self.scope = scope
        self.quotas = quotas
        self._memory = memory
        self._counters = _Counters()

    def with_quotas(self, quotas: Quotas) -> "Meter":
        """The same counters under other quotas."""
        other = Meter(self.scope, quotas, self._memory)
        other._counters = self._counters
        return other

    def window(self, counts: Counted, window_s: int) -> SlidingWindow:
        """The window that counts this."""
        window = self._counters.windows.get((counts, window_s))
        if window is None:
            cells = self._memory.window(self.scope, counts, window_s)
            window = self._counters.windows[counts, window_s] = SlidingWindow(window_s, cells=cells)
        return window

    @property
    def places(self) -> Places:
        """How many of its calls run, for each process."""
        if self._counters.places is None:
            self._counters.places = self._memory.places(self.scope)
        return self._counters.places

    @property
    def own(self) -> int:
        """Which of the places is this process's own."""
        return self._memory.own

    @property
    def running(self) -> int:
        """How many of its calls run, as far as they are counted."""
        return 0 if self._counters.places is None else sum(self._counters.places)  # type: ignore[call-overload]


class _Counters:
    __slots__ = ("places", "windows")

    def __init__(self) -> None:
        self.windows: dict[tuple[Counted, int], SlidingWindow] = {}
        self.places: Places | None = None
