"""Starting, watching and ending the processes that a journey needs: by pid, within deadlines, leaving nothing behind."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parents[2]
KT = str(Path(sys.executable).parent / "kt")
READY_S = 30.0
STOP_S = 15.0
_POLL_S = 0.01
_PORTS = range(20_000, 32_000)  # below what the kernel gives to outgoing connections

Found = TypeVar("Found")


def until(look: Callable[[], Found | None], what: str, deadline_s: float = 10.0) -> Found:
    """The first truthy answer of ``look``; an AssertionError naming ``what`` when the deadline passes."""
    ends = time.monotonic() + deadline_s
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < ends, f"after {deadline_s} s still not: {what}"
        time.sleep(_POLL_S)


def is_free(port: int) -> bool:
    """Whether nothing listens on this port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on."""
    return next(port for port in iter(lambda: random.choice(_PORTS), 0) if is_free(port))


def alive(pid: int) -> bool:
    """Whether the process runs; one that ended and was not collected yet does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def descendants(pid: int) -> list[int]:
    """The pids of all children, their children and so on."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found, look_at = [], [pid]
    while look_at:
        below = children.get(look_at.pop(), [])
        found += below
        look_at += below
    return found


class Program:
    """A running command; both of its outputs go to one file. Use as a context manager: it ends with the block."""

    def __init__(self, command: Sequence[str], log: Path, env: Mapping[str, str], cwd: Path = ROOT) -> None:
        self.command = list(command)
        self.log = log
        self._from = log.stat().st_size if log.exists() else 0
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=dict(env),
                cwd=cwd,
                start_new_session=True,
            )

    def __enter__(self) -> "Program":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill_all()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def output(self) -> str:
        """What this run of the command has written so far."""
        return self.log.read_bytes()[self._from :].decode(errors="replace")

    @property
    def ended(self) -> int | None:
        """The exit code, None while it runs."""
        return self._process.poll()

    def wait_for(self, look: Callable[[], Found | None], what: str, deadline_s: float = READY_S) -> Found:
        """As ``until``, and fails at once, with the output, when the command ends early."""

        def look_or_fail() -> Found | None:
            found = look()
            assert found or self.ended is None, f"{self.command} ended with {self.ended} before {what}:\n{self.output}"
            return found

        return until(look_or_fail, f"{what}, of {self.command}:\n{self.output}", deadline_s)

    def wait_for_line(self, part: str, deadline_s: float = READY_S) -> str:
        """The first line of the output that holds ``part``."""

        def look() -> str | None:
            return next((line for line in self.output.splitlines() if part in line), None)

        return self.wait_for(look, f"a line with {part!r}", deadline_s)

    def wait(self, deadline_s: float = STOP_S) -> int:
        """The exit code, once it has ended by itself."""
        return self._process.wait(deadline_s)

    def stop(self, with_signal: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end, and the exit code. Raises when it does not within ``STOP_S``."""
        self._process.send_signal(with_signal)
        return self._process.wait(STOP_S)

    def interrupt(self) -> int:
        """Ctrl-C in its terminal: SIGINT to the whole group, and the exit code."""
        os.killpg(self._process.pid, signal.SIGINT)
        return self._process.wait(STOP_S)

    def kill(self) -> None:
        """``kill -9`` of this one process."""
        self._process.kill()
        self._process.wait(STOP_S)

    def send(self, number: signal.Signals) -> None:
        """This signal, without waiting for what it does."""
        self._process.send_signal(number)

    def kill_all(self) -> None:
        """``kill -9`` of whatever is left of it and of what it has started in its session."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(STOP_S)
