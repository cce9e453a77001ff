"""``kt`` with an affliction: ``python -m tests.soak.afflicted [--die-at POINT:SIDE:NTH] [--clock FILE] -- gateway run ...``

It wraps functions of the product before the product starts, and then is ``kt``. Without it the product has no such places.
"""

import argparse
import functools
import inspect
import os
import signal
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from tests.soak.failpoints import FAILPOINTS, TORN, Failpoint

_CLOCK_LOOKS_EVERY_NS = 20_000_000


def main() -> int:
    """Afflict, then run the command line after ``--``."""
    parser = argparse.ArgumentParser(description="Run kt with something wrong with it.")
    parser.add_argument("--die-at", help="a failpoint, before or after, and at which time: journal.write:after:7")
    parser.add_argument("--clock", type=Path, help="a file whose content, in seconds, is added to the wall clock")
    parser.add_argument("--segment-bytes", type=int, help="how large a journal's segment grows")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    if options.clock:
        _skew(options.clock)
    if options.segment_bytes:
        import_module("keeptrusts.gateway.journal").SEGMENT_BYTES = options.segment_bytes  # type: ignore[attr-defined]
    if options.die_at:
        point, side, nth = options.die_at.split(":")
        if point == TORN:
            _tear(int(nth))
        else:
            _arm(FAILPOINTS[point], side, int(nth))
    from keeptrusts.cli.main import main as kt

    return kt([word for word in options.command if word != "--"])


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("nobody outlives SIGKILL")


def _arm(point: Failpoint, side: str, nth: int) -> None:
    """Wraps the function so that its ``nth`` run is the process's last. A name that is gone is an error at once."""
    owner: Any = import_module(point.module)
    *path, name = point.path.split(".")
    for part in path:
        owner = getattr(owner, part)
    setattr(owner, name, _mortal(getattr(owner, name), side, nth))


def _mortal(function: Callable[..., Any], side: str, nth: int) -> Callable[..., Any]:
    left = nth

    def struck(at: str) -> None:
        nonlocal left
        if at == side:
            left -= 1
            if left == 0:
                _die()

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def later(*args: Any, **kwargs: Any) -> Any:
            struck("before")
            result = await function(*args, **kwargs)
            struck("after")
            return result

        return later

    @functools.wraps(function)
    def now(*args: Any, **kwargs: Any) -> Any:
        struck("before")
        result = function(*args, **kwargs)
        struck("after")
        return result

    return now


class _TearingOs:
    """The ``os`` of the journal: its ``nth`` write stops in the middle, and so does the process."""

    def __init__(self, nth: int) -> None:
        self._left = nth

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def write(self, descriptor: int, data: bytes) -> int:
        self._left -= 1
        if self._left <= 0:
            os.write(descriptor, data[: max(1, len(data) * 2 // 3)])
            _die()
        return os.write(descriptor, data)


def _tear(nth: int) -> None:
    import_module("keeptrusts.gateway.journal").os = _TearingOs(nth)  # type: ignore[attr-defined]


def _skew(file: Path) -> None:
    """The wall clock of this process, moved by what the file says; the clock that nobody sets is left alone."""
    real = time.time_ns
    offset_ns, looked_ns = 0, 0

    def skewed() -> int:
        nonlocal offset_ns, looked_ns
        now = real()
        if now - looked_ns > _CLOCK_LOOKS_EVERY_NS:
            looked_ns = now
            offset_ns = int(float(file.read_text() or "0") * 1e9)
        return now + offset_ns

    time.time_ns = skewed
    time.time = lambda: skewed() / 1e9


if __name__ == "__main__":
    sys.exit(main())
