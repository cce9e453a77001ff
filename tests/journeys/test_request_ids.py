"""One id through everything: the answer at every door and to every fault, the event, the provider, the command line."""

import json
import socket

import pytest

from tests.journeys.books import funded_key, settled_events
from tests.journeys.product import ADMIN_TOKEN, Product
from tests.journeys.web import ask

DOORS = ("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings", "/v1/messages")


def test_a_clients_id_is_in_its_answer_its_event_and_what_the_provider_got(product: Product, team: str) -> None:
    key = funded_key(product, team)
    headers = {**key.headers, "x-request-id": f"mine.{team}"}
    answer = product.post_chat({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}, headers)
    assert answer.headers["x-request-id"] == f"mine.{team}"
    (event,) = settled_events(product, 1, team_id=team)
    assert event["request_id"] == f"mine.{team}"
    assert f"mine.{team}" in {served.request_id for served in product.truth()}
    found = json.loads(product.kt("events", "list", "--request-id", f"mine.{team}", "--format", "json"))
    assert [one["id"] for one in found] == [event["id"]]
    assert product.kt("events", "list", "--request-id", "nobodys", "--format", "json").strip() == "[]"


@pytest.mark.parametrize(
    "path", [*DOORS, "/v1/models", "/v1/messages/count_tokens", "/metrics", "/nowhere", "/healthz"]
)
def test_every_answer_has_an_id_refusals_too(product: Product, path: str) -> None:
    method = "POST" if path in DOORS or path.endswith("count_tokens") else "GET"
    body = b"{" if method == "POST" else None
    for headers, expected in (({}, None), ({"x-request-id": "given-1"}, "given-1")):
        answer = ask(method, f"{product.gateway_url}{path}", body, headers)
        assert answer.headers["x-request-id"] == (expected or answer.headers["x-request-id"]) != ""


@pytest.mark.parametrize("given", ["x" * 200, "with blanks in it", "grüße"])
def test_an_id_that_is_none_is_replaced(product: Product, given: str) -> None:
    answer = ask("GET", f"{product.gateway_url}/healthz", headers={"x-request-id": given.encode().decode("latin-1")})
    assert answer.headers["x-request-id"].startswith("req_")


def test_what_is_no_request_gets_an_id_too(product: Product) -> None:
    with socket.create_connection(("127.0.0.1", product.gateway_port), timeout=10) as connection:
        connection.sendall(b"NONSENSE\r\n\r\n")
        answer = b""
        while data := connection.recv(65_536):
            answer += data
    assert b"\r\nx-request-id: req_" in answer, answer


def test_the_api_names_its_requests_too(product: Product) -> None:
    for headers, status in (({"Authorization": f"Bearer {ADMIN_TOKEN}"}, 200), ({}, 401)):
        answer = ask("GET", f"{product.api_url}/v1/teams", headers={**headers, "x-request-id": "asked-1"})
        assert (answer.status, answer.headers["x-request-id"]) == (status, "asked-1")
    assert ask("GET", f"{product.api_url}/nowhere").headers["x-request-id"]
