"""The ways between dialects: what passes, what is kept back until the call is settled, and what it is said to cost."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeptrusts.core.calls.chat import parse_chat
from keeptrusts.core.calls.completions import parse_completion, parse_embedding
from keeptrusts.core.calls.media import (
    parse_edit,
    parse_generation,
    parse_moderation,
    parse_speech,
    parse_transcription,
    parse_translation,
    parse_variation,
)
from keeptrusts.core.calls.messages import parse_messages
from keeptrusts.core.calls.request import TextRequest
from keeptrusts.core.calls.responses import parse_responses
from keeptrusts.core.calls.usage import Usage
from keeptrusts.core.providers.media import MEDIA
from keeptrusts.core.providers.vendors import OPENAI_LIKE
from keeptrusts.core.providers.wire import NoAnswer, Stream
from keeptrusts.core.providers.wires import WIRES
from keeptrusts.core.refusal import Refused

NOW_S = 1_775_000_000


def event(data: dict[str, Any], name: str | None = None) -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data)}\n\n".encode()


def named(*events: dict[str, Any]) -> list[bytes]:
    return [event(data, data["type"]) for data in events]


MESSAGE = named(
    {"type": "message_start", "message": {"id": "msg_1", "model": "claude-x", "usage": {
        "input_tokens": 10, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 3, "output_tokens": 1,
        "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 1}}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "ping"},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Grüße"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 25}},
    {"type": "message_stop"},
)  # fmt: skip
RESPONSE = named(
    {"type": "response.created", "response": {"id": "resp_1", "model": "gpt-x", "usage": None}},
    {"type": "response.output_text.delta", "delta": "Hello"},
    {"type": "response.completed", "response": {"id": "resp_1", "model": "gpt-x", "usage": {
        "input_tokens": 14, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 25,
        "output_tokens_details": {"reasoning_tokens": 5}}}},
)  # fmt: skip
CHUNKS = [
    event({"id": "c1", "model": "gpt-x", "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hel"}}]}),
    event({"id": "c1", "model": "gpt-x", "choices": [{"index": 0, "delta": {"content": "lo"}}]}),
    event({"id": "c1", "model": "gpt-x", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
    event({"id": "c1", "model": "gpt-x", "choices": [], "usage": {"prompt_tokens": 14, "completion_tokens": 25}}),
    b"data: [DONE]\n\n",
]

CHAT = parse_chat(b'{"model":"m","messages":[{"role":"user","content":"Hi"}]}')
MESSAGES = parse_messages(b'{"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"Hi"}]}')
RESPONSES = parse_responses(b'{"model":"m","input":"Hi","stream":true}')
PICTURE = (
    b'\r\n--x\r\ncontent-disposition: form-data; name="prompt"\r\n\r\nHi'
    b'\r\n--x\r\ncontent-disposition: form-data; name="image"; filename="a.png"\r\n\r\nPNG\r\n--x--\r\n'
)
SOUND = b'\r\n--x\r\ncontent-disposition: form-data; name="file"; filename="a.mp3"\r\n\r\nMP3\r\n--x--\r\n'
REQUESTS: dict[str, TextRequest] = {
    "chat": CHAT,
    "completions": parse_completion(b'{"model":"m","prompt":"Hi"}'),
    "responses": RESPONSES,
    "messages": MESSAGES,
    "embeddings": parse_embedding(b'{"model":"m","input":"Hi"}'),
    "images/generations": parse_generation(b'{"model":"m","prompt":"Hi"}'),
    "audio/speech": parse_speech(b'{"model":"m","input":"Hi"}'),
    "moderations": parse_moderation(b'{"model":"m","input":"Hi"}'),
    **{
        route: parse(b'--x\r\ncontent-disposition: form-data; name="model"\r\n\r\nm' + PICTURE)
        for route, parse in (("images/edits", parse_edit), ("images/variations", parse_variation))
    },
    **{
        route: parse(b'--x\r\ncontent-disposition: form-data; name="model"\r\n\r\nm' + SOUND)
        for route, parse in (("audio/transcriptions", parse_transcription), ("audio/translations", parse_translation))
    },
}


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(data) + 1) for place in places})
    return [data[a:b] for a, b in zip([0, *ends], [*ends, len(data)], strict=True)]


def passed(stream: Stream, pieces: list[bytes]) -> bytes:
    return b"".join(stream.feed(piece) for piece in pieces) + stream.finish()


@pytest.mark.parametrize(
    ("door", "provider", "told", "model", "usage"),
    [
        ("messages", "anthropic", MESSAGE, "claude-x", Usage(10, 4, 2, 1, 25)),
        ("responses", "openai", RESPONSE, "gpt-x", Usage(10, 4, 0, 0, 25, 5)),
    ],
)
@given(places=st.lists(st.integers(0, 10_000), max_size=12))
def test_a_straight_stream_passes_unchanged_but_for_its_last_event(
    door: str, provider: str, told: list[bytes], model: str, usage: Usage, places: list[int]
) -> None:
    stream = WIRES[door][provider].stream(REQUESTS[door], NOW_S)
    assert passed(stream, cut(b"".join(told), places)) == b"".join(told[:-1])
    assert (stream.done, stream.usage, stream.served_model) == (True, usage, model)
    assert stream.end() == told[-1]
    assert stream.count_output(len) in (len("Grüße"), len("Hello"))


@pytest.mark.parametrize(
    ("door", "provider", "told"), [("messages", "anthropic", MESSAGE), ("responses", "openai", RESPONSE)]
)
def test_a_stream_that_breaks_off_is_not_done_and_has_not_said_what_it_cost(
    door: str, provider: str, told: list[bytes]
) -> None:
    stream = WIRES[door][provider].stream(REQUESTS[door], NOW_S)
    passed(stream, told[:2] if door == "messages" else told[:-1])
    assert (stream.done, stream.usage) == (False, None)


@given(places=st.lists(st.integers(0, 10_000), max_size=12))
def test_a_translated_stream_ends_for_the_client_only_when_it_is_told_to(places: list[int]) -> None:
    wire = WIRES["messages"]["openai"]
    wire.body(MESSAGES, "gpt-x", None, None)
    stream = wire.stream(MESSAGES, NOW_S)
    out = passed(stream, cut(b"".join(CHUNKS), places))
    assert b"Hel" in out
    assert b"lo" in out
    assert b"message_stop" not in out
    assert (stream.done, stream.usage, stream.served_model) == (True, Usage(14, output=25), "gpt-x")
    assert b"message_stop" in stream.end()
    assert stream.count_output(len) == len("Hello")


def test_what_is_told_before_the_model_stopped_is_not_the_bill() -> None:
    wire = WIRES["chat"]["anthropic"]
    wire.body(CHAT, "claude-x", None, 50)
    stream = wire.stream(CHAT, NOW_S)
    stream.feed(b"".join(MESSAGE[:4]))
    assert (stream.usage, stream.done, stream.served_model) == (None, False, "claude-x")
    stream.feed(b"".join(MESSAGE[4:]))
    assert (stream.usage, stream.done) == (Usage(10, 4, 2, 1, 25), True)


def test_figures_that_grow_with_the_answer_are_no_bill_before_its_end() -> None:
    wire = WIRES["messages"]["openai"]
    wire.body(MESSAGES, "gpt-x", None, None)
    stream = wire.stream(MESSAGES, NOW_S)
    growing = {"prompt_tokens": 14, "completion_tokens": 3}
    stream.feed(event({"id": "c", "choices": [{"index": 0, "delta": {"content": "Hel"}}], "usage": growing}))
    assert stream.usage is None
    stream.feed(b"".join(CHUNKS[2:]))
    assert stream.usage == Usage(14, output=25)


def test_what_the_provider_says_is_wrong_is_no_part_of_the_answer() -> None:
    wire = WIRES["chat"]["anthropic"]
    wire.body(CHAT, "claude-x", None, 50)
    stream = wire.stream(CHAT, NOW_S)
    out = stream.feed(
        MESSAGE[0] + event({"type": "error", "error": {"type": "overloaded_error", "message": "Busy"}}, "error")
    )
    assert stream.broken == "Busy"
    assert b"Busy" not in out
    assert stream.feed(MESSAGE[3]) == b""


def test_the_longest_answer_is_said_where_it_must_be() -> None:
    for sent, longest, limit in ((None, 50, 50), (7, 50, 7)):
        assert json.loads(WIRES["chat"]["anthropic"].body(CHAT, "claude-x", sent, longest))["max_tokens"] == limit
    assert json.loads(WIRES["chat"]["gemini"].body(CHAT, "g", None, 50)).get("generationConfig") in (None, {})
    body = json.loads(WIRES["responses"]["openai"].body(RESPONSES, "gpt-x", 33, None))
    assert (body["model"], body["max_output_tokens"], body["input"]) == ("gpt-x", 33, "Hi")


@pytest.mark.parametrize(("door", "provider"), [(d, p) for d, wires in WIRES.items() for p in wires])
@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b"\xff\xfe"])
def test_what_is_no_answer_is_no_answer(door: str, provider: str, content: bytes) -> None:
    wire, request = WIRES[door][provider], REQUESTS[door]
    try:
        wire.body(request, "model-x", 10, 10)
    except Refused:
        pytest.fail(f"{provider} must take a plain request")
    with pytest.raises(NoAnswer):
        wire.whole(request, content, NOW_S)
    assert wire.spoken(content) == []
    json.loads(wire.error(request, 400, b'{"error": {"message": "No such thing"}}'))


def test_embeddings_cost_their_input() -> None:
    wire, request = WIRES["embeddings"]["openai"], REQUESTS["embeddings"]
    whole = wire.whole(request, b'{"data":[],"model":"e","usage":{"prompt_tokens":8,"total_tokens":8}}', NOW_S)
    assert (whole.bill.usage, whole.bill.served_model) == (Usage(8), "e")
    assert wire.whole(request, b'{"data":[],"usage":{"prompt_tokens":-1}}', NOW_S).bill.usage is None


def test_every_door_of_words_leads_to_every_provider() -> None:
    providers = {*OPENAI_LIKE, "anthropic", "gemini", "bedrock", "simulated"}
    assert {door: set(wires) for door, wires in WIRES.items()} == {
        **dict.fromkeys(("chat", "completions", "responses", "messages"), providers),
        **{door: {*OPENAI_LIKE} for door in ("embeddings", *MEDIA)},
    }
