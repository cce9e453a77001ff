"""A node's journal on disk: records are gathered and written once per turn of the event loop, before what they announce.

Whoever holds the directory's lock is the only one who may spend the node's leases: the lock is the fencing token.
"""

import asyncio
import fcntl
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from keeptrusts.core.ledger.journal_format import GENESIS, encode_group

log = logging.getLogger("keeptrusts::gateway")

SEGMENT_BYTES = 64 * 1024 * 1024
LOCK_NAME = "lock"
MACHINE_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class JournalFailed(Exception):
    """The journal can't be written (disk full, I/O error): nothing more may be admitted."""


class JournalBusy(Exception):
    """Another process holds the journal's lock."""


def machine_boot_id() -> str:
    """Which boot of the machine this is; empty where the system does not say."""
    with suppress(OSError):
        return MACHINE_BOOT_ID.read_text().strip()
    return ""


def lock_directory(directory: Path) -> int:
    """Takes the directory's exclusive lock, released when the process ends. Raises JournalBusy when somebody has it."""
    descriptor = os.open(directory / LOCK_NAME, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise JournalBusy(f"{directory} is in use by another process") from None
    return descriptor


def segment_name(first_seq: int) -> str:
    """A segment is named by the sequence number of its first record, so that names sort."""
    return f"{first_seq:020d}.journal"


def segments(directory: Path) -> list[Path]:
    """The journal's segments, oldest first."""
    return sorted(directory.glob("*.journal"))


class Journal:
    """The open journal of one node. One process, one event loop, one writer.

    ``durability`` ``process``: written to the system before it counts (survives kill -9); ``power``: synced first.
    """

    def __init__(
        self,
        directory: Path,
        node_id: str,
        durability: Literal["process", "power"] = "process",
        next_seq: int = 1,
        chain: bytes = GENESIS,
    ) -> None:
        self.directory = directory
        self.node_id = node_id
        self.failure: str | None = None
        self.next_seq = next_seq
        self.chain = chain
        self.on_written: Callable[[], None] | None = None
        self._durability = durability
        self._lock = lock_directory(directory)
        self._descriptor = -1
        self._segment_bytes = SEGMENT_BYTES
        self._pending: list[bytes] = []
        self._then: list[tuple[Callable[[Any], None], Any, Callable[[BaseException], None]]] = []
        self._waiting: asyncio.Future[None] | None = None
        self._scheduled = False
        self._syncing: asyncio.Task[None] | None = None

    @property
    def written_seq(self) -> int:
        """The sequence number of the last record that is in the file."""
        return self.next_seq - 1

    def append(self, record: bytes) -> None:
        """Adds a record to the next write, at the end of this turn of the loop."""
        self._pending.append(record)
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._flush)

    def then(self, action: Callable[[Any], None], argument: Any, on_failure: Callable[[BaseException], None]) -> None:
        """Runs ``action(argument)`` as soon as everything appended so far is written; ``on_failure`` if it can't be."""
        if not self._scheduled:
            action(argument)
            return
        self._then.append((action, argument, on_failure))

    async def written(self) -> None:
        """Waits until everything appended so far is written. Raises JournalFailed if it can't be."""
        if not self._scheduled:
            return
        if self._waiting is None:
            self._waiting = asyncio.get_running_loop().create_future()
        await self._waiting

    def _flush(self) -> None:
        if self._syncing is not None:
            return
        pending, self._pending = self._pending, []
        then, self._then = self._then, []
        waiting, self._waiting = self._waiting, None
        try:
            if self.failure is not None:
                raise JournalFailed(self.failure)
            self._write(pending)
        except (OSError, JournalFailed) as error:
            self._scheduled = False
            self._fail(error, then, waiting)
            return
        if self._durability == "power":
            self._syncing = asyncio.get_running_loop().create_task(self._sync(then, waiting))
            return
        self._scheduled = False
        self._release(then, waiting)

    def _write(self, records: list[bytes]) -> None:
        data, chain = encode_group(records, self.next_seq, self.chain)
        if self._segment_bytes >= SEGMENT_BYTES:
            self._open_segment()
        at = 0
        while at < len(data):
            at += os.write(self._descriptor, data[at:] if at else data)
        self._segment_bytes += len(data)
        self.chain = chain
        self.next_seq += len(records)

    def _open_segment(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        path = self.directory / segment_name(self.next_seq)
        self._descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._segment_bytes = os.fstat(self._descriptor).st_size
        if self._durability == "power":
            directory = os.open(self.directory, os.O_RDONLY)
            os.fsync(directory)
            os.close(directory)

    async def _sync(
        self,
        then: list[tuple[Callable[[Any], None], Any, Callable[[BaseException], None]]],
        waiting: asyncio.Future[None] | None,
    ) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(None, os.fdatasync, self._descriptor)
        except OSError as error:
            self._fail(error, then, waiting)
        else:
            self._release(then, waiting)
        self._syncing = None
        self._scheduled = bool(self._pending or self._then)
        if self._scheduled:
            loop.call_soon(self._flush)

    def _release(
        self,
        then: list[tuple[Callable[[Any], None], Any, Callable[[BaseException], None]]],
        waiting: asyncio.Future[None] | None,
    ) -> None:
        for action, argument, on_failure in then:
            try:
                action(argument)
            except Exception as error:  # one call's trouble must not keep the others' answers
                log.exception("What followed a journal write failed")
                on_failure(error)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)
        if self.on_written is not None:
            self.on_written()

    def _fail(
        self,
        error: BaseException,
        then: list[tuple[Callable[[Any], None], Any, Callable[[BaseException], None]]],
        waiting: asyncio.Future[None] | None,
    ) -> None:
        # A failed write or sync may have lost any part of it: never retried, nothing more is admitted.
        self.failure = str(error)
        failed = JournalFailed(f"the journal in {self.directory} can't be written: {error}")
        for _, _, on_failure in then:
            on_failure(failed)
        if waiting is not None and not waiting.done():
            waiting.set_exception(failed)

    def close(self) -> None:
        """Writes what is pending and lets go of the file and the lock."""
        if self._pending and self.failure is None:
            self._write(self._pending)
            self._pending = []
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        os.close(self._lock)
