"""What simulated processes see of their machine: clocks, dice, the boot's id, files that are let go of when they die.

The product reads the time, draws bytes and opens files through the standard library. While a simulation runs in this thread those
few functions answer for the process whose callback runs; outside of one they are themselves.
"""

import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import apsw

from keeptrusts.core.ledger.journal_format import encode_group
from keeptrusts.gateway import journal as journal_module
from keeptrusts.gateway import upstream as upstream_module
from keeptrusts.gateway.journal import Journal, segments
from tests.simulation.loop import HERE, Process, VirtualLoop

WALL_START_NS = 1_777_593_480 * 1_000_000_000
"""2026-04-30 23:58:00 UTC: a day, a month and a quarter's month end two minutes later."""


class Host:
    """A machine: its boot, how far its wall clock is off, and the data directory of its gateways."""

    def __init__(self, name: str, data_dir: Path) -> None:
        self.name = name
        self.data_dir = data_dir
        self.boots = 1
        self.offset_ns = 0

    @property
    def boot_id(self) -> str:
        return f"{self.name}-boot-{self.boots}"

    @property
    def journals(self) -> list[Path]:
        """The directories of all journals that ever were here."""
        root = self.data_dir / "gateway" / "journals"
        return sorted(root.iterdir()) if root.exists() else []


class _BootId:
    """Stands where the path of the kernel's boot id does."""

    def read_text(self) -> str:
        return str(HERE.get().host.boot_id)


class Machine:
    """All hosts of one simulation. ``dice`` is what the processes draw from."""

    def __init__(self, loop: VirtualLoop, seed: int) -> None:
        self.loop = loop
        self.dice = random.Random(f"dice {seed}")
        self._owners: dict[int, tuple[Process, os.stat_result]] = {}

    def unix_ns(self) -> int:
        """The wall clock of the process that asks."""
        process = HERE.get(None)
        host = process.host if process is not None else None
        return WALL_START_NS + int(self.loop.time() * 1e9) - 1_000_000_000_000 + (host.offset_ns if host else 0)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Gives the product this machine."""
        serial = iter(range(1, 1 << 62))
        real = {"open": os.open, "close": os.close, "urandom": os.urandom, "time_ns": time.time_ns, "time": time.time}
        real_connection, real_init = apsw.Connection, Journal.__init__
        boot_path, segment_bytes = journal_module.MACHINE_BOOT_ID, journal_module.SEGMENT_BYTES
        wire = upstream_module._Connection
        before = random.getstate()

        def opens(path: Any, flags: int, mode: int = 0o777, **more: Any) -> int:
            descriptor: int = real["open"](path, flags, mode, **more)
            process = HERE.get(None)
            if process is not None:
                self._owners[descriptor] = process, os.fstat(descriptor)
            return descriptor

        def closes(descriptor: int) -> None:
            self._owners.pop(descriptor, None)
            real["close"](descriptor)

        def connects(*arguments: Any, **more: Any) -> apsw.Connection:
            connection = real_connection(*arguments, **more)
            process = HERE.get(None)
            if process is not None:
                process.belongings.append(connection)
            return connection

        def init(journal: Journal, *arguments: Any, **more: Any) -> None:
            real_init(journal, *arguments, **more)
            HERE.get().belongings.append(journal)

        def number(connection: Any) -> int:
            found: int | None = connection.__dict__.get("serial")
            if found is None:
                found = connection.serial = next(serial)
            return found

        random.seed(self.dice.random())
        os.open, os.close = opens, closes
        os.urandom = self.dice.randbytes
        time.time_ns, time.time = self.unix_ns, lambda: self.unix_ns() / 1e9
        apsw.Connection = connects  # type: ignore[misc, assignment]
        Journal.__init__ = init  # type: ignore[method-assign]
        journal_module.MACHINE_BOOT_ID = _BootId()  # type: ignore[assignment]
        journal_module.SEGMENT_BYTES = self.segment_bytes
        wire.__hash__ = number  # type: ignore[method-assign, assignment]
        try:
            yield
        finally:
            random.setstate(before)
            os.open, os.close, os.urandom = real["open"], real["close"], real["urandom"]
            time.time_ns, time.time = real["time_ns"], real["time"]
            apsw.Connection, Journal.__init__ = real_connection, real_init  # type: ignore[misc, method-assign]
            journal_module.MACHINE_BOOT_ID, journal_module.SEGMENT_BYTES = boot_path, segment_bytes
            wire.__hash__ = object.__hash__  # type: ignore[method-assign, assignment]

    segment_bytes = 16 * 1024

    def kill(self, process: Process) -> None:
        """``kill -9``: a write that was due may have happened in part or whole; files and locks are let go of."""
        if not process.alive:
            return
        self.loop.kill(process)
        for thing in process.belongings:
            if isinstance(thing, Journal):
                self._tear(thing)
            else:
                thing.close(True)
        for descriptor, (owner, file) in list(self._owners.items()):
            if owner is process and _is_still(descriptor, file):
                # The number stays taken, by nothing, so that no file of another process ever gets it.
                nothing = os.open(os.devnull, os.O_RDWR)
                os.dup2(nothing, descriptor)
                os.close(nothing)
                self._owners[descriptor] = process, os.fstat(descriptor)
            elif owner is process:
                self._owners.pop(descriptor, None)

    def _tear(self, journal: Journal) -> None:
        pending, descriptor = journal._pending, journal._descriptor
        if pending and descriptor >= 0 and journal.failure is None and self.dice.random() < 0.5:
            data, _ = encode_group(pending, journal.next_seq, journal.chain)
            whole = self.dice.random() < 0.3
            with suppress(OSError):
                os.write(descriptor, data if whole else data[: self.dice.randrange(len(data))])

    def lose_power(self, host: Host) -> set[str]:
        """After all of the host's processes are gone: what was not synced may be lost from some byte on; then it boots
        again. Returns the names of the journals that lost something."""
        lost: set[str] = set()
        for directory in host.journals:
            paths = segments(directory)
            for path in paths:
                status = path.stat()
                synced = min(status.st_size, self.loop.synced.get((status.st_dev, status.st_ino), 0))
                loose = status.st_size - synced
                if loose and self.dice.random() < 0.5:
                    keep = synced + self.dice.randrange(loose + 1)
                    if self.dice.random() < 0.5:
                        keep = max(keep, status.st_size - 2_000)
                    if keep < status.st_size:
                        os.truncate(path, keep)
                        lost.add(directory.name)
        host.boots += 1
        return lost

    def close(self) -> None:
        """Lets go of what dead processes' numbers still hold."""
        for descriptor, (_, file) in list(self._owners.items()):
            if _is_still(descriptor, file):
                os.close(descriptor)
        self._owners.clear()


def _is_still(descriptor: int, file: os.stat_result) -> bool:
    """Whether the number still means that file: what is closed behind our back may have been given to another."""
    with suppress(OSError):
        now = os.fstat(descriptor)
        return (now.st_dev, now.st_ino, now.st_rdev) == (file.st_dev, file.st_ino, file.st_rdev)
    return False
