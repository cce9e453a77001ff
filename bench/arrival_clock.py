"""A kernel timer for open-loop arrivals: poll's own time-outs are whole milliseconds, arrivals are not."""

import ctypes
import os
import time
from types import TracebackType
from typing import Self

_TICK_MIN_S = 50e-6  # faster arrivals come in small groups: the timer must not eat the core it shares
_CLOEXEC_NONBLOCK = os.O_CLOEXEC | os.O_NONBLOCK


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanos", ctypes.c_long))


class _Schedule(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("first", _Timespec))


class ArrivalClock:
    """A file descriptor that becomes readable once per arrival."""

    def __init__(self, rate_per_s: float) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd: int = self._libc.timerfd_create(time.CLOCK_MONOTONIC, _CLOEXEC_NONBLOCK)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        tick_s = max(1 / rate_per_s, _TICK_MIN_S)
        tick = _Timespec(int(tick_s), int(tick_s % 1 * 1e9))
        self._libc.timerfd_settime(self._fd, 0, ctypes.byref(_Schedule(tick, tick)), None)

    def fileno(self) -> int:
        """The descriptor to poll."""
        return self._fd

    def acknowledge(self) -> None:
        """Take the ticks that have passed, so that the next one wakes the poll again."""
        os.read(self._fd, 8)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.close(self._fd)
