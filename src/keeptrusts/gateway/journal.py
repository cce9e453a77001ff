"""A node's journal on disk: records are gathered and written once per turn of the event loop, before what they announce.

Whoever holds the directory's lock is the only one who may spend the node's leases: the lock is the fencing token.
"""

import asyncio
import fcntl
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal

from keeptrusts.core.ledger.journal_format import GENESIS, encode_group

log = logging.getLogger("keeptrusts::gateway")

SEGMENT_BYTES = 64 * 1024 * 1024
SUFFIX = ".journal"
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
    path = directory / LOCK_NAME
    if not path.exists():
        made = _locked_from_the_start(path)
        if made is not None:
            return made
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise JournalBusy(f"{directory} is in use by another process") from None
    return descriptor


def _locked_from_the_start(path: Path) -> int | None:
    """Makes the lock's file so that it appears locked: nobody can take a new journal for an abandoned one meanwhile.

    None when another process was faster.
    """
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(aside, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.link(aside, path)
    except OSError:
        os.close(descriptor)
        return None
    finally:
        aside.unlink(missing_ok=True)
    return descriptor


def segment_name(first_seq: int, chain: bytes) -> str:
    """A segment is named by the number of its first record, so that names sort, and by the chain value before it, so that
    it can be read without the segments before it."""
    return f"{first_seq:020d}-{chain.hex()}{SUFFIX}"


def segment_start(segment: Path) -> tuple[int, bytes]:
    """The number of a segment's first record, and the chain value before it."""
    first_seq, _, chain = segment.name.removesuffix(SUFFIX).partition("-")
    return int(first_seq), bytes.fromhex(chain)


def segments(directory: Path) -> list[Path]:
    """The journal's segments, oldest first."""
    return sorted(directory.glob(f"*{SUFFIX}"))


class Journal:
    """The open journal of one node. One process, one event loop, one writer.

    ``durability`` ``process``: written to the system before it counts (survives kill -9); ``power``: synced first.
    ``opening`` gives the records that each later segment begins with, so that it can be replayed without those before it.
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
        self.opening: Callable[[], list[bytes]] = list
        self.unshipped_bytes = 0
        """What is written and not shipped yet; whoever ships lowers it."""
        self._durability = durability
        self._lock = lock_directory(directory)
        self._descriptor = -1
        self._segment_bytes = 0
        self._pending: list[bytes] = []
        self._then: list[_Consequence] = []
        self._scheduled = False
        self._syncing: asyncio.Task[None] | None = None

    @property
    def written_seq(self) -> int:
        """The sequence number of the last record that is in the file."""
        return self.next_seq - 1

    @property
    def appended_seq(self) -> int:
        """The sequence number that the last record appended so far has, or will have."""
        return self.written_seq + len(self._pending)

    def append(self, record: bytes) -> None:
        """Adds a record to the next write, at the end of this turn of the loop."""
        self._pending.append(record)
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._flush)

    def then(self, action: Callable[[Any], None], argument: Any, on_failure: Callable[[BaseException], None]) -> None:
        """Runs ``action(argument)`` as soon as everything appended so far is written; ``on_failure`` if it can't be."""
        if self._scheduled:
            self._then.append((action, argument, on_failure))
        elif self.failure is None:
            action(argument)
        else:
            # What was appended in an earlier turn was lost: what it announced must not happen.
            on_failure(JournalFailed(self.failure))

    async def written(self) -> None:
        """Waits until everything appended so far is written. Raises JournalFailed if it can't be."""
        if self._scheduled:
            # A future for each who waits: one that is cancelled must not take the others with it.
            done = asyncio.get_running_loop().create_future()
            self._then.append((_resolve, done, partial(_reject, done)))
            await done
        elif self.failure is not None:
            raise JournalFailed(self.failure)

    def fail(self, why: str) -> None:
        """Nothing more may be admitted: the journal is not what it should be."""
        if self.failure is None:
            log.critical("The journal in %s failed, so no call is admitted until a restart: %s", self.directory, why)
            self.failure = why

    def _flush(self) -> None:
        if self._syncing is not None:
            return
        pending, self._pending = self._pending, []
        then, self._then = self._then, []
        try:
            if self.failure is not None:
                raise JournalFailed(self.failure)
            if pending:
                self._write(pending)
        except Exception as error:
            self._scheduled = False
            self._lose(error, then)
            return
        if pending and self._durability == "power":
            self._syncing = asyncio.get_running_loop().create_task(self._sync(then))
            return
        self._scheduled = False
        self._release(then)

    def _write(self, records: list[bytes]) -> None:
        if self._segment_bytes >= SEGMENT_BYTES:
            records = [*self.opening(), *records]
        data, chain = encode_group(records, self.next_seq, self.chain)
        if self._descriptor < 0 or self._segment_bytes >= SEGMENT_BYTES:
            self._open_segment()
        at = 0
        while at < len(data):
            at += os.write(self._descriptor, data[at:] if at else data)
        self._segment_bytes += len(data)
        self.unshipped_bytes += len(data)
        self.chain = chain
        self.next_seq += len(records)

    def _open_segment(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        path = self.directory / segment_name(self.next_seq, self.chain)
        self._descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._segment_bytes = os.fstat(self._descriptor).st_size
        if self._durability == "power":
            # A file is only as safe as its name, and so is the directory that holds it.
            for path in (self.directory, self.directory.parent):
                directory = os.open(path, os.O_RDONLY)
                os.fsync(directory)
                os.close(directory)

    async def _sync(self, then: "list[_Consequence]") -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(None, os.fdatasync, self._descriptor)
        except OSError as error:
            self._lose(error, then)
        else:
            self._release(then)
        self._syncing = None
        self._scheduled = bool(self._pending or self._then)
        if self._scheduled:
            loop.call_soon(self._flush)

    def _release(self, then: "list[_Consequence]") -> None:
        for action, argument, on_failure in then:
            try:
                action(argument)
            except Exception as error:  # one call's trouble must not keep the others' answers
                log.exception("What followed a journal write failed")
                with suppress(Exception):
                    on_failure(error)
        if self.on_written is not None:
            self.on_written()

    def _lose(self, error: BaseException, then: "list[_Consequence]") -> None:
        # A failed write or sync may have lost any part of it: never retried, nothing more is admitted.
        self.fail(str(error))
        failed = JournalFailed(str(error))
        for _, _, on_failure in then:
            with suppress(Exception):
                on_failure(failed)

    def close(self) -> None:
        """Writes what is pending and lets go of the file and the lock; nothing can be written from then on."""
        try:
            if self._pending and self.failure is None:
                self._write(self._pending)
                if self._durability == "power":
                    os.fdatasync(self._descriptor)
        except OSError as error:
            self.fail(str(error))
        self._pending = []
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        if self.failure is None:
            # Whoever takes the lock next is the one writer: what comes too late must fail, not open the file again.
            self.failure = "it is closed"
        os.close(self._lock)


def new_journal(directory: Path, node_id: str, durability: Literal["process", "power"]) -> Journal:
    """The journal of a node that never was. Raises JournalBusy, in one line for people, when it can't be had."""
    try:
        directory.mkdir(parents=True, mode=0o700)
        return Journal(directory, node_id, durability)
    except (JournalBusy, FileExistsError):
        raise JournalBusy(f"another process has the journal {directory}: a journal has one writer") from None
    except OSError as error:
        raise JournalBusy(f"can't make the journal {directory}: {error.strerror}") from None


_Consequence = tuple[Callable[[Any], None], Any, Callable[[BaseException], None]]


def _resolve(done: "asyncio.Future[None]") -> None:
    if not done.done():
        done.set_result(None)


def _reject(done: "asyncio.Future[None]", failure: BaseException) -> None:
    if not done.done():
        done.set_exception(failure)
