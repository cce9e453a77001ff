"""Streams of every door: what a client puts together of them is the redacted whole, however bytes and pieces were cut."""

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeptrusts.core.dialects.sse import event_payload, sse_event, whole_events
from keeptrusts.core.policies.judge import compile_policies
from keeptrusts.core.policies.scanner import read_whole
from keeptrusts.core.policies.speech import LISTEN
from keeptrusts.core.policies.stream_guard import StreamGuard, Unreadable
from keeptrusts.core.policies.told_streams import retold, stream_texts
from tests.core.policies.written import Written

REDACTING = compile_policies(
    [
        Written("redact", {"entities": ["email", "credit_card"]}, "pii", "pii", "output"),
        Written("flag", {"words": ["aurora"]}, "w", "keyword", "output"),
    ],
    "output",
)
BLOCKING = compile_policies([Written("block", {"words": ["project aurora"]}, "names", "keyword", "both")], "output")
NOTING = compile_policies([Written("flag", {"words": ["project aurora"]}, "names", "keyword", "both")], "output")
assert REDACTING is not None
assert BLOCKING is not None
assert NOTING is not None

PIECES = [
    "bob@example.com",
    "4111 1111 1111 1111",
    "project aurora",
    " ",
    "é",
    "\U0001f600",
    "word ",
    "a",
    "@",
    "\n",
    '"',
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=8).map("".join)
DICE = st.integers(0, 2**32).map(Random)
"""How a stream is cut: of a seed, since no cut is simpler than another."""

UNBLOCKED = st.lists(st.sampled_from([p for p in PIECES if "aurora" not in p]), max_size=8).map("".join)
ARGUMENTS = st.sampled_from(["{}", '{"to": "bob@example.com"}', '{"card": 4111111111111111, "x": "é"}'])


def pieces(dice, text):
    at = 0
    while at < len(text):
        length = dice.choice([1, 2, 5, 20])
        yield text[at : at + length]
        at += length


def chat(dice, text, arguments):
    """Two choices, one after the other's pieces, and a call of a tool in each."""
    for piece in pieces(dice, text):
        for index in (0, 1):
            yield {
                "choices": [
                    {
                        "index": index,
                        "delta": {"content": piece},
                        "finish_reason": None,
                        "logprobs": {"content": [piece]},
                    }
                ]
            }
    for index in (0, 1):
        call: dict[str, Any] = {"index": 0, "id": "c", "function": {"name": "send", "arguments": ""}}
        yield {"choices": [{"index": index, "delta": {"tool_calls": [call]}}]}
        for piece in pieces(dice, arguments):
            call = {"index": 0, "function": {"arguments": piece}}
            yield {"choices": [{"index": index, "delta": {"tool_calls": [call]}, "finish_reason": None}]}
        yield {"choices": [{"index": index, "delta": {}, "finish_reason": "stop"}]}
    yield {"choices": [], "usage": {"completion_tokens": 3}}


def completions(dice, text, arguments):
    del arguments
    for piece in pieces(dice, text):
        yield {"choices": [{"index": 0, "text": piece, "finish_reason": None}]}
    yield {"choices": [{"index": 0, "text": "", "finish_reason": "stop"}]}


def messages(dice, text, arguments):
    yield {"type": "message_start", "message": {"content": []}}
    yield {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    for piece in pieces(dice, text):
        yield {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}}
    yield {"type": "content_block_stop", "index": 0}
    yield {
        "type": "content_block_start",
        "index": 1,
        "content_block": {"type": "tool_use", "name": "send", "input": {}},
    }
    for piece in pieces(dice, arguments):
        yield {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": piece}}
    yield {"type": "content_block_stop", "index": 1}
    yield {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}}
    yield {"type": "message_stop"}


def responses(dice, text, arguments):
    yield {"type": "response.created", "response": {"output": [], "instructions": "write to bob@example.com"}}
    for piece in pieces(dice, text):
        yield {
            "type": "response.output_text.delta",
            "output_index": 0,
            "item_id": "m",
            "content_index": 0,
            "delta": piece,
        }
    yield {"type": "response.output_text.done", "output_index": 0, "item_id": "m", "content_index": 0, "text": text}
    message = {"type": "message", "id": "m", "content": [{"type": "output_text", "text": text, "logprobs": []}]}
    yield {"type": "response.output_item.done", "output_index": 0, "item": message}
    for piece in pieces(dice, arguments):
        yield {"type": "response.function_call_arguments.delta", "output_index": 1, "item_id": "f", "delta": piece}
    yield {"type": "response.function_call_arguments.done", "output_index": 1, "item_id": "f", "arguments": arguments}
    call = {"type": "function_call", "id": "f", "arguments": arguments}
    yield {"type": "response.completed", "response": {"output": [message, call], "usage": {}}}


DOORS = {"chat": chat, "completions": completions, "messages": messages, "responses": responses}


def stream(door, dice, text, arguments):
    events = list(DOORS[door](dice, text, arguments))
    return b"".join(sse_event(json.dumps(event).encode(), event.get("type", "")) for event in events)


def told_by(guard, data, dice):
    out, at = b"", 0
    while at < len(data):
        length = dice.choice([1, 30, 200, 4_000])
        out += guard.feed(data[at : at + length])
        at += length
    return out + guard.finish()


def events_of(data):
    return [json.loads(event_payload(event)) for event in whole_events(data)[0]]


@pytest.mark.parametrize("door", DOORS)
@settings(max_examples=60, deadline=None)
@given(DICE, TEXTS, ARGUMENTS)
def test_a_redacted_stream_tells_the_redacted_whole(door, dice, text, arguments):
    came = stream(door, dice, text, arguments)
    guard = StreamGuard(REDACTING, LISTEN[door])
    told = told_by(guard, came, dice)
    wanted = [read_whole(REDACTING.rule_set, each)[0] for each in stream_texts(door, came)]
    assert sorted(stream_texts(door, told)) == sorted(wanted), "texts of other choices may begin in another order"
    assert b"bob@example.com" not in told.replace(b'"instructions":"write to bob@example.com"', b"").replace(
        b'"instructions": "write to bob@example.com"', b""
    )
    assert len(events_of(told)) == len(events_of(came))
    assert (guard.met != set()) == any(
        read_whole(REDACTING.rule_set, t)[1].met for t in [text, arguments * (door != "completions")]
    )


@pytest.mark.parametrize("door", DOORS)
@settings(max_examples=40, deadline=None)
@given(DICE, TEXTS)
def test_a_stream_that_is_only_watched_is_not_touched(door, dice, text):
    came = stream(door, dice, text, "{}")
    guard = StreamGuard(NOTING, LISTEN[door])
    assert told_by(guard, came, dice) == came
    assert guard.met == read_whole(NOTING.rule_set, text)[1].met


@pytest.mark.parametrize("door", DOORS)
@settings(max_examples=40, deadline=None)
@given(DICE, UNBLOCKED, UNBLOCKED)
def test_a_stream_is_cut_before_what_is_blocked(door, dice, before, after):
    text = f"{before} project aurora {after}"
    came = stream(door, dice, text, "{}")
    guard = StreamGuard(BLOCKING, LISTEN[door])
    told = told_by(guard, came, dice)
    assert guard.blocked_by is not None
    wanted = read_whole(BLOCKING.rule_set, text)[0]
    assert stream_texts(door, told)[:1] in ([wanted], [])
    assert b"aurora" not in told
    assert guard.feed(came) == b""


def test_events_that_say_nothing_pass_as_they_came():
    came = b': ping\n\nevent: ping\ndata: {"type": "ping"}\n\n'
    guard = StreamGuard(REDACTING, LISTEN["messages"])
    assert guard.feed(came) + guard.finish() == came


def test_likelihoods_do_not_tell_what_was_redacted():
    event = {
        "choices": [{"index": 0, "delta": {"content": "hi"}, "logprobs": {"content": [{"token": "bob@example.com"}]}}]
    }
    guard = StreamGuard(REDACTING, LISTEN["chat"])
    assert b"bob" not in guard.feed(sse_event(json.dumps(event).encode())) + guard.finish()


@pytest.mark.parametrize("payload", [b"{", b"[1]", b'{"choices": [{"index": []}]}'])
def test_what_nobody_can_read_is_not_handed_on(payload):
    guard = StreamGuard(REDACTING, LISTEN["chat"])
    try:
        assert payload in guard.feed(sse_event(payload)) + guard.finish()
    except Unreadable:
        assert payload in guard.finish(), "whoever lets it pass can still have it"


@pytest.mark.parametrize("door", DOORS)
@settings(max_examples=20, deadline=None)
@given(DICE, TEXTS.filter(bool))
def test_a_stream_can_be_told_with_other_texts(door, dice, text):
    came = stream(door, dice, text, '{"a": 1}')
    texts = stream_texts(door, came)
    told = retold(door, came, [f"other {at}" for at, _ in enumerate(texts)])
    assert stream_texts(door, told) == [f"other {at}" for at, _ in enumerate(texts)]
