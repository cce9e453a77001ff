"""The stores under test: SQLite lives in the API process; PostgreSQL is a server of its own, started here on a port of 127.0.0.1."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp

from keeptrusts.settings import Settings
from tests.journeys.processes import free_port
from tests.store.real_postgres import UNPRIVILEGED, binaries

ENGINES = ("sqlite", "postgres")
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "60",
    "shared_buffers": "64MB",
    "log_min_messages": "fatal",
}
_START_S = 30.0
_CHILDREN_S = 1.0
"""How long the children of a killed server may take to notice."""


def unavailable(engine: str) -> str:
    """Why the engine can't be used here; empty when it can."""
    if engine == "postgres" and "database_url" not in Settings.__struct_fields__:
        return "this product has no PostgreSQL store"
    return ""


class StoreServer:
    """A PostgreSQL server as in production: commits are synced. ``kill`` ends it as a crash would; ``start`` lets it recover."""

    def __init__(self, home: Path) -> None:
        # PostgreSQL does not run as root.
        self._user = UNPRIVILEGED if os.geteuid() == 0 else None
        self._home = home
        self._programs = binaries(home, self._user)
        self._data = home / "data"
        self._saved = home / "saved"
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    def create(self) -> None:
        """Makes the cluster."""
        if self._user is not None:
            shutil.chown(self._home, self._user)
        options = ("--no-sync", "--auth=trust", "--username=postgres", "--locale=C", "--encoding=UTF8")
        command = [self._programs / "initdb", "-D", self._data, *options]
        subprocess.run(command, check=True, capture_output=True, user=self._user, cwd=self._home, timeout=120)

    def start(self) -> None:
        """Starts the server, after a crash or not, and waits until it takes connections."""
        settings = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
        command = [self._programs / "postgres", "-D", self._data, "-p", str(self.port), "-k", "", *settings]
        ends = time.monotonic() + _START_S
        while True:
            with (self._home / "pg.log").open("ab") as log:
                self._process = subprocess.Popen(command, stdout=log, stderr=log, user=self._user, cwd=self._home)  # type: ignore[arg-type]
            while self._process.poll() is None:
                if self._takes_connections():
                    return
                time.sleep(0.02)
            # What the crashed one left may take a moment to go: its memory is in use until its last child has ended.
            assert time.monotonic() < ends, (self._home / "pg.log").read_text()[-2000:]
            time.sleep(0.1)

    def _takes_connections(self) -> bool:
        pid_file = self._data / "postmaster.pid"
        with suppress(OSError):
            words = pid_file.read_text().split()
            return self._process is not None and words[:1] == [str(self._process.pid)] and words[-1] == "ready"
        return False

    @property
    def pid(self) -> int:
        """Of the server's first process."""
        assert self._process is not None
        return self._process.pid

    def stop(self, number: signal.Signals = signal.SIGQUIT) -> None:
        """SIGQUIT breaks everything off at once, SIGINT ends it in good order, SIGKILL is a crash of the server alone."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(60)
            self._process = None

    def kill(self) -> None:
        """``kill -9`` of the server's first process; its children notice and end."""
        self.stop(signal.SIGKILL)

    def save(self) -> None:
        """A copy of everything, made while the server is stopped for a moment."""
        self.stop(signal.SIGINT)
        shutil.rmtree(self._saved, ignore_errors=True)
        self._copy(self._data, self._saved)
        self.start()

    def put_back(self) -> None:
        """The server crashes, and comes back as it was saved."""
        self.kill()
        time.sleep(_CHILDREN_S)
        shutil.rmtree(self._data)
        self._copy(self._saved, self._data)
        self.start()

    def _copy(self, source: Path, target: Path) -> None:
        subprocess.run(["cp", "--archive", source, target], check=True, timeout=120)

    def url(self, port: int) -> str:
        """The address by which the API finds it, directly or through a proxy's port."""
        return f"postgresql://postgres:none@127.0.0.1:{port}/postgres"


@contextmanager
def postgres_server() -> Iterator[StoreServer]:
    """A running PostgreSQL that syncs its commits; its files are in a directory with a short name, gone afterwards."""
    home = Path(mkdtemp(prefix="kt-pg-"))
    home.chmod(0o755)  # the server's user must be able to reach it
    server = StoreServer(home)
    try:
        server.create()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def store_server(engine: str) -> Iterator[StoreServer | None]:
    """The server that the engine needs, running; None for the one that needs none."""
    if engine == "sqlite":
        yield None
        return
    with postgres_server() as server:
        yield server
