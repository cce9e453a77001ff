"""A port that several children serve: bound once by their parent, so that it outlives each of them, and inherited."""

import mmap
import os
import socket
import tempfile
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass

from keeptrusts.gateway.acceptor import NOBODY, Place
from keeptrusts.gateway.counts import new_counts

PLACE = "KEEPTRUSTS_PLACE"
COUNT_BYTES = 4
MAX_WORKERS = 64


@dataclass(frozen=True, slots=True)
class SharedPort:
    """The parent's side. ``counts_fd`` is a file without a name that holds a number of connections for each worker, and
    ``limits_fd`` one in which they count together what their limits allow."""

    listener: socket.socket
    counts_fd: int
    limits_fd: int
    workers: int

    @property
    def inherited(self) -> tuple[int, ...]:
        """The descriptors that each child needs."""
        return self.listener.fileno(), self.counts_fd, self.limits_fd

    def place(self, number: int) -> Mapping[str, str]:
        """What the environment of worker ``number`` (from 0) must say."""
        return {PLACE: f"{number}/{self.workers}/{self.listener.fileno()}/{self.counts_fd}/{self.limits_fd}"}


def share(listener: socket.socket, workers: int) -> SharedPort:
    """Makes a bound, listening socket one that ``workers`` children serve."""
    with tempfile.TemporaryFile() as file:
        file.write(NOBODY.to_bytes(COUNT_BYTES, "little", signed=True) * workers)
        file.flush()
        return SharedPort(listener, os.dup(file.fileno()), new_counts(), workers)


def take_place(environ: MutableMapping[str, str]) -> Place | None:
    """In a child: its place at the shared port, None when it has a port of its own.

    The variable is taken out, so that nothing inherits it.
    """
    said = environ.pop(PLACE, "").split("/")
    if len(said) != 5 or not all(word.isdigit() for word in said):
        return None
    number, workers, listener_fd, counts_fd, limits_fd = map(int, said)
    for fd in (listener_fd, counts_fd, limits_fd):
        os.set_inheritable(fd, False)
    memory = mmap.mmap(counts_fd, workers * COUNT_BYTES)
    os.close(counts_fd)
    return Place(socket.socket(fileno=listener_fd), memoryview(memory).cast("i"), number, limits_fd)
