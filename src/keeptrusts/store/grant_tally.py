"""The tally of grants: a number beside the database that only rises. A database that knows of less was put back from a backup."""

import os
from contextlib import suppress
from pathlib import Path

WIDTH = 20


class GrantTally:
    """The file with the number of grants that were ever made; written after the commits, and not synced: it may lag behind."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.count = self._read()

    def _read(self) -> int:
        with suppress(OSError, ValueError):
            return int(self._path.read_text(encoding="ascii"))
        return 0

    def see(self, count: int) -> None:
        """So many grants were made by now, in all. A disk that can't take it is not the tally's business."""
        self.count = count
        with suppress(OSError):
            descriptor = os.open(self._path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
            try:
                os.pwrite(descriptor, b"%*d\n" % (WIDTH, count), 0)
            finally:
                os.close(descriptor)
