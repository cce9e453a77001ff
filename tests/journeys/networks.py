"""Where a journey's processes listen: on this machine's free ports, or in a network of their own with the usual ports.

The tutorials name ports 8080 and 41002. In a private network (Linux, where the machine allows one) they are always free,
whatever else runs here; elsewhere the journey takes them if they are free, and others if not.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from tests.journeys.processes import free_port, is_free
from tests.journeys.web import answers_ready

API_PORT = 8080
GATEWAY_PORT = 41002

_LOOPBACK_UP = """
import fcntl, socket, struct, sys
SIOCSIFFLAGS, IFF_UP_RUNNING = 0x8914, 0x41
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
    fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH", b"lo", IFF_UP_RUNNING))
print("up", flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True, slots=True)
class Network:
    """``enter`` is what a command line begins with to run in it; empty for this machine's own network."""

    enter: tuple[str, ...]
    api_port: int
    gateway_port: int

    @property
    def usual_ports(self) -> bool:
        return (self.api_port, self.gateway_port) == (API_PORT, GATEWAY_PORT)

    def ready(self, url: str) -> bool:
        """Whether ``GET /readyz`` says 200 there."""
        if not self.enter:
            return answers_ready(url)
        curl = [*self.enter, "curl", "--silent", "--fail", "--max-time", "5", "--output", os.devnull, f"{url}/readyz"]
        return subprocess.run(curl, check=False, stderr=subprocess.DEVNULL).returncode == 0


def this_machines() -> Network:
    """Two free ports of 127.0.0.1."""
    return Network((), free_port(), free_port())


def _usual_if_free() -> Network:
    if is_free(API_PORT) and is_free(GATEWAY_PORT):
        return Network((), API_PORT, GATEWAY_PORT)
    return this_machines()


@contextlib.contextmanager
def private_network() -> Iterator[Network]:
    """A network with nothing in it but its loopback; this machine's own where none can be made,
    with the usual ports if nobody has them."""
    rights = () if os.geteuid() == 0 else ("--user", "--map-root-user")
    unshare = shutil.which("unshare")
    if unshare is None or shutil.which("nsenter") is None:
        yield _usual_if_free()
        return
    keeper = subprocess.Popen(
        [unshare, *rights, "--net", "--", sys.executable, "-c", _LOOPBACK_UP],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with keeper:
        assert keeper.stdout is not None
        if keeper.stdout.readline() != "up\n":
            yield _usual_if_free()
            return
        spaces = ("--net",) if os.geteuid() == 0 else ("--user", "--net", "--preserve-credentials")
        yield Network(("nsenter", f"--target={keeper.pid}", *spaces, "--"), API_PORT, GATEWAY_PORT)
