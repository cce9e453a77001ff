"""The last snapshot of keys and prices, kept on disk, so that a gateway can start while the control plane is away."""

import logging
import os
from pathlib import Path

import msgspec
from msgspec import Struct

from keeptrusts.core.link import Snapshot

log = logging.getLogger("keeptrusts::gateway")


class SavedSnapshot(Struct):
    """``key_pepper`` is hex; the file is readable by its owner alone."""

    key_pepper: str
    snapshot: Snapshot


def keep_snapshot(path: Path, saved: SavedSnapshot) -> None:
    """Saves the snapshot; a disk that does not take it is told of in the log, and no more."""
    try:
        _save(path, saved)
    except OSError as error:
        log.warning("Can't save the snapshot, so a start without the control plane would have none: %s", error)


def _save(path: Path, saved: SavedSnapshot) -> None:
    """Replaces the file whole: a reader sees the old one or the new one."""
    # Workers of one port save the same file: each writes aside under a name of its own.
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(saved))
    temporary.replace(path)


def load_snapshot(path: Path) -> SavedSnapshot | None:
    """The saved snapshot; None when there is none that can be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=SavedSnapshot)
    except (OSError, msgspec.DecodeError):
        return None
