"""What a gateway is to the benchmark: how to install it, how to have it running for a while, where it listens."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from bench.child import Child
from bench.cores import Cores
from bench.requests import Address
from bench.tally import Tally


class NotAvailable(Exception):
    """The gateway cannot be installed or does not answer here; the text says why."""


@dataclass(frozen=True, slots=True)
class Mock:
    """The mock provider: one port, another that speaks TLS, and the certificate that it shows there."""

    child: Child
    port: int
    tls_port: int
    certificate: Path


@dataclass(frozen=True, slots=True)
class Site:
    """Where one start of a gateway takes place."""

    mock: Mock
    folder: Path  # empty, for this start alone: configuration, logs, data
    home: Path  # where its installation is
    cores: Cores

    @property
    def provider_url(self) -> str:
        """The mock provider's base URL, as OpenAI clients take it."""
        return f"http://127.0.0.1:{self.mock.port}/v1"

    @property
    def secure_provider_url(self) -> str:
        """The same over TLS."""
        return f"https://127.0.0.1:{self.mock.tls_port}/v1"


@dataclass(frozen=True, slots=True)
class Running:
    """A gateway that is up. `audit`, if it has one, checks its books against the number of calls it was sent."""

    child: Child
    address: Address
    audit: Callable[[int], str] | None = None


@dataclass(frozen=True, slots=True)
class Gateway:
    """One row of the tables."""

    name: str
    about: str  # what it does and does not do in this benchmark
    install: Callable[[Path], str]  # into this folder, once; returns the version; raises NotAvailable
    serve: Callable[[Site], AbstractContextManager[Running]]
    scenarios: frozenset[str] | None = None  # None: all
    drive: Callable[[Path, Running, float], Tally] | None = None  # its own load for so many seconds, given its home
    cached: bool = False  # its answers must not reach the provider
