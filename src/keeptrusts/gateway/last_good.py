"""The last policy that a gateway went by, kept on disk: a start can fall back on it when the files are broken."""

import logging
import os
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import msgspec
from msgspec import Struct

from keeptrusts.core.rulebook.layers import Layer
from keeptrusts.gateway.policy_files import PolicyTexts

log = logging.getLogger("keeptrusts::gateway")


class Kept(Struct, frozen=True):
    """``saved_at_s`` is Unix time. The texts may hold group keys: the file is readable by its owner alone."""

    saved_at_s: int
    layers: tuple[Layer, ...]


class LastGood:
    """What worked last of one list of policy files, below a data directory."""

    def __init__(self, data_dir: Path, names: Sequence[str]) -> None:
        name = sha256("\0".join(names).encode()).hexdigest()[:16]
        self._file = data_dir / "gateway" / "last-good" / f"{name}.json"

    def keep(self, texts: PolicyTexts) -> None:
        """These work. A disk that does not take them is told of in the log, and no more."""
        aside = self._file.with_suffix(f".{os.getpid()}.tmp")
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(aside, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(msgspec.json.encode(Kept(int(time.time()), texts)))
                file.flush()
                os.fsync(descriptor)
            aside.replace(self._file)
        except OSError as error:
            log.warning("Can't keep the policy for a later start with --last-good: %s", error.strerror)

    def load(self) -> tuple[PolicyTexts, int] | None:
        """The texts and when they were kept; None when there are none that can be read."""
        try:
            kept = msgspec.json.decode(self._file.read_bytes(), type=Kept)
        except (OSError, msgspec.DecodeError):
            return None
        return kept.layers, kept.saved_at_s
