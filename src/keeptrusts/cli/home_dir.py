"""The data directory as `kt up` uses it: private, held by one supervisor, with the admin token and a policy file of its own."""

import fcntl
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from keeptrusts.cli.failure import SAID_NO, Failure
from keeptrusts.core.identity.gateway_key import ACCESS_PREFIX, SECRET_BYTES, issue_key
from keeptrusts.store.data_dir import ADMIN_TOKEN

LOCK = "up.lock"
POLICY_FILE = "policy-config.yaml"


@dataclass(frozen=True, slots=True)
class AdminToken:
    """``source`` says where it is from and may be shown. ``fresh``: it was made just now."""

    value: str = field(repr=False)
    source: str
    fresh: bool


def open_home(path: Path) -> int:
    """Makes the directory (mode 0700) and takes its lock, which ends with this process; returns the lock's descriptor.

    Raises Failure when it cannot be used or another `kt up` holds it.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(path / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as trouble:
        raise Failure(f"the data directory {path} cannot be used: {trouble.strerror}", SAID_NO) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.read(lock, 20).decode(errors="replace").strip()
        os.close(lock)
        raise Failure(
            f"another `kt up`{f' (process {holder})' if holder.isdigit() else ''} runs on {path}: "
            "stop it, or give this one a --data-dir and ports of its own",
            SAID_NO,
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def admin_token(home: Path, environ: Mapping[str, str]) -> AdminToken:
    """The token in the environment, else the one kept in ``home``, which is made on first use (mode 0600)."""
    given = environ.get("KEEPTRUSTS_API_TOKEN", "").strip()
    if given:
        return AdminToken(given, "KEEPTRUSTS_API_TOKEN", fresh=False)
    file = home / ADMIN_TOKEN
    try:
        kept = file.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        made = issue_key(ACCESS_PREFIX, secrets.token_bytes(SECRET_BYTES))
        write_private(file, made + "\n")
        return AdminToken(made, str(file), fresh=True)
    except (OSError, UnicodeDecodeError):
        kept = ""
    if not kept:
        raise Failure(f"{file} holds no token: restore it, or remove it to have a new one made", SAID_NO)
    return AdminToken(kept, str(file), fresh=False)


def write_private(file: Path, text: str) -> None:
    """Writes a file that only its owner may read; aside first, so that a crash leaves all of it or nothing."""
    aside = file.with_name(f".{file.name}.new")
    try:
        aside.unlink(missing_ok=True)
        descriptor = os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(descriptor)
        os.replace(aside, file)
    except OSError as trouble:
        raise Failure(f"cannot write {file}: {trouble.strerror}", SAID_NO) from None
