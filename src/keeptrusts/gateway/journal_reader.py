"""Reads a journal's segments back, whole groups at a time, so that a backlog costs no memory."""

import os
from pathlib import Path

from keeptrusts.core.ledger.journal_format import GENESIS, DamagedJournal, read_groups
from keeptrusts.gateway.journal import segment_start, segments


class JournalReader:
    """Walks over the groups of a journal's segments, from the first record that is still on disk."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._peeked: tuple[int, int, bytes] = (0, 1, GENESIS)
        self.rewind()

    def rewind(self) -> None:
        """Starts again at the first record that is still on disk."""
        self.next_seq, self.chain = 1, GENESIS
        self._segment: Path | None = None
        self._offset = 0

    def read(self, limit_bytes: int) -> tuple[bytes, int, bytes, int]:
        """The next whole groups: their bytes, their first sequence number, the chain before them, the number after them.

        Empty bytes when there is nothing whole to read yet. Nothing is consumed until ``advance``. Raises DamagedJournal.
        """
        while self._segment is not None or self._next_segment():
            data = self._bytes(limit_bytes)
            end, seq, chain = 0, self.next_seq, self.chain
            for group in read_groups(data, self.next_seq, self.chain):
                end, seq, chain = group.end_offset, group.last_seq + 1, group.chain
            if end:
                self._peeked = (end, seq, chain)
                return data[:end], self.next_seq, self.chain, seq
            if len(data) >= limit_bytes:
                limit_bytes *= 2
            elif data and self._following():
                raise DamagedJournal(self._offset, "a segment ends in the middle of a write, but others follow it")
            elif not self._next_segment():
                break
        return b"", self.next_seq, self.chain, self.next_seq

    def advance(self) -> None:
        """What ``read`` returned is dealt with."""
        end, self.next_seq, self.chain = self._peeked
        self._offset += end

    def skip_to(self, last_seq: int) -> None:
        """Leaves out the groups up to this record, as far as they end there."""
        while True:
            data, _, _, next_seq = self.read(1)
            if not data or next_seq - 1 > last_seq:
                return
            self.advance()

    def unread_bytes(self) -> int:
        """How much is on disk after what is dealt with."""
        rest = [path.stat().st_size for path in self._following()]
        return sum(rest) + (0 if self._segment is None else self._segment.stat().st_size - self._offset)

    def finished_segments(self) -> list[Path]:
        """The segments before the one being read."""
        present = self._segment
        return [s for s in segments(self._directory) if present is not None and s.name < present.name]

    def _bytes(self, limit: int) -> bytes:
        assert self._segment is not None
        descriptor = os.open(self._segment, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.pread(descriptor, limit, self._offset)
        finally:
            os.close(descriptor)

    def _following(self) -> list[Path]:
        present = self._segment
        return [s for s in segments(self._directory) if present is None or s.name > present.name]

    def _next_segment(self) -> bool:
        following = self._following()
        if not following:
            return False
        if self._segment is None:
            self.next_seq, self.chain = segment_start(following[0])
        self._segment, self._offset = following[0], 0
        return True
