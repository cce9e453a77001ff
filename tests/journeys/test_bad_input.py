"""Whatever nonsense comes in: the right status in the OpenAI envelope, nothing sent to a provider, nothing held."""

import json
import socket

import pytest

from tests.journeys.books import balance, funded_key, nanos, nothing_held
from tests.journeys.product import Key, Product
from tests.journeys.web import ask

pytestmark = pytest.mark.xdist_group("journeys-calls")

MESSAGES = [{"role": "user", "content": "hello"}]
GOOD = {"model": "gpt-4o-mini", "messages": MESSAGES}


def with_body(**changes: object) -> bytes:
    return json.dumps({**GOOD, **changes}).encode()


BAD_BODIES = {
    "empty": (b"", 400, "invalid_json"),
    "not json": (b"hello", 400, "invalid_json"),
    "cut short": (with_body()[:-3], 400, "invalid_json"),
    "trailing garbage": (with_body() + b"}", 400, "invalid_json"),
    "a list": (b"[]", 400, "invalid_request"),
    "a number": (b"42", 400, "invalid_request"),
    "null": (b"null", 400, "invalid_request"),
    "nothing in it": (b"{}", 400, "invalid_request"),
    "no model": (json.dumps({"messages": MESSAGES}).encode(), 400, "invalid_request"),
    "model null": (with_body(model=None), 400, "invalid_request"),
    "model a number": (with_body(model=4), 400, "invalid_request"),
    "model empty": (with_body(model=""), 400, "invalid_request"),
    "unknown model": (with_body(model="gpt-17"), 402, "unpriced_model"),
    "model with a line break": (with_body(model="gpt-4o-mini\r\nx: y"), 402, "unpriced_model"),
    "no messages": (json.dumps({"model": "gpt-4o-mini"}).encode(), 400, "invalid_request"),
    "messages a word": (with_body(messages="hello"), 400, "invalid_request"),
    "max_tokens negative": (with_body(max_tokens=-1), 400, "invalid_request"),
    "max_tokens a word": (with_body(max_tokens="many"), 400, "invalid_request"),
    "max_tokens a fraction": (with_body(max_tokens=1.5), 400, "invalid_request"),
    "max_tokens beyond int64": (with_body(max_tokens=2**70), 400, "invalid_request"),
    "n is zero": (with_body(n=0), 400, "invalid_request"),
    "stream a word": (with_body(stream="yes"), 400, "invalid_request"),
    "invalid utf-8": (with_body().replace(b"hello", b"h\xff\xfello"), 400, "invalid_json"),
    "half a surrogate": (with_body().replace(b"hello", b"\\ud800"), 400, "invalid_json"),
    "deep nesting": (with_body().replace(b'"hello"', b"[" * 50_000 + b"]" * 50_000), 400, "invalid_json"),
    "nul byte": (b"\x00" * 64, 400, "invalid_json"),
    "a million letters": (with_body(messages=["a"] * 1_000_000), 413, "body_too_large"),
    "a million empty lists": (with_body(messages=[[]] * 1_000_000), 413, "body_too_large"),
    "a million numbers": (with_body(messages=[1] * 1_000_000), 413, "body_too_large"),
}


@pytest.fixture(scope="module")
def key(product: Product) -> Key:
    return funded_key(product, "team_bad_input")


@pytest.mark.parametrize("name", BAD_BODIES)
def test_a_bad_body_is_refused_in_the_envelope_and_costs_nothing(product: Product, key: Key, name: str) -> None:
    body, status, code = BAD_BODIES[name]
    before, spent = len(product.truth()), nanos(balance(product, "team_bad_input")["spent"])
    answer = product.post_chat(body, key.headers)
    assert (answer.status, answer.error["code"]) == (status, code), answer.body
    assert set(answer.error) >= {"message", "type", "code"}
    assert answer.error["message"]
    assert answer.headers["content-type"].startswith("application/json")
    assert "traceback" not in answer.body.decode().lower()
    assert len(product.truth()) == before
    assert nanos(nothing_held(product, "team_bad_input")["spent"]) == spent


def test_a_key_written_twice_cannot_show_the_provider_another_value_than_us(product: Product, key: Key) -> None:
    """Whichever of the two counts, or neither: what is sent is what was priced."""
    body = b'{"max_tokens":100000,"max_tokens":5,"n":50,"n":1,"model":"gpt-4o","model":"gpt-4o-mini","messages":'
    before = len(product.truth())
    answer = product.post_chat(body + b'[{"role":"user","content":"Twice. [[out=300]]"}]}', key.headers)
    served = product.truth()[before:]
    if answer.status == 400:
        assert answer.error["code"] == "invalid_json"
        assert served == []
    else:
        assert answer.status == 200
        assert [(entry.model, entry.completion_tokens) for entry in served] == [("gpt-4o-mini", 5)]


def test_a_body_over_the_limit_is_413(product: Product, key: Key) -> None:
    too_large = with_body(messages=[{"role": "user", "content": "x" * (17 * 1024 * 1024)}])
    answer = product.post_chat(too_large, key.headers)
    assert (answer.status, answer.error["code"]) == (413, "body_too_large")
    nothing_held(product, "team_bad_input")


def test_a_body_just_under_the_limit_is_served_or_refused_for_its_price_never_an_error_of_ours(
    product: Product, key: Key
) -> None:
    large = with_body(messages=[{"role": "user", "content": "word " * 200_000}])
    assert product.post_chat(large, key.headers).status in (200, 400, 402)
    nothing_held(product, "team_bad_input")


BAD_KEYS = {
    "none": ({}, "missing_key"),
    "empty bearer": ({"Authorization": "Bearer "}, None),
    "basic": ({"Authorization": "Basic dXNlcjpwdw=="}, None),
    "unknown": ({"Authorization": "Bearer kt_gk_" + "A" * 49}, "invalid_key"),
    "garbage": ({"Authorization": "Bearer \xff\xfe~!"}, None),
    "of openai": ({"Authorization": "Bearer sk-proj-abcdefghijklmnop"}, "invalid_key"),
    "very long": ({"Authorization": "Bearer kt_gk_" + "A" * 8000}, None),
    "an unknown group's": ({"X-Consumer-Group": "kt_cg_nobody_000000"}, "invalid_key"),
    "the administrator's": ({"Authorization": "Bearer kt_ak_the-journeys-admin-token-0123456789"}, "invalid_key"),
}


@pytest.mark.parametrize("name", BAD_KEYS)
def test_a_key_that_is_none_of_ours_is_401_and_is_not_repeated(product: Product, name: str) -> None:
    headers, code = BAD_KEYS[name]
    answer = product.post_chat(json.dumps(GOOD).encode(), {**headers, "Content-Type": "application/json"})
    assert answer.status == 401, answer.body
    assert code is None or answer.error["code"] == code
    for value in headers.values():
        assert value.removeprefix("Bearer ").strip() == "" or value not in answer.body.decode()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/chat/completions", 405),
        ("DELETE", "/v1/chat/completions", 405),
        ("POST", "/v1/models", 405),
        ("POST", "/v1/nothing", 404),
        ("POST", "/v1/chat/completions/", 404),
        ("POST", "/v1/../v1/chat/completions", 404),
        ("GET", "/", 404),
        ("POST", "/v1/wallets/allocate", 404),
        ("GET", "/metrics", 404),
        ("GET", "/keeptrusts/config", 404),
    ],
)
def test_other_routes_and_methods_get_the_envelope_too(
    product: Product, key: Key, method: str, path: str, status: int
) -> None:
    answer = ask(method, f"{product.gateway_url}{path}", json.dumps(GOOD).encode(), key.headers)
    assert answer.status in (status, 401, 403), answer.body
    assert answer.error["message"]


def test_after_all_that_an_honest_call_is_served(product: Product, key: Key) -> None:
    assert product.chat(key).status == 200


def test_a_head_without_end_is_refused_before_it_costs_anybody_else_anything(product: Product) -> None:
    with socket.create_connection(("127.0.0.1", product.gateway_port), timeout=30) as caller:
        caller.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: here\r\nx-long: ")
        answer = b""
        try:
            for _ in range(64):
                caller.sendall(b"y" * 65_536)
            while data := caller.recv(65_536):
                answer += data
        except OSError:
            pass
    assert not answer or answer.startswith(b"HTTP/1.1 431 ")
    assert ask("GET", f"http://127.0.0.1:{product.gateway_port}/healthz").status == 200


def test_a_parameter_in_another_case_is_refused_since_some_providers_would_act_on_it(
    product: Product, key: Key
) -> None:
    answer = product.post_chat(with_body(MODEL="gpt-4o"), key.headers)
    assert answer.status == 400
    assert b"`MODEL` is not a parameter" in answer.body
