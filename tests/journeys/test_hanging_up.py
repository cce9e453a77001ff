"""A caller that goes away in the middle of an answer is charged what the provider charges, once, and holds nothing."""

import json
import socket
import struct

import pytest

from tests.journeys.books import funded_key, nanos, nothing_held, settled_events
from tests.journeys.crowd import chat_bytes
from tests.journeys.processes import until
from tests.journeys.product import Product
from tests.providers.truth import Served

pytestmark = pytest.mark.xdist_group("journeys-calls")

SLOW_STREAM = "Tell me a long story. [[out=60 gap_ms=10]]"


def hang_up(product: Product, request: bytes, after: bytes, reset: bool) -> None:
    """Send, read until ``after`` has come, and leave: with FIN, or with RST."""
    with socket.create_connection(("127.0.0.1", product.gateway_port), timeout=30) as caller:
        caller.sendall(request)
        seen = b""
        while after not in seen:
            data = caller.recv(4096)
            assert data, f"the gateway hung up first, after {seen!r}"
            seen += data
        if reset:
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def served_to(product: Product, request_id: str) -> Served:
    [served] = [entry for entry in product.truth() if entry.request_id == request_id]
    return served


@pytest.mark.parametrize("reset", [False, True], ids=["close", "rst"])
def test_a_stream_left_by_its_caller_is_settled_at_the_providers_true_usage(
    product: Product, team: str, reset: bool
) -> None:
    key = funded_key(product, team)
    request = chat_bytes("gpt-4o-mini", SLOW_STREAM, key.headers, stream=True)
    hang_up(product, request, after=b"word3 ", reset=reset)
    [event] = settled_events(product, 1, team_id=team)
    truth = served_to(product, event["request_id"])
    assert truth.completion_tokens == 60
    assert (event["tokens_input"], event["tokens_output"]) == (truth.prompt_tokens, truth.completion_tokens)
    assert nanos(event["cost_usd"]) == truth.cost_nanos
    assert event["usage_source"] == "provider"
    assert nanos(nothing_held(product, team)["spent"]) == truth.cost_nanos


@pytest.mark.parametrize("reset", [False, True], ids=["close", "rst"])
def test_a_whole_answer_that_nobody_waits_for_is_settled_too(product: Product, team: str, reset: bool) -> None:
    key = funded_key(product, team)
    before = len(product.truth())
    request = chat_bytes("gpt-4o-mini", "Think first. [[first_ms=200]]", key.headers)
    with socket.create_connection(("127.0.0.1", product.gateway_port), timeout=30) as caller:
        caller.sendall(request)
        until(lambda: len(product.truth()) > before, "the provider has the call")
        if reset:
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    [event] = settled_events(product, 1, team_id=team)
    assert nanos(event["cost_usd"]) == served_to(product, event["request_id"]).cost_nanos
    nothing_held(product, team)


def test_a_caller_that_leaves_before_its_request_is_complete_causes_no_call(product: Product, team: str) -> None:
    key = funded_key(product, team)
    request = chat_bytes("gpt-4o-mini", "Never finished.", key.headers)
    with socket.create_connection(("127.0.0.1", product.gateway_port), timeout=30) as caller:
        caller.sendall(request[:-5])
    whole = product.chat(key)
    assert whole.status == 200
    paid = [event for event in settled_events(product, 2, team_id=team) if event["cost"] is not None]
    assert [event["request_id"] for event in paid] == [whole.headers["x-request-id"]]
    assert nanos(nothing_held(product, team)["spent"]) == nanos(paid[0]["cost_usd"])


def test_two_requests_sent_in_one_breath_get_two_answers_in_order(product: Product, team: str) -> None:
    key = funded_key(product, team)
    headers = {**key.headers, "connection": "keep-alive"}
    first = chat_bytes("gpt-4o-mini", "One. [[out=1]]", headers)
    second = chat_bytes("gpt-4o-mini", "Two. [[out=2]]", {**key.headers})
    with socket.create_connection(("127.0.0.1", product.gateway_port), timeout=30) as caller:
        caller.sendall(first + second)
        raw = b""
        while data := caller.recv(65536):
            raw += data
    bodies = [part.partition(b"\r\n\r\n")[2] for part in raw.split(b"HTTP/1.1 ") if part]
    assert [json.loads(body)["usage"]["completion_tokens"] for body in bodies] == [1, 2]
    settled_events(product, 2, team_id=team)


def test_a_caller_that_sends_its_request_and_half_closes_still_gets_its_answer_or_is_settled(
    product: Product, team: str
) -> None:
    key = funded_key(product, team)
    with socket.create_connection(("127.0.0.1", product.gateway_port), timeout=30) as caller:
        caller.sendall(chat_bytes("gpt-4o-mini", "Half.", key.headers))
        caller.shutdown(socket.SHUT_WR)
        while caller.recv(65536):
            pass
    [event] = settled_events(product, 1, team_id=team)
    assert nanos(event["cost_usd"]) == served_to(product, event["request_id"]).cost_nanos
    nothing_held(product, team)


def test_a_caller_that_reads_slowly_holds_up_nobody_else(product: Product, team: str) -> None:
    key = funded_key(product, team)
    request = chat_bytes("gpt-4o-mini", "Very much. [[out=5000]]", key.headers, stream=True)
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        slow.settimeout(30)
        slow.connect(("127.0.0.1", product.gateway_port))
        slow.sendall(request)
        assert product.chat(key).status == 200
        read = 0
        while data := slow.recv(65536):
            read += len(data)
    assert read > 5000 * 100
    found = settled_events(product, 2, team_id=team)
    assert sum(nanos(event["cost_usd"]) for event in found) == sum(
        served_to(product, event["request_id"]).cost_nanos for event in found
    )
    nothing_held(product, team)
