"""Disks that fail: a small file system of its own, and system calls that strace makes fail or slow in a running process."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ATTACHED_S = 10.0


def no_small_disk() -> str:
    """Why no file system can be mounted here; empty when one can."""
    return "" if os.geteuid() == 0 and shutil.which("mount") else "mounting a small file system takes root"


def no_strace() -> str:
    """Why system calls can't be made to fail here; empty when they can."""
    return "" if shutil.which("strace") else "strace is not installed"


@contextmanager
def small_disk(at: Path, megabytes: int) -> Iterator[Path]:
    """A file system with so much room, at this directory."""
    at.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", at], check=True, timeout=30)
    try:
        yield at
    finally:
        subprocess.run(["umount", "--lazy", at], check=False, timeout=30)


@contextmanager
def filled(disk: Path) -> Iterator[None]:
    """No room on it within the block, but for what a file that is there already has left in its last page."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for piece in (b"x" * 65_536, b"x" * 4_096, b"x"):
            with suppress(OSError):
                while file.write(piece) == len(piece):
                    pass
    try:
        yield
    finally:
        filler.unlink()


@contextmanager
def failing_calls(pid: int, inject: str, path: Path | None = None) -> Iterator[None]:
    """Within the block strace injects this into the process and its threads, such as ``fdatasync:error=EIO``; with ``path``
    only into calls on that file."""
    call = inject.partition(":")[0]
    command = [
        "strace",
        "-f",
        "-qq",
        "-p",
        str(pid),
        "-e",
        f"trace={call}",
        "-e",
        f"inject={inject}",
        "-o",
        "/dev/null",
    ]
    if path is not None:
        command += ["-P", str(path)]
    tracer = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        ends = time.monotonic() + ATTACHED_S
        while f"TracerPid:\t{tracer.pid}" not in Path(f"/proc/{pid}/status").read_text():
            assert time.monotonic() < ends, "strace did not attach"
            assert tracer.poll() is None, "strace ended: may this process be traced?"
            time.sleep(0.01)
        yield
    finally:
        tracer.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            tracer.wait(10)
        if tracer.poll() is None:
            tracer.kill()
            tracer.wait(10)
