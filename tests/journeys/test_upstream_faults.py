"""What a provider can do wrong: the caller gets a mapped error, the ledger never less than the provider bills."""

import socket
from pathlib import Path

import pytest

from tests.journeys.books import funded_key, nanos, nothing_held, settled_events
from tests.journeys.crowd import chat_bytes
from tests.journeys.policy_files import Policy, enforcing
from tests.journeys.product import Product, running_product

pytestmark = pytest.mark.xdist_group("journeys-calls")


def billed(product: Product, request_id: str) -> int:
    return sum(served.cost_nanos for served in product.truth() if served.request_id == request_id)


@pytest.mark.parametrize(
    ("wish", "status", "code"),
    [
        ("status=400", 400, None),
        ("status=401", 502, "upstream_rejected_key"),
        ("status=403", 502, "upstream_rejected_key"),
        ("status=429 retry_after=7", 429, "upstream_rate_limited"),
        ("status=500", 502, "upstream_error"),
        ("status=503", 502, "upstream_error"),
        ("status=529", 502, "upstream_error"),
    ],
)
def test_an_error_of_the_provider_is_mapped_and_costs_nothing(
    product: Product, team: str, wish: str, status: int, code: str | None
) -> None:
    key = funded_key(product, team)
    answer = product.chat(key, f"[[{wish}]]")
    assert answer.status == status, answer.body
    assert code is None or answer.error["code"] == code
    [event] = settled_events(product, 1, team_id=team)
    assert event["status"] == "upstream_error"
    assert nanos(event["cost_usd"]) == nanos(nothing_held(product, team)["spent"]) == 0


@pytest.mark.parametrize("wish", ["fault=garbage", "fault=reset at=40", "fault=cut at=40", "fault=reset at=0"])
def test_an_answer_that_breaks_is_a_502_booked_at_no_less_than_the_bill(product: Product, team: str, wish: str) -> None:
    key = funded_key(product, team)
    answer = product.chat(key, f"[[{wish}]]", max_tokens=25)
    assert answer.status == 502, answer.body
    [event] = settled_events(product, 1, team_id=team)
    assert event["status"] in ("upstream_error", "interrupted")
    truth = billed(product, event["request_id"])
    assert nanos(event["cost_usd"]) >= truth > 0
    assert event["usage_source"] in ("worst_case", "counted"), "a guess says that it is one"
    assert nanos(nothing_held(product, team)["spent"]) == nanos(event["cost_usd"])


@pytest.mark.parametrize("wish", ["fault=reset at=900 gap_ms=1", "fault=cut at=900 gap_ms=1"])
def test_a_stream_that_breaks_is_booked_at_no_less_than_the_bill(product: Product, team: str, wish: str) -> None:
    key = funded_key(product, team)
    request = chat_bytes("gpt-4o-mini", f"[[{wish}]]", key.headers, max_tokens=25, stream=True)
    with socket.create_connection(("127.0.0.1", product.gateway_port), timeout=30) as caller:
        caller.sendall(request)
        raw = b"".join(iter(lambda: received(caller), b""))
    assert b"word0" in raw, "what came before the break was relayed"
    assert b"[DONE]" not in raw, "the caller must be able to see that its stream broke"
    [event] = settled_events(product, 1, team_id=team)
    assert event["status"] in ("upstream_error", "interrupted")
    assert nanos(event["cost_usd"]) >= billed(product, event["request_id"]) > 0
    nothing_held(product, team)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_an_answer_without_usage_is_counted_and_says_so(product: Product, team: str, stream: bool) -> None:
    key = funded_key(product, team)
    answer = product.chat(key, "Who counts? [[fault=no_usage]]", max_tokens=25, stream=stream)
    assert answer.status == 200
    [event] = settled_events(product, 1, team_id=team)
    assert event["usage_source"] in ("counted", "worst_case")
    assert nanos(event["cost_usd"]) > 0
    nothing_held(product, team)


def test_a_call_that_was_sent_is_posted_even_if_its_own_body_can_not_be_counted_afterwards(
    product: Product, team: str
) -> None:
    key = funded_key(product, team)
    body = (
        b'{"model":"gpt-4o-mini","max_tokens":25,"messages":[{"role":"user","content":"Count. [[fault=no_usage]]"}],'
        b'"tools":[{"type":"function","function":{"name":"f","parameters":{"maximum":1e999}}}]}'
    )
    answer = product.post_chat(body, key.headers)
    assert answer.status in (200, 400)
    if answer.status == 200 or product.truth():
        [event] = settled_events(product, 1, team_id=team)
        assert event["cost_usd"] is None or nanos(event["cost_usd"]) >= billed(product, event["request_id"])
    nothing_held(product, team)


def test_usage_on_a_chunk_with_choices_is_found(product: Product, team: str) -> None:
    key = funded_key(product, team)
    answer = product.chat(key, "Early. [[fault=usage_early]]", stream=True)
    assert answer.status == 200
    [event] = settled_events(product, 1, team_id=team)
    assert event["usage_source"] == "provider"
    assert nanos(event["cost_usd"]) == billed(product, event["request_id"])


@pytest.mark.parametrize("wish", ["piece=1 gap_ms=1 out=3", "gap_ms=2"], ids=["byte by byte", "event by event"])
def test_a_slow_drip_is_relayed_whole_and_settled_exactly(product: Product, team: str, wish: str) -> None:
    key = funded_key(product, team)
    answer = product.chat(key, f"Slowly. [[{wish}]]", stream="piece" not in wish)
    assert answer.status == 200
    [event] = settled_events(product, 1, team_id=team)
    assert nanos(event["cost_usd"]) == billed(product, event["request_id"])


def test_max_tokens_reach_the_provider(product: Product, team: str) -> None:
    key = funded_key(product, team)
    answer = product.chat(key, "Short, please. [[out=500]]", max_tokens=3)
    assert answer.json["usage"]["completion_tokens"] == 3
    assert answer.json["choices"][0]["finish_reason"] == "length"


def test_several_choices_are_all_paid(product: Product, team: str) -> None:
    key = funded_key(product, team)
    answer = product.chat(key, "Three ways.", n=3, max_tokens=25)
    assert len(answer.json["choices"]) == 3
    [event] = settled_events(product, 1, team_id=team)
    assert event["tokens_output"] == 75
    assert nanos(event["cost_usd"]) == billed(product, event["request_id"])


def test_what_the_provider_calls_the_model_is_kept_and_the_asked_name_is_priced(product: Product, team: str) -> None:
    key = funded_key(product, team)
    answer = product.chat(key, "Who are you? [[served=gpt-4o-mini-2024-07-18]]")
    assert answer.status == 200
    [event] = settled_events(product, 1, team_id=team)
    assert event["model"] == "gpt-4o-mini"
    assert nanos(event["cost_usd"]) == billed(product, event["request_id"])


def received(caller: socket.socket) -> bytes:
    try:
        return caller.recv(65536)
    except ConnectionResetError:
        return b""


def impatient(provider_url: str, api_url: str) -> Policy:
    """Time-outs short enough for a test."""
    policy = enforcing(provider_url, api_url)
    [target] = policy["providers"]["targets"]
    target["timeouts"] = {"first_byte_s": 0.5, "idle_s": 0.5}
    return policy


@pytest.mark.parametrize("wish", ["fault=silent", "fault=hang at=60"])
def test_a_provider_that_falls_silent_is_a_504_booked_at_the_hold(tmp_path: Path, team: str, wish: str) -> None:
    with running_product(tmp_path, impatient) as product:
        key = funded_key(product, team)
        answer = product.chat(key, f"[[{wish}]]", max_tokens=25)
        assert (answer.status, answer.error["code"]) == (504, "upstream_timeout")
        [event] = settled_events(product, 1, team_id=team)
        assert nanos(event["cost_usd"]) >= billed(product, event["request_id"]) > 0
        nothing_held(product, team)

        product.provider.kill()
        refused = product.chat(key, "Anybody there?")
        assert refused.status in (502, 503), "nobody listens: nothing was sent, so nothing is booked"
        before = nanos(event["cost_usd"])
        assert nanos(nothing_held(product, team)["spent"]) == before
