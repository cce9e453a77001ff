"""The data directory: one API process at a time, and the secrets that must not stand in the database."""

import fcntl
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

DATABASE = "ledger.db"
TALLY = "grant-tally"
LOCK = "api.lock"
PEPPER = "key-pepper"
ADMIN_TOKEN = "admin-token"
PEPPER_BYTES = 32


class DataDirUnusable(Exception):
    """The directory can't be used; the message is one line that says why."""


class DataDir:
    """An open data directory, locked against other API processes until ``close``."""

    def __init__(self, path: Path) -> None:
        """Makes and locks the directory. Raises DataDirUnusable."""
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(path / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DataDirUnusable(f"the data directory {path} can't be used: {error.strerror}") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise DataDirUnusable(f"the data directory {path} is in use by another API process") from None
        self.path = path

    def secret(self, name: str, make: Callable[[], str]) -> str:
        """The secret kept in the file ``name`` (mode 0600), made on first use. Raises DataDirUnusable."""
        file = self.path / name
        with suppress(FileNotFoundError):
            text = file.read_text(encoding="ascii").strip()
            if not text:
                raise DataDirUnusable(f"{file} is empty: restore it, or remove it to have a new one made")
            return text
        text = make()
        # Written aside and renamed, so that a crash leaves either no file or a whole one.
        aside = file.with_suffix(".new")
        descriptor = os.open(aside, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, text.encode("ascii") + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(aside, file)
        return text

    def pepper(self) -> bytes:
        """The key of the keyed hash under which tokens are stored; not in the database, so that a copy of it is no use."""
        return bytes.fromhex(self.secret(PEPPER, lambda: os.urandom(PEPPER_BYTES).hex()))

    def close(self) -> None:
        """Lets another process have it."""
        os.close(self._lock)
