"""TensorZero's Rust gateway, as its Python package carries it: it serves HTTP itself, Python only starts it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

from bench.child import Child
from bench.peers.gateway import Gateway, NotAvailable, Running, Site
from bench.peers.installing import python_environment
from bench.peers.starting import bare_environment, wait_until_right
from bench.requests import Address

_VERSION = "2026.6.0"
_READY_S = 30.0
_CONFIG = """
[gateway]
observability.enabled = false
disable_pseudonymous_usage_analytics = true

[models.mock]
routing = ["mock"]

[models.mock.providers.mock]
type = "openai"
model_name = "gpt-4o-mini"
api_base = "{provider_url}"
api_key_location = "none"
"""
_START = """
import sys, threading
from openai import OpenAI
from tensorzero import patch_openai_client
client = patch_openai_client(OpenAI(api_key="none"), config_file=sys.argv[1], clickhouse_url=None, async_setup=False)
print("listening", client.base_url.port, flush=True)
threading.Event().wait()
"""


def _install(home: Path) -> str:
    python_environment(home, "tensorzero.txt")
    return _VERSION


@contextmanager
def _serve(site: Site) -> Iterator[Running]:
    config = site.folder / "tensorzero.toml"
    config.write_text(_CONFIG.format(provider_url=site.provider_url))
    start = site.folder / "start.py"
    start.write_text(_START)
    command = [str(site.home / "bin/python"), "-W", "ignore", str(start), str(config)]
    with Child(
        command, core=site.cores.gateway, environment=bare_environment(site.folder), log=site.folder / "tensorzero.log"
    ) as child:
        address = Address(_port(child), "/openai/v1/chat/completions", (), "tensorzero::model_name::mock")
        wait_until_right(address, child)
        yield Running(child, address)


def _port(child: Child) -> int:
    """It chooses its port itself and says so."""
    deadline = monotonic() + _READY_S
    while monotonic() < deadline and child.exit_code is None:
        for line in child.log_text().splitlines():
            if line.startswith("listening "):
                return int(line.split()[1])
        sleep(0.02)
    raise NotAvailable("did not start: " + " / ".join(child.log_text().strip().splitlines()[-3:]))


TENSORZERO = Gateway("tensorzero", "Rust, in-process start; no keys of its own, nothing recorded", _install, _serve)
