"""LiteLLM's proxy: one worker, a master key, no database, so no budgets either.

Its version stays pinned with hashes: releases of this package were poisoned more than once in 2026.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.answers import MODEL
from bench.child import Child
from bench.peers.gateway import Gateway, Running, Site
from bench.peers.installing import python_environment
from bench.peers.starting import bare_environment, free_port, wait_until_right
from bench.requests import Address

_VERSION = "1.106.0"
_KEY = "sk-bench"
_CONFIG = """
model_list:
  - model_name: {model}
    litellm_params:
      model: openai/{model}
      api_base: {provider_url}
      api_key: none
litellm_settings:
  telemetry: false
general_settings:
  master_key: {key}
"""
_QUIET = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else it fetches prices at start
    "LITELLM_TELEMETRY": "False",
    "LITELLM_LOG": "ERROR",
    "LITELLM_MODE": "PRODUCTION",
    "DISABLE_ADMIN_UI": "True",
}


def _install(home: Path) -> str:
    python_environment(home, "litellm.txt")
    return _VERSION


@contextmanager
def _serve(site: Site) -> Iterator[Running]:
    port = free_port()
    config = site.folder / "litellm.yaml"
    config.write_text(_CONFIG.format(model=MODEL, provider_url=site.provider_url, key=_KEY))
    where = ["--host", "127.0.0.1", "--port", str(port), "--num_workers", "1", "--telemetry", "False"]
    command = [str(site.home / "bin/litellm"), "--config", str(config), *where]
    address = Address(port, "/v1/chat/completions", (("authorization", f"Bearer {_KEY}"),), MODEL)
    with Child(
        command,
        core=site.cores.gateway,
        environment=bare_environment(site.folder, _QUIET),
        log=site.folder / "litellm.log",
    ) as child:
        wait_until_right(address, child)
        yield Running(child, address)


LITELLM = Gateway("litellm", "Python; a master key, no database, no budgets", _install, _serve)
