"""No gateway: the mock provider itself, so that what a gateway adds to a latency can be told."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.answers import MODEL
from bench.peers.gateway import Gateway, Running, Site
from bench.requests import Address


def _install(home: Path) -> str:
    return "-"


@contextmanager
def _serve(site: Site) -> Iterator[Running]:
    yield Running(site.mock.child, Address(site.mock.port, "/v1/chat/completions", (), MODEL))


DIRECT = Gateway("direct", "the load generator asks the mock provider itself", _install, _serve)
