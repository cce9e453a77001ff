"""What strangers' bytes reach first, each as a function of bytes that may not crash, hang or contradict itself.

Strangers are whoever connects (heads, keys, bodies) and whatever answers under a provider's address (answers, streams).
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence

import httptools
import msgspec

from keeptrusts.core.calls.request import TextRequest
from keeptrusts.core.calls.usage import Usage
from keeptrusts.core.identity.gateway_key import has_valid_checksum, issue_key
from keeptrusts.core.pricing.bound import bound_of, unseen_tokens
from keeptrusts.core.pricing.price import Price, Rates
from keeptrusts.core.providers.wire import NoAnswer, Stream
from keeptrusts.core.providers.wires import WIRES
from keeptrusts.core.refusal import Refused
from keeptrusts.core.rulebook.from_yaml import compile_rulebook
from keeptrusts.core.rulebook.rulebook import ConsumerGroup, Rulebook
from keeptrusts.gateway.caller import callers_of
from keeptrusts.gateway.client import Client
from keeptrusts.gateway.doors import DOORS
from keeptrusts.gateway.exchange import Exchange
from keeptrusts.gateway.fast_http import REQUEST_LINE, HeadReader, Incomplete
from keeptrusts.gateway.identify import identify
from keeptrusts.gateway.scopes import Meters
from keeptrusts.gateway.upstream import Origin, _Connection
from tests.core.providers.test_wires import CHUNKS, MESSAGE, NOW_S, PICTURE, REQUESTS, RESPONSE, SOUND
from tests.fuzz.transports import DeafTransport

Target = Callable[[bytes], None]

PRICE = Price("v1", "openai", "m", Rates(150_000, 600_000))
PAIRS = [(door, provider) for door, wires in WIRES.items() for provider in wires]
STREAMED = [(door, provider) for door, provider in PAIRS if door in ("chat", "completions", "responses", "messages")]
LIMIT_TOKENS = 50
_BLANK_LINES = re.compile(rb"[\r\n]+")
MAX_GROWTH = 64
"""How many times as long as a provider's stream the client's may be, and some bytes."""


class Parsed:
    """What httptools, the parser that decides, makes of a request."""

    def __init__(self, data: bytes) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.complete = 0
        self.parser = httptools.HttpRequestParser(self)
        self.parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete += 1


def request_heads(data: bytes) -> None:
    """What the short way takes, the parser takes too, and understands alike."""
    data = REQUEST_LINE + data
    try:
        taken = HeadReader().split(data)
    except Incomplete:
        return
    if taken is None:
        return
    headers, body = taken
    parsed = Parsed(data)
    seen = dict(parsed.headers)
    length = seen.pop(b"content-length")
    assert len(seen) == len(parsed.headers) - 1, "a header twice"
    assert (parsed.complete, parsed.body, int(length)) == (1, body, len(body))
    assert {name: value.strip(b" \t") for name, value in seen.items()} == headers
    assert parsed.parser.should_keep_alive()


def keys(data: bytes) -> None:
    """Nobody is let in but by a key that is known, and a refusal never repeats what was sent."""
    lines = [line.partition(b":") for line in data.split(b"\n")]
    headers = {name: value for name, _, value in lines}
    has_valid_checksum(data.decode("latin-1"))
    message = ""
    try:
        caller, _ = identify(CALLERS, Client(headers, None))
    except Refused as refused:
        message = refused.message
    if message:
        assert not any(len(value) > 12 and value.decode("latin-1") in message for value in headers.values())
        return
    assert caller.group == "engineering"
    assert any(KEY in value for value in headers.values())


KEY = issue_key("kt_cg_", bytes(range(32))).encode()
CALLERS = callers_of(
    b"p" * 32,
    Rulebook(targets=(), groups=(ConsumerGroup("engineering", api_key=KEY.decode()),)),
    Meters(),
)


def bodies(data: bytes) -> None:
    """A body is a call or a refusal, at every door; a call can be bounded, judged and written for every provider."""
    door = list(DOORS.values())[(data[0] if data else 0) % len(DOORS)]
    try:
        request = door.parse(data[1:])
        _use(request)
    except Refused:
        return
    for wire in WIRES[door.name].values():
        try:
            body = wire.body(request, "m", LIMIT_TOKENS, LIMIT_TOKENS)
        except Refused:
            continue
        if not door.takes_files:
            json.loads(body)


def _use(request: TextRequest) -> None:
    request.has_media()
    request.prompt_strings()
    texts = request.texts()
    assert all(isinstance(text, str) for text in texts)
    bound = bound_of(request, PRICE, LIMIT_TOKENS, LIMIT_TOKENS, unseen=unseen_tokens(request, "anthropic"))
    assert bound.nanos >= 0
    request.refuse_unbounded()


def answers(data: bytes) -> None:
    """What a provider sends whole is an answer or none, and its errors can always be told."""
    door, provider = PAIRS[(data[0] if data else 0) % len(PAIRS)]
    wire, request, content = WIRES[door][provider], REQUESTS[door], data[1:]
    wire.body(request, "m", LIMIT_TOKENS, LIMIT_TOKENS)
    try:
        whole = wire.whole(request, content, NOW_S)
    except NoAnswer:
        pass
    else:
        if whole.body is not content:
            msgspec.json.decode(whole.body)
        if whole.bill.usage is not None:
            assert _is_at_least_nothing(whole.bill.usage)
    assert all(isinstance(text, str) for text in wire.spoken(content))
    wire.rejects_key(400, content)
    error = wire.error(request, 400, content)
    assert error is content or msgspec.json.decode(error)


def _is_at_least_nothing(usage: Usage) -> bool:
    other = () if usage.other is None else msgspec.structs.astuple(usage.other)
    figures = (*msgspec.structs.astuple(usage)[:6], *other)
    return all(figure >= 0 for figure in figures if isinstance(figure, int))


def streams(data: bytes) -> None:
    """A stream is told alike however it is cut, its figures are no less than nothing, and it does not grow without bound."""
    door, provider = STREAMED[(data[0] if data else 0) % len(STREAMED)]
    told, cuts = data[4:], data[1:4]
    ends = sorted({cut * len(told) // 256 for cut in cuts})
    pieces = [told[a:b] for a, b in zip([0, *ends], [*ends, len(told)], strict=True)]
    once, cut = _reader(door, provider), _reader(door, provider)
    said = once.feed(told) + once.finish()
    in_pieces = b"".join([cut.feed(piece) for piece in pieces]) + cut.finish()
    # A second blank line ends nothing; it may stand with what is before it, or with what is after and kept back.
    assert _BLANK_LINES.sub(b"\n", in_pieces).strip() == _BLANK_LINES.sub(b"\n", said).strip()
    assert (once.done, once.usage, once.served_model) == (cut.done, cut.usage, cut.served_model)
    assert (once.broken is None) == (cut.broken is None)
    assert len(said) <= MAX_GROWTH * (len(told) + 64)
    if once.usage is not None:
        assert _is_at_least_nothing(once.usage)
    once.count_output(len)
    if once.done:
        once.end()


def _reader(door: str, provider: str) -> Stream:
    wire, request = WIRES[door][provider], REQUESTS[door]
    wire.body(request, "m", LIMIT_TOKENS, LIMIT_TOKENS)
    return wire.stream(request, NOW_S)


def provider_bytes(data: bytes) -> None:
    """Whatever stands where an HTTP answer should: the exchange ends, and its connection with it or ready for the next."""
    for whole in (True, False):
        origin = Origin("http://provider/v1")
        connection = _Connection(origin)
        connection.connection_made(DeafTransport(connection))
        exchange = Exchange((b"GET / HTTP/1.1\r\n\r\n",), whole)
        connection.start(exchange)
        half = len(data) // 2
        for piece in (data[:half], data[half:]):
            if piece and not connection.lost:
                connection.data_received(piece)
        if connection.lost or not exchange.over:
            connection.connection_lost(None)
        assert exchange.over
        assert connection not in origin.busy
        free = origin.idle_connection()
        assert free is None or (free is connection and exchange.complete)


def policy_files(data: bytes) -> None:
    """A policy file is a rulebook, or every problem has a sentence."""
    compiled = compile_rulebook(data.decode("utf-8", "replace"))
    assert (compiled.rulebook is None) == any(problem.severity == "error" for problem in compiled.problems)
    assert all(problem.message for problem in compiled.problems)


TARGETS: Mapping[str, Target] = {
    "request_heads": request_heads,
    "keys": keys,
    "bodies": bodies,
    "answers": answers,
    "streams": streams,
    "provider_bytes": provider_bytes,
    "policy_files": policy_files,
}

_CALL = b'{"model":"m","messages":[{"role":"user","content":"Hi"}],"max_tokens":9,"stream":true,"tools":[]}'
_INPUT = b'{"model":"m","input":[{"role":"user","content":[{"type":"input_text","text":"Hi"}]}],"max_output_tokens":3}'
_FORM = b'--x\r\ncontent-disposition: form-data; name="model"\r\n\r\nm'
_STREAMS = (
    b"".join(MESSAGE),
    b"".join(RESPONSE),
    b"".join(CHUNKS),
    b'data: {"usage": {}}\n\n\ndata: {"usage": {}}\n\n',
    b'data: {"choices": []}\n\ndata: {"usage": {}}\r\n\r\ndata: [DONE]\r\n\r\n',
)
_ANSWER = b'{"id":"1","model":"m","choices":[{"index":0,"message":{"content":"Hi"}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}'
_HTTP = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"

_CONTROL_IN_VALUE = b"host:\x01h\r\ncontent-length: 2\r\n\r\n{}"

SEEDS: Mapping[str, Sequence[bytes]] = {
    "request_heads": (
        b"host: h\r\ncontent-length: 2\r\n\r\n{}",
        b"Host: h\r\nAccept: */*\r\nContent-Length: 0\r\n\r\n",
        _CONTROL_IN_VALUE,
    ),
    "keys": (b"authorization:Bearer " + KEY, b"x-consumer-group:" + KEY, b"x-api-key:" + KEY[:-1]),
    "bodies": tuple(
        bytes([door]) + body for door in range(len(DOORS)) for body in (_CALL, _INPUT, _FORM + PICTURE, _FORM + SOUND)
    ),
    "answers": tuple(bytes([pair]) + _ANSWER for pair in range(len(PAIRS))),
    "streams": tuple(bytes([pair, 9, 99, 199]) + told for pair in range(len(STREAMED)) for told in _STREAMS),
    "provider_bytes": (_HTTP, b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", b"HTTP/1.0 500 No\r\n\r\nhello"),
    "policy_files": (b"version: '1'\nproviders:\n  targets:\n    - {id: openai, provider: openai}\n",),
}
"""What mutation begins with, and inputs that once failed."""
