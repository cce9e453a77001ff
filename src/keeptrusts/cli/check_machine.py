"""What `kt doctor` looks at on this machine: the interpreter, the data directory and its disk, journals, ports."""

import http.client
import os
import platform
import shutil
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from keeptrusts import __version__
from keeptrusts.cli.check import Check, fail, ok, warn

OLDEST_PYTHON = (3, 11)
FREE_BYTES_WARN = 1024**3
FREE_BYTES_FAIL = 100 * 1024**2
SYNC_S_WARN = 0.05
PROBE_S = 2.0
RETIRED = "retired"


def check_machine(data_dir: Path, ports: Mapping[str, int]) -> Iterator[Check]:
    """All of it; ``ports`` by who should listen there."""
    yield _interpreter()
    yield from _data_directory(data_dir)
    yield from _journals(data_dir)
    for who, port in ports.items():
        yield _port(who, port)


def _interpreter() -> Check:
    version = platform.python_version()
    found = f"kt {__version__}, Python {version}, {platform.system()} {platform.machine()}"
    if sys.version_info < OLDEST_PYTHON:
        return fail("version", found, "install Python 3.11 or newer")
    if sys.platform != "linux":
        return warn("version", found, "gateways and API are tested on Linux: run them there")
    return ok("version", found)


def _data_directory(path: Path) -> Iterator[Check]:
    name = "data directory"
    if not path.exists():
        parent = next(p for p in path.parents if p.exists())
        if os.access(parent, os.W_OK | os.X_OK):
            yield ok(name, f"{path} is not there yet: the first start makes it")
        else:
            yield fail(name, f"{path} cannot be made: {parent} is not ours to write", "choose another with --data-dir")
        return
    if not path.is_dir() or not os.access(path, os.W_OK | os.X_OK | os.R_OK):
        yield fail(name, f"{path} cannot be written by this user", f"chown it to {_user()}, or use --data-dir")
        return
    if path.stat().st_mode & 0o077:
        yield warn(name, f"{path} can be read by others, and it holds keys", f"chmod 700 {path}")
    else:
        yield ok(name, f"{path}, readable by {_user()} alone")
    yield _space(path)
    yield _disk(path)


def _space(path: Path) -> Check:
    free = shutil.disk_usage(path).free
    found = f"{free / 1024**3:.1f} GB free"
    if free < FREE_BYTES_FAIL:
        return fail("space", found, "make room: a journal that can't be written stops the gateway")
    if free < FREE_BYTES_WARN:
        return warn("space", found, "make room before the journal needs it")
    return ok("space", found)


def _disk(path: Path) -> Check:
    aside = path / f".doctor-{os.getpid()}"
    try:
        descriptor = os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            began = time.monotonic()
            os.write(descriptor, b"\0" * 4_096)
            os.fsync(descriptor)
            took_s = time.monotonic() - began
        finally:
            os.close(descriptor)
            aside.unlink()
    except OSError as trouble:
        return fail("disk", f"a write to {path} failed: {trouble.strerror}", "check the disk and its mount")
    found = f"a write is safe after {took_s * 1_000:.1f} ms"
    if took_s > SYNC_S_WARN:
        return warn("disk", found, "use a local disk: the ledger waits for it, and `durability: power` too")
    return ok("disk", found)


def _journals(data_dir: Path) -> Iterator[Check]:
    root = data_dir / "gateway" / "journals"
    locked = _locked_inodes()
    if locked is None or not root.is_dir():
        return
    live, left, damaged = 0, 0, 0
    try:
        for directory in root.iterdir():
            lock = directory / "lock"
            if not lock.exists() or (directory / RETIRED).exists():
                continue
            is_live = lock.stat().st_ino in locked
            live, left = live + is_live, left + (not is_live)
            damaged += any(directory.glob("*.damaged"))
    except OSError as trouble:
        yield fail("journals", f"{root} cannot be read: {trouble.strerror}", f"give it to {_user()}")
        return
    if damaged:
        yield warn("journals", f"{damaged} damaged", "see `kt ledger node list` and docs/how-to/money-in-doubt.md")
    if left:
        found = f"{left} of gateways that are gone, {live} in use"
        yield warn("journals", found, "start a gateway here: it recovers them and gives their money back")
    else:
        yield ok("journals", f"{live} in use, none left behind")


def _locked_inodes() -> set[int] | None:
    """The inodes of files that some process holds a lock on, as the kernel lists them; taking one would get in the way."""
    try:
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return None
    return {int(word.rpartition(":")[2]) for line in lines for word in line.split() if word.count(":") == 2}


def _port(who: str, port: int) -> Check:
    name = f"port {port}"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except PermissionError:
            return fail(name, "not for this user", f"choose one above 1023 for the {who}")
        except OSError:
            return _who_listens(name, who, port)
    return ok(name, f"free for the {who}, which does not run here")


def _who_listens(name: str, who: str, port: int) -> Check:
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=PROBE_S)
    try:
        line.request("GET", "/readyz")
        answer = line.getresponse()
        body = answer.read(1_024)
    except (OSError, http.client.HTTPException):
        return fail(name, f"taken, and not by the {who}", f"stop what listens there, or give the {who} another port")
    finally:
        line.close()
    if b"ready" not in body:
        return fail(name, f"another program answers there, not the {who}", f"give the {who} another port")
    if answer.status != 200:
        return fail(name, f"the {who} runs and is not ready", "its log says why; `kt doctor` checks what it needs")
    return ok(name, f"the {who} runs and is ready")


def _user() -> str:
    return os.environ.get("USER") or f"user {os.getuid()}"
