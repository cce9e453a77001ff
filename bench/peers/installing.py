"""Installs peers outside the repository, once, exactly as their lock files say: pinned, hashed, no build scripts."""

import hashlib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.peers.gateway import NotAvailable

LOCKS = Path(__file__).parent / "locks"
_TIME_OUT_S = 900


def run_to_end(command: Sequence[str], folder: Path) -> str:
    """Run an installer at low priority and return what it printed. Raises NotAvailable with its last lines."""
    try:
        done = subprocess.run(
            ["nice", *command], cwd=folder, capture_output=True, text=True, timeout=_TIME_OUT_S, check=False
        )
    except FileNotFoundError as error:
        raise NotAvailable(f"{command[0]} is not on this machine") from error
    except subprocess.TimeoutExpired as error:
        raise NotAvailable(f"{command[0]} took more than {_TIME_OUT_S} s") from error
    if done.returncode != 0:
        last = " / ".join((done.stderr or done.stdout).strip().splitlines()[-3:])
        raise NotAvailable(f"{Path(command[0]).name} exited with {done.returncode}: {last}")
    return done.stdout


def python_environment(home: Path, lock_name: str) -> Path:
    """A virtual environment in `home` with what the lock names; returns its folder of programs."""
    lock = LOCKS / lock_name
    programs = home / "bin"
    if not _is_current(home, lock):
        run_to_end([sys.executable, "-m", "venv", "--clear", str(home)], home)
        # The lock is complete, so nothing is resolved: --no-deps also spares old pips a quarrel about extras.
        exactly = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "-r", str(lock)]
        run_to_end([str(programs / "pip"), "install", "--quiet", *exactly], home)
        _mark(home, lock)
    return programs


def node_modules(home: Path, lock_folder: str) -> Path:
    """A node_modules folder in `home` with what the package lock names; install scripts stay unrun."""
    lock = LOCKS / lock_folder / "package-lock.json"
    if not _is_current(home, lock):
        for source in (lock, lock.with_name("package.json")):
            (home / source.name).write_bytes(source.read_bytes())
        run_to_end(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], home)
        _mark(home, lock)
    return home / "node_modules"


def debian_packages(home: Path, names: Sequence[str]) -> None:
    """Unpack Debian packages in `home` instead of installing them: no root needed, no service started."""
    home.mkdir(parents=True, exist_ok=True)
    for name in names:
        if any(home.glob(f"{name}_*.deb")):
            continue
        run_to_end(["apt-get", "download", name], home)
        for package in home.glob(f"{name}_*.deb"):
            run_to_end(["dpkg", "-x", str(package), str(home)], home)


def _is_current(home: Path, lock: Path) -> bool:
    home.mkdir(parents=True, exist_ok=True)
    mark = home / ".installed-lock"
    return mark.exists() and mark.read_text() == _digest(lock)


def _mark(home: Path, lock: Path) -> None:
    (home / ".installed-lock").write_text(_digest(lock))


def _digest(lock: Path) -> str:
    return hashlib.sha256(lock.read_bytes()).hexdigest()
