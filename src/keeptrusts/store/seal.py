"""What signs checkpoints: a key of the data directory, beside the public keys it ever had and the last checkpoint it saw."""

import os
from pathlib import Path

from keeptrusts.core.audit.signature import SEED_BYTES, public_key_of, sign
from keeptrusts.store.data_dir import DataDir, DataDirUnusable

KEY = "audit-key"
PUBLIC_KEYS = "audit-keys.pub"
WITNESS = "audit-witness"


class Seal:
    """The signing key of one data directory. Its witness is the last checkpoint made here, kept outside of the database:
    a database that lacks it is an older copy, or another one."""

    def __init__(self, directory: DataDir) -> None:
        """Makes the key on first use, and notes its public half. Raises DataDirUnusable."""
        try:
            self._seed = bytes.fromhex(directory.secret(KEY, lambda: os.urandom(SEED_BYTES).hex()))
        except ValueError:
            self._seed = b""
        if len(self._seed) != SEED_BYTES:
            raise DataDirUnusable(
                f"{directory.path / KEY} does not hold a key of {SEED_BYTES * 2} hex digits: "
                "restore it, or remove it to have a new one made"
            )
        self.public_key = public_key_of(self._seed)
        self._witness = directory.path / WITNESS
        self.witness = read_witness(self._witness)
        _note_public_key(directory.path / PUBLIC_KEYS, self.public_key)

    def sign(self, text: str) -> str:
        """The signature over a statement, as hex."""
        return sign(self._seed, text.encode())

    def bear_witness(self, number: int, statement_hash: str) -> None:
        """Remembers a checkpoint as the last one. Raises OSError."""
        aside = self._witness.with_suffix(".new")
        aside.write_text(f"{number} {statement_hash}\n", encoding="ascii")
        os.replace(aside, self._witness)
        self.witness = (number, statement_hash)


def read_witness(file: Path) -> tuple[int, str] | None:
    """Number and hash of the last checkpoint that was made here; None when there is none, or it can't be read."""
    try:
        number, statement_hash = file.read_text(encoding="ascii").split()
        return int(number), statement_hash
    except (OSError, ValueError):
        return None


def _note_public_key(file: Path, public_key: str) -> None:
    known = file.read_text(encoding="ascii").split() if file.exists() else []
    if public_key not in known:
        with file.open("a", encoding="ascii") as out:
            out.write(public_key + "\n")
