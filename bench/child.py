"""A program under test or beside it: started on one core, watched through /proc, stopped by its process id."""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

_STOP_S = 8.0
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_LIBC = ctypes.CDLL(None)


class Child:
    """A program and all that it starts, told apart by the session it leads. Use it with `with`: leaving stops it.

    `core` None: it runs where its parent may.
    """

    def __init__(self, command: Sequence[str], *, core: int | None, environment: Mapping[str, str], log: Path) -> None:
        def settle_in() -> None:
            if core is not None:
                os.sched_setaffinity(0, {core})
            _LIBC.prctl(_DIE_WITH_PARENT, signal.SIGTERM)

        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                cwd=log.parent,
                start_new_session=True,
                preexec_fn=settle_in,  # noqa: PLW1509  # this process has one thread
            )

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    @property
    def folder(self) -> Path:
        """Where it runs and writes its log."""
        return self._log.parent

    def log_text(self) -> str:
        """All that it has printed."""
        return self._log.read_text(errors="replace")

    def cpu_s(self) -> tuple[float, float]:
        """Seconds of processor time that its processes have used: in user space, in the kernel."""
        fields = [stat for _, stat in self._stats()]
        user = sum(int(stat[11]) for stat in fields)
        kernel = sum(int(stat[12]) for stat in fields)
        return user / _TICKS_PER_S, kernel / _TICKS_PER_S

    def resident_bytes(self) -> int:
        """Resident memory of its processes; pages that several of them share count in each."""
        return sum(int(stat[21]) for _, stat in self._stats()) * _PAGE_BYTES

    def stop(self) -> None:
        """Ask all its processes to end, then make them."""
        self._signal(signal.SIGTERM)
        deadline = time.monotonic() + _STOP_S
        while time.monotonic() < deadline and (self.exit_code is None or any(self._stats())):
            time.sleep(0.02)
        self._signal(signal.SIGKILL)
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _signal(self, number: signal.Signals) -> None:
        for pid, _ in list(self._stats()):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue

    def _stats(self) -> Iterator[tuple[int, list[str]]]:
        """Process id and the fields of /proc/<pid>/stat that follow the name, state first, of every live process."""
        session = str(self._process.pid)
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                stat = Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if stat[3] == session and stat[0] != "Z":
                yield int(entry), stat
