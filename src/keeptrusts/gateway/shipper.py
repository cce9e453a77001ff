"""Brings the journal to the store: whole groups, in order, read back from the segments, so that a backlog costs no memory."""

import asyncio
import logging
import os
from pathlib import Path

from keeptrusts.core.ledger.journal_format import GENESIS, read_groups
from keeptrusts.gateway.journal import Journal, segments
from keeptrusts.gateway.link import Link, LinkDown, LinkRefused, SequenceGap

log = logging.getLogger("keeptrusts::gateway")

GATHER_S = 0.03
"""How long a group waits for company before it is shipped."""

BATCH_BYTES = 1024 * 1024
RETRY_S = (0.1, 0.2, 0.5, 1.0, 2.0)


class JournalReader:
    """Walks over the groups of a journal's segments, from any record on."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.next_seq = 1
        self.chain = GENESIS
        self._segment: Path | None = None
        self._offset = 0

    def rewind(self) -> None:
        """Starts again at the first record that is still on disk."""
        self.next_seq, self.chain, self._segment, self._offset = 1, GENESIS, None, 0

    def read(self, limit_bytes: int) -> tuple[bytes, int, bytes, int]:
        """The next whole groups: their bytes, their first sequence number, the chain before them, the number after them.

        Empty bytes when there is nothing whole to read yet. Nothing is consumed until ``advance``.
        """
        while True:
            data = self._bytes(limit_bytes)
            end, seq = 0, self.next_seq
            chain = self.chain
            for group in read_groups(data, self.next_seq, self.chain):
                end, seq, chain = group.end_offset, group.last_seq + 1, group.chain
            if end:
                self._peeked = (end, seq, chain)
                return data[:end], self.next_seq, self.chain, seq
            if len(data) >= limit_bytes:
                limit_bytes *= 2
                continue
            if not self._next_segment():
                return b"", self.next_seq, self.chain, self.next_seq

    def advance(self) -> None:
        """What ``read`` returned is dealt with."""
        end, self.next_seq, self.chain = self._peeked
        self._offset += end

    def _bytes(self, limit: int) -> bytes:
        if self._segment is None and not self._next_segment():
            return b""
        assert self._segment is not None
        descriptor = os.open(self._segment, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.pread(descriptor, limit, self._offset)
        finally:
            os.close(descriptor)

    def _next_segment(self) -> bool:
        following = [s for s in segments(self._directory) if self._segment is None or s.name > self._segment.name]
        if not following:
            return False
        self._segment, self._offset = following[0], 0
        return True

    @property
    def segment(self) -> Path | None:
        """The segment being read."""
        return self._segment


class Shipper:
    """Ships one journal for as long as its node lives; everything written before ``finish`` is shipped by then."""

    def __init__(self, journal: Journal, link: Link) -> None:
        self._journal = journal
        self._link = link
        self._reader = JournalReader(journal.directory)
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.shipped_seq = 0
        journal.on_written = self._news.set

    def start(self) -> None:
        """Begins to ship in the background."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        while True:
            await self._news.wait()
            await asyncio.sleep(GATHER_S)
            self._news.clear()
            await self.ship_pending()

    async def ship_pending(self) -> None:
        """Ships until nothing is left; waits, ever longer, while the store can't be reached."""
        failures = 0
        while True:
            data, first_seq, chain, next_seq = self._reader.read(BATCH_BYTES)
            if not data:
                return
            try:
                shipped = await self._link.ship(data, first_seq, chain)
            except SequenceGap as gap:
                log.warning("The store has this journal up to record %d: shipping again from there.", gap.last_seq)
                self._reader.rewind()
                self._skip_to(gap.last_seq)
                continue
            except (LinkDown, LinkRefused) as error:
                if failures == 0:
                    log.warning("Can't ship the journal yet, and keep trying: %s", error)
                await asyncio.sleep(RETRY_S[min(failures, len(RETRY_S) - 1)])
                failures += 1
                continue
            failures = 0
            self.shipped_seq = max(shipped.last_seq, next_seq - 1)
            self._reader.advance()
            self._forget_shipped_segments()

    def _skip_to(self, last_seq: int) -> None:
        while self._reader.next_seq <= last_seq:
            data, _, _, next_seq = self._reader.read(1)
            if not data or next_seq - 1 > last_seq:
                return
            self._reader.advance()

    def _forget_shipped_segments(self) -> None:
        # Segments outlive their shipping by a few, so that a store restored from a backup can be completed from them.
        done = [s for s in segments(self._journal.directory) if self._reader.segment and s < self._reader.segment]
        for segment in done[:-KEEP_SEGMENTS]:
            segment.unlink(missing_ok=True)

    async def finish(self, bound_s: float) -> bool:
        """Ships what is left, within ``bound_s`` seconds; False when some of it stays for the next start."""
        if self._task is not None:
            self._task.cancel()
        try:
            async with asyncio.timeout(bound_s):
                await self.ship_pending()
        except TimeoutError:
            return False
        return True


KEEP_SEGMENTS = 8
