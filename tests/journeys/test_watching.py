"""Operators watch a running gateway: its metrics and its health, of all its workers, for the API token and nobody else."""

import http.client
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.journeys.books import funded_key
from tests.journeys.policy_files import Policy, enforcing
from tests.journeys.processes import alive, descendants, until
from tests.journeys.product import ADMIN_TOKEN, PROVIDER_SECRET, Product, running_product
from tests.journeys.web import Answer, ask

pytestmark = pytest.mark.xdist_group("journeys-watching")

WORKERS = 2
OPERATOR = {"Authorization": f"Bearer {ADMIN_TOKEN}"}


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    directory = tmp_path_factory.mktemp("watched")

    def policy(provider_url: str, api_url: str) -> Policy:
        return {**enforcing(provider_url, api_url), "gateway": {"admin": {"listen": f"/tmp/kt-{os.getpid()}.sock"}}}

    with running_product(directory, policy, workers=WORKERS) as product:
        yield product
        assert product.gateway.stop() == 0
        assert "Traceback" not in product.gateway.output
        assert not Path(f"/tmp/kt-{os.getpid()}.sock").exists()
        assert not list((product.data_dir / "gateway" / "workers").iterdir())


def admin(product: Product, path: str, method: str = "GET", **headers: str) -> Answer:
    return ask(method, f"{product.gateway_url}{path}", headers=headers or OPERATOR)


def figures(answer: Answer) -> dict[str, float]:
    """Each metric's sum over its lines."""
    sums: dict[str, float] = {}
    for family in text_string_to_metric_families(answer.body.decode()):
        for sample in family.samples:
            sums[sample.name] = sums.get(sample.name, 0) + sample.value
    return sums


def test_one_scrape_has_the_calls_of_all_workers(watched: Product) -> None:
    key = funded_key(watched, "team_scraped")
    before = figures(admin(watched, "/metrics")).get("keeptrusts_gateway_requests_total", 0)
    for _ in range(8):
        assert watched.chat(key).status == 200
    answer = admin(watched, "/metrics")
    assert answer.status == 200
    assert figures(answer)["keeptrusts_gateway_requests_total"] == before + 8
    text = answer.body.decode()
    assert all(f'keeptrusts_gateway_ready{{worker="{n}"}} 1' in text for n in range(WORKERS))
    assert "keeptrusts_gateway_workers_silent 0" in text
    for secret in (key.secret, key.id, ADMIN_TOKEN, PROVIDER_SECRET):
        assert secret not in text


def test_health_says_how_each_worker_is(watched: Product) -> None:
    health = admin(watched, "/health").json
    assert health["status"] == "healthy"
    assert sorted(health["workers"]) == [str(n) for n in range(WORKERS)]
    one = health["workers"]["0"]
    assert one["providers"] == {"openai": "reachable"}
    assert one["control_plane"]["age_seconds"] < 5
    assert len({worker["node_id"] for worker in health["workers"].values()}) == WORKERS
    assert len({worker["config_fingerprint"] for worker in health["workers"].values()}) == 1


def test_the_admin_socket_needs_no_token_and_serves_no_calls(watched: Product) -> None:
    path = f"/tmp/kt-{os.getpid()}.sock"
    assert Path(path).stat().st_mode & 0o777 == 0o600

    def get(what: str, method: str = "GET") -> int:
        connection = http.client.HTTPConnection("localhost", timeout=10)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(path)
        connection.request(method, what)
        status = connection.getresponse().status
        connection.close()
        return status

    assert get("/metrics") == 200
    assert get("/metrics", "POST") == 405
    assert get("/v1/models") == 404


@pytest.mark.parametrize("path", ["/metrics", "/health"])
def test_nobody_gets_in_without_the_api_token(watched: Product, path: str) -> None:
    key = funded_key(watched, "team_curious", usd="1")
    assert ask("GET", watched.gateway_url + path).error["code"] == "missing_key"
    for wrong in ("Bearer nonsense", f"Bearer {ADMIN_TOKEN}x", f"Basic {ADMIN_TOKEN}"):
        assert admin(watched, path, Authorization=wrong).status == 401
    refused = admin(watched, path, Authorization=f"Bearer {key.secret}")
    assert (refused.status, refused.error["code"]) == (403, "admin_only")
    assert key.secret not in refused.body.decode()


def test_a_stuck_worker_is_counted_and_keeps_nobody_waiting_for_long(watched: Product) -> None:
    workers = [pid for pid in descendants(watched.gateway.pid) if alive(pid)]
    os.kill(workers[1], signal.SIGSTOP)
    try:
        answer = until(lambda: _answered_by_the_other(watched), "an answer of the worker that runs", 30)
        assert figures(answer)["keeptrusts_gateway_workers_silent"] == 1
    finally:
        os.kill(workers[1], signal.SIGCONT)
    assert figures(admin(watched, "/metrics"))["keeptrusts_gateway_workers_silent"] == 0


def _answered_by_the_other(product: Product) -> Answer | None:
    try:
        return ask("GET", f"{product.gateway_url}/metrics", headers=OPERATOR, timeout_s=7)
    except OSError:
        return None
