"""The last snapshot of keys and prices, kept on disk, so that a gateway can start while the control plane is away."""

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Struct

from keeptrusts.core.link import Snapshot

SAVED_WITHIN_S = 1.0

log = logging.getLogger("keeptrusts::gateway")


class SavedSnapshot(Struct):
    """``key_pepper`` is hex; the file is readable by its owner alone."""

    key_pepper: str
    snapshot: Snapshot


class Snapshots:
    """The snapshot's file. What changes after it was taken is saved too, once a second at most: a key that was revoked must not
    come back to life with a start that hears from nobody."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pepper: str | None = None
        self._current: Callable[[], Snapshot] | None = None

    def save(self, key_pepper: str, snapshot: Snapshot) -> None:
        """Saves the snapshot; a disk that does not take it is told of in the log, and no more."""
        self._pepper = key_pepper
        try:
            _save(self._path, SavedSnapshot(key_pepper, snapshot))
        except OSError as error:
            log.warning("Can't save the snapshot, so a start without the control plane would have none: %s", error)

    def save_soon(self, current: Callable[[], Snapshot]) -> None:
        """Saves what is ``current`` then, within a second."""
        if self._current is None:
            asyncio.get_running_loop().call_later(SAVED_WITHIN_S, self._save_now)
        self._current = current

    def _save_now(self) -> None:
        current, self._current = self._current, None
        if current is not None and self._pepper is not None:
            self.save(self._pepper, current())

    def load(self) -> SavedSnapshot | None:
        """The saved snapshot; None when there is none that can be read."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=SavedSnapshot)
        except (OSError, msgspec.DecodeError):
            return None


def _save(path: Path, saved: SavedSnapshot) -> None:
    """Replaces the file whole: a reader sees the old one or the new one."""
    # Workers of one port save the same file: each writes aside under a name of its own.
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(saved))
    temporary.replace(path)
