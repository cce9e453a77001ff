"""Addresses to listen at: `--port` is this machine alone, `--listen` says where else; and whether an address is free."""

import errno
import socket
from typing import NamedTuple

from keeptrusts.cli.failure import SAID_NO, Failure

LOOPBACK = "127.0.0.1"
BACKLOG = 2_048


class Address(NamedTuple):
    """A host without brackets, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def address(port: int | None, listen: str | None, default_port: int) -> Address:
    """Where to listen. Raises Failure when both are given or ``listen`` is not HOST:PORT."""
    if listen is None:
        return Address(LOOPBACK, default_port if port is None else port)
    if port is not None:
        raise Failure("say --port (this machine alone) or --listen HOST:PORT, not both")
    host, colon, number = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not (number.isascii() and number.isdigit()) or int(number) > 65_535:
        raise Failure(f"--listen is HOST:PORT, as 0.0.0.0:{default_port}, not {listen!r}")
    return Address(host, int(number))


def bound(at: Address) -> socket.socket:
    """A socket that listens there. Raises Failure with one clear line when nobody can."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            at.host, at.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(place)
            listener.listen(BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as trouble:
        raise Failure(cannot_listen(at, trouble), SAID_NO) from None
    return listener


def must_be_free(at: Address) -> None:
    """Raises Failure when nobody can listen there now."""
    bound(at).close()


def cannot_listen(at: Address, trouble: OSError) -> str:
    """Why nobody can listen there, and what to do."""
    if trouble.errno == errno.EADDRINUSE:
        return f"port {at.port} on {at.host} is in use: stop what listens there, or choose another port"
    if trouble.errno == errno.EACCES:
        return f"port {at.port} on {at.host} is not for us ({trouble.strerror}): choose one above 1023"
    return f"cannot listen at {at}: {trouble.strerror}"
