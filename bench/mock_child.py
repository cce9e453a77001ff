"""The mock provider as a process of its own, on the load's core."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.certificate import write_certificate
from bench.child import Child
from bench.cores import Cores
from bench.peers.gateway import Mock
from bench.peers.starting import bare_environment

_ROOT = Path(__file__).parent.parent
_READY_S = 10.0


@contextmanager
def mock_provider(cores: Cores, folder: Path) -> Iterator[Mock]:
    """The process and its ports. Raises OSError when it does not start."""
    environment = bare_environment(folder, {"PYTHONPATH": str(_ROOT)})
    certificate = write_certificate(folder)
    command = [sys.executable, "-m", "bench.mock_provider", "--tls", str(certificate)]
    with Child(command, core=cores.load, environment=environment, log=folder / "mock.log") as child:
        port, tls_port = _ports(child)
        yield Mock(child, port, tls_port, certificate)


def _ports(child: Child) -> list[int]:
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline and child.exit_code is None:
        if line := child.log_text().strip():
            return [int(port) for port in line.split()]
        time.sleep(0.02)
    raise OSError("the mock provider did not start: " + child.log_text())
