"""This product with everything on: key, attribution, limits, policy, wallet, journal, events shipped to the API.

The API is not the data plane: it runs on the load's core and is not counted, but its work for the gateway is felt.
"""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from functools import partial
from importlib.metadata import version
from pathlib import Path

from bench.answers import MODEL, USAGE
from bench.child import Child
from bench.peers.gateway import Gateway, NotAvailable, Running, Site
from bench.peers.starting import bare_environment, free_port, get, post, wait_until_right
from bench.requests import Address, Ask

_KEY = "kt_cg_engineering_bench123"
_TOKEN = "kt_ak_bench_only_on_this_machine_0000000000"
_TEAM = "team_engineering"
_BUDGET_USD = 1_000_000
_READY_S = 20.0
_SHIPPED_S = 60.0
_INPUT_USD_PER_1K = Decimal("0.00015")
_OUTPUT_USD_PER_1K = Decimal("0.0006")
CALL_USD = (USAGE["prompt_tokens"] * _INPUT_USD_PER_1K + USAGE["completion_tokens"] * _OUTPUT_USD_PER_1K) / 1000

_CONFIG = """
version: '1'
providers:
  targets:
    - id: openai
      provider: openai
      base_url: {provider_url}
      secret_key_ref:
        env: OPENAI_API_KEY
attribution:
  required: [team]
consumer_groups:
  - name: engineering
    api_key: {key}
    wallet_team_id: {team}
    rate_limit:
      requests_per_minute: 100000000
      tokens_per_minute: 100000000000
      concurrent_requests: 10000
cost_tracking:
  enabled: true
  wallet_enforcement: true
  budget_alerts:
    - threshold_percent: 50
      action: notify
    - threshold_percent: 80
      action: notify
    - threshold_percent: 95
      action: notify
    - threshold_percent: 100
      action: block
api:
  url: http://127.0.0.1:{api_port}
  token_env: KEEPTRUSTS_API_TOKEN
policies:
  - name: content-filter
    type: content_filter
    action: flag
    config:
      categories:
        - hate
"""
_CACHE = """
cache:
  enabled: true
  ttl: 3600
  scope: team
"""


def _install(home: Path) -> str:
    if not _program().exists():
        raise NotAvailable(f"{_program()} is missing: run `make bench`, which sets it up")
    return version("keeptrusts")


def _program() -> Path:
    return Path(sys.executable).with_name("kt")


@contextmanager
def _serve(site: Site, *, cache: bool = False, secured: bool = False) -> Iterator[Running]:
    api_port, port = free_port(), free_port()
    config = site.folder / "policy-config.yaml"
    provider_url = site.secure_provider_url if secured else site.provider_url
    settings = {"provider_url": provider_url, "api_port": api_port, "key": _KEY, "team": _TEAM}
    config.write_text(_CONFIG.format(**settings) + (_CACHE if cache else ""))
    more = {"OPENAI_API_KEY": "none", "KEEPTRUSTS_API_TOKEN": _TOKEN}
    more |= {"KEEPTRUSTS_API_URL": f"http://127.0.0.1:{api_port}", "SSL_CERT_FILE": str(site.mock.certificate)}
    environment = bare_environment(site.folder, more)
    api_command = [str(_program()), "api", "run", "--port", str(api_port), "--data-dir", str(site.folder / "api")]
    gateway_command = [str(_program()), "gateway", "run", "--policy-config", str(config)]
    gateway_command += ["--port", str(port), "--data-dir", str(site.folder / "gateway")]
    with Child(api_command, core=site.cores.load, environment=environment, log=site.folder / "api.log") as api:
        _wait_for_api(api, api_port)
        _fund(api_port)
        log = site.folder / "gateway.log"
        with Child(gateway_command, core=site.cores.gateway, environment=environment, log=log) as gateway:
            address = Address(port, "/v1/chat/completions", (("x-consumer-group", _KEY),), MODEL)
            # A stream from the cache has the text of the whole answer in one event.
            wait_until_right(address, gateway, (Ask(),) if cache else (Ask(), Ask(stream=True)))
            yield Running(gateway, address, None if cache else partial(_audit, api_port))


def _wait_for_api(api: Child, port: int) -> None:
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline:
        try:
            if get(port, "/readyz")[0] == 200:
                return
        except OSError:
            pass
        if api.exit_code is not None:
            break
        time.sleep(0.02)
    raise NotAvailable("the API did not get ready: " + " / ".join(api.log_text().strip().splitlines()[-4:]))


def _fund(port: int) -> None:
    """Set the price that the audit counts with, and give the team more than any run can spend."""
    price: dict[str, object] = {"model": MODEL, "provider": "openai"}
    price |= {"input_cost_per_1k_tokens": _INPUT_USD_PER_1K, "output_cost_per_1k_tokens": _OUTPUT_USD_PER_1K}
    for path, body in (
        ("/v1/model-pricing", price),
        ("/v1/wallets/allocate", {"team_id": _TEAM, "amount": _BUDGET_USD, "currency": "USD"}),
    ):
        status, said = post(port, path, json.dumps(body, default=float), _authorization())
        if status >= 300:
            raise NotAvailable(f"POST {path} answered {status}: {said[:200]}")


def _audit(port: int, calls: int) -> str:
    """Wait until the ledger shows every call, to the nano-dollar. Raises AssertionError when it does not."""
    expected = calls * CALL_USD
    start = time.monotonic()
    spent = Decimal(0)
    while time.monotonic() < start + _SHIPPED_S:
        _, said = get(port, f"/v1/wallets/balance?team_id={_TEAM}", _authorization())
        spent = json.loads(said, parse_float=Decimal)["spent"]
        if spent >= expected:
            break
        time.sleep(0.05)
    assert spent == expected, f"{calls} calls cost {expected} USD, the ledger shows {spent} after {_SHIPPED_S:.0f} s"
    return f"the ledger shows all {calls} calls, {expected} USD, {time.monotonic() - start:.1f} s after the last"


def _authorization() -> dict[str, str]:
    return {"authorization": f"Bearer {_TOKEN}", "content-type": "application/json"}


KEEPTRUSTS = Gateway(
    "keeptrusts", "key, attribution, limits, policy, wallet, journal, event for every call", _install, _serve
)
SECURED = Gateway(
    "keeptrusts, TLS",
    "the same, with TLS to the provider",
    _install,
    partial(_serve, secured=True),
    frozenset({"call", "paced"}),
)
CACHE_HIT = Gateway(
    "keeptrusts, cache hit",
    "the same, answered from the team's cache",
    _install,
    partial(_serve, cache=True),
    frozenset({"call"}),
    cached=True,
)
