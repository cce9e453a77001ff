"""HTTP as no honest client sends it, over raw sockets: one meaning or none, and never at the cost of others."""

import json
import select
import socket
import time

import pytest

from tests.journeys.books import funded_key, nothing_held, settled_events
from tests.journeys.product import ADMIN_TOKEN, Key, Product
from tests.journeys.web import ask

pytestmark = pytest.mark.xdist_group("journeys-calls")

BODY = json.dumps(
    {"model": "gpt-4o-mini", "max_tokens": 5, "messages": [{"role": "user", "content": "hello"}]}
).encode()
CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
POST = b"POST /v1/chat/completions HTTP/1.1\r\n"
HOST = b"host: here\r\n"
LENGTH = b"content-length: %d\r\n" % len(BODY)


@pytest.fixture(scope="module")
def key(product: Product) -> Key:
    return funded_key(product, "team_strange_http")


def sent(product: Product, *pieces: bytes, port: int = 0) -> bytes:
    """What the gateway, or who listens at ``port``, says to these bytes until it closes the connection, or has answered whole."""
    seen = b""
    with socket.create_connection(("127.0.0.1", port or product.gateway_port), timeout=10) as caller:
        try:
            for piece in pieces:
                caller.sendall(piece)
            while not is_whole(seen) and (data := caller.recv(65_536)):
                seen += data
        except OSError:
            pass
    return seen


def is_whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length: ")]
    return bool(end) and bool(length) and len(body) >= int(length[0].partition(b": ")[2])


def status(answer: bytes) -> int:
    return int(answer.split()[1]) if answer.startswith(b"HTTP/1.1 ") else 0


def authorized(key: Key) -> bytes:
    return b"authorization: Bearer %b\r\n" % key.secret.encode()


AMBIGUOUS = {
    "a length and chunks": HOST + LENGTH + b"transfer-encoding: chunked\r\n\r\n" + CHUNKED,
    "two lengths": HOST + LENGTH + b"content-length: 3\r\n\r\n" + BODY,
    "a length twice": HOST + LENGTH + LENGTH + b"\r\n" + BODY,
    "a signed length": HOST + b"content-length: +%d\r\n\r\n" % len(BODY) + BODY,
    "a folded header": HOST + LENGTH + b"x: y\r\n transfer-encoding: chunked\r\n\r\n" + BODY,
    "a blank before a colon": HOST + b"transfer-encoding : chunked\r\n\r\n" + CHUNKED,
    "another coding": HOST + b"transfer-encoding: gzip, chunked\r\n\r\n" + CHUNKED,
    "a coding like ours": HOST + b"transfer-encoding: xchunked\r\n\r\n" + CHUNKED,
    "no host": LENGTH + b"\r\n" + BODY,
    "two hosts": HOST + b"host: there\r\n" + LENGTH + b"\r\n" + BODY,
    "a host that is none": b"host: evil@@/..\r\n" + LENGTH + b"\r\n" + BODY,
    "a NUL": HOST + b"x: a\0b\r\n" + LENGTH + b"\r\n" + BODY,
    "a CR alone": HOST + b"x: a\rb: c\r\n" + LENGTH + b"\r\n" + BODY,
    "a chunk larger than any": HOST + b"transfer-encoding: chunked\r\n\r\n10000000000000000\r\n" + BODY,
    "a chunk with another end": HOST + b"transfer-encoding: chunked\r\n\r\n%x\r\n%bXX0\r\n\r\n" % (len(BODY), BODY),
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_what_two_parsers_could_read_in_two_ways_is_refused(product: Product, key: Key, name: str) -> None:
    before = len(product.truth())
    answer = sent(product, POST + authorized(key) + AMBIGUOUS[name])
    assert status(answer) == 400, answer
    assert b'"code":"invalid_request"' in answer
    assert len(product.truth()) == before


OTHER_PROTOCOLS = {
    "a version that there is not": b"GET /healthz HTTP/9.9\r\nhost: x\r\n\r\n",
    "no version": b"GET /healthz\r\n\r\n",
    "HTTP/2 at once": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xaa" * 500,
    "a tunnel": b"CONNECT elsewhere:443 HTTP/1.1\r\nhost: elsewhere:443\r\n\r\n",
    "chunks of HTTP/1.0": b"POST /healthz HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n" + CHUNKED,
}


@pytest.mark.parametrize("name", OTHER_PROTOCOLS)
def test_another_protocol_is_refused_in_the_envelope(product: Product, name: str) -> None:
    assert status(sent(product, OTHER_PROTOCOLS[name])) == 400


ASKS_FOR_ANOTHER = {
    "HTTP/2, as Java does": b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n",
    "a WebSocket": b"connection: upgrade\r\nupgrade: websocket\r\n",
}


@pytest.mark.parametrize("name", ASKS_FOR_ANOTHER)
@pytest.mark.parametrize("rest", [LENGTH + b"\r\n" + BODY, b"transfer-encoding: chunked\r\n\r\n" + CHUNKED])
def test_a_call_that_would_rather_speak_another_protocol_is_served_in_this_one(
    product: Product, key: Key, name: str, rest: bytes
) -> None:
    head, end, body = rest.partition(b"\r\n\r\n")
    whole = POST + HOST + authorized(key) + ASKS_FOR_ANOTHER[name] + head + end
    assert status(sent(product, whole + body)) == 200
    assert status(sent(product, whole, body[:10], body[10:])) == 200


def test_many_such_calls_at_once_are_answered_one_after_the_other(product: Product) -> None:
    one = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n"
    answer = sent(product, one * 2_000 + b"GET /nowhere HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")


def taken(begin: bytes, more: bytes, most_bytes: int, port: int) -> int:
    """How much of an endless request the server takes before it closes the connection."""
    count = 0
    with socket.create_connection(("127.0.0.1", port), timeout=10) as caller:
        caller.sendall(begin)
        try:
            while count < most_bytes:
                caller.sendall(more)
                count += len(more)
        except ConnectionError:
            pass
    return count


@pytest.mark.parametrize("server", ["gateway_port", "api_port"])
@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (b"0\r\nx-long: ", b"y" * 65_536),
        (b"0\r\n", b"x: y\r\n" * 10_000),
        (b"1;", b"y" * 65_536),
    ],
    ids=["one trailer", "trailers", "what is said of a chunk"],
)
def test_what_surrounds_a_body_is_bounded_though_nobody_reads_it(
    product: Product, begin: bytes, more: bytes, server: str
) -> None:
    """Else who has no key could have the server's memory."""
    most = 256 * 1024 * 1024
    assert (
        taken(POST + HOST + b"transfer-encoding: chunked\r\n\r\n" + begin, more, most, getattr(product, server)) < most
    )


@pytest.mark.parametrize("server", ["gateway_port", "api_port"])
def test_a_client_that_takes_no_answers_is_not_read_either(product: Product, server: str) -> None:
    """Else its answers heap up, and what it asked beforehand."""
    one = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n" * 2_000
    taken, moved_at = 0, time.monotonic()
    with socket.create_connection(("127.0.0.1", getattr(product, server)), timeout=10) as caller:
        caller.setblocking(False)
        while time.monotonic() - moved_at < 0.5:
            if select.select([], [caller], [], 0.1)[1]:
                taken += caller.send(one)
                moved_at = time.monotonic()
            assert taken < 64 * 1024 * 1024
        caller.setblocking(True)
        while caller.recv(1 << 20):
            if select.select([], [caller], [], 0)[1]:
                break
    assert ask("GET", f"{product.gateway_url}/healthz").status == 200


def test_the_api_answers_and_closes_as_before(product: Product) -> None:
    token = b"authorization: Bearer %b\r\n" % ADMIN_TOKEN.encode()
    ask_teams = b"GET /v1/teams HTTP/1.1\r\nhost: x\r\n"
    assert status(sent(product, ask_teams + token + b"\r\n", port=product.api_port)) == 200
    assert status(sent(product, ask_teams + token + token + b"\r\n", port=product.api_port)) == 401
    assert status(sent(product, b"GET /v1/teams HTTP/1.1\r\n" + token + b"\r\n", port=product.api_port)) == 400
    with socket.create_connection(("127.0.0.1", product.api_port), timeout=30) as caller:
        caller.sendall((ask_teams + token + b"\r\n") * 3)
        seen = b""
        while seen.count(b"HTTP/1.1 200 ") < 3:
            seen += caller.recv(65_536)


def test_garbage_behind_a_call_does_not_get_into_its_stream(product: Product, team: str) -> None:
    key = funded_key(product, team)
    body = {"model": "gpt-4o-mini", "stream": True, "messages": [{"role": "user", "content": "Slow. [[gap_ms=20]]"}]}
    data = json.dumps(body).encode()
    seen = b""
    with socket.create_connection(("127.0.0.1", product.gateway_port), timeout=10) as caller:
        caller.sendall(POST + HOST + authorized(key) + b"content-length: %d\r\n\r\n" % len(data) + data)
        try:
            while b"data: " not in seen:
                seen += caller.recv(65_536)
            caller.sendall(b"\0 garbage\r\n\r\n")
            while more := caller.recv(65_536):
                seen += more
        except OSError:
            pass
    assert seen.count(b"HTTP/1.1 ") == 1
    settled_events(product, 1, team_id=team)
    nothing_held(product, team)


def test_after_all_that_nothing_is_held_and_an_honest_call_is_served(product: Product, key: Key) -> None:
    assert product.chat(key).status == 200
    nothing_held(product, "team_strange_http")
