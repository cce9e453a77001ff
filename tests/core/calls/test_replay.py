"""An answer as a stream, and a stream as an answer: the same words either way, and nonsense is never kept."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeptrusts.core.calls.replay import DONE_EVENT, as_stream, assemble

REPLY: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 5,
    "model": "gpt-4o-mini",
    "choices": [
        {
            "index": 0,
            "logprobs": None,
            "message": {
                "role": "assistant",
                "content": "Hello",
                "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            },
            "finish_reason": "stop",
        },
        {"index": 1, "logprobs": None, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "length"},
    ],
    "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
}


def event(**fields: Any) -> bytes:
    return b"data: " + json.dumps(fields).encode() + b"\n\n"


def test_there_and_back_is_the_same_answer() -> None:
    stream = as_stream(json.dumps(REPLY).encode(), include_usage=False)
    assert stream is not None
    assert stream.endswith(DONE_EVENT)
    back = assemble(stream, REPLY["usage"])
    assert back is not None
    assert json.loads(back) == REPLY


def test_the_usage_comes_only_when_it_was_asked_for() -> None:
    raw = json.dumps(REPLY).encode()
    assert b'"usage"' not in (as_stream(raw, include_usage=False) or b"")
    assert b'"usage"' in (as_stream(raw, include_usage=True) or b"")


def test_pieces_are_put_together() -> None:
    stream = b"".join(
        [
            event(id="x", choices=[{"index": 0, "delta": {"role": "assistant", "content": ""}}]),
            event(id="x", choices=[{"index": 0, "delta": {"content": "Hel"}}]),
            b": a comment\n\n",
            event(id="x", choices=[{"index": 0, "delta": {"content": "lo"}}]),
            event(
                id="x",
                choices=[{"index": 0, "delta": {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f"}}]}}],
            ),
            event(
                id="x", choices=[{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}}]
            ),
            event(id="x", choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}]),
        ]
    )
    whole = json.loads(assemble(stream, {}) or b"null")
    assert whole["choices"][0]["message"]["content"] == "Hello"
    assert whole["choices"][0]["message"]["tool_calls"][0]["function"] == {"name": "f", "arguments": "{}"}


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        event(choices=[{"index": 0, "delta": {"content": "no end"}}]),
        b"data: {broken\n\n",
        event(choices=[{"delta": {}}]),
        event(choices=[{"index": 0, "delta": ["x"], "finish_reason": "stop"}]),
        event(choices={"a": 1}),
        event(choices=[{"index": [], "delta": {}, "finish_reason": "stop"}]),
        event(choices=[{"index": 0, "finish_reason": "stop"}, {"index": "1", "finish_reason": "stop"}]),
        event(choices=[{"index": 0, "delta": {"tool_calls": [{"index": -3}]}, "finish_reason": "stop"}]),
        event(choices=[{"index": 0, "delta": {"tool_calls": [{"index": 10**9}]}, "finish_reason": "stop"}]),
        event(choices=[{"index": 0, "delta": {"tool_calls": 5}, "finish_reason": "stop"}]),
        event(
            choices=[{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": "f"}]}, "finish_reason": "stop"}]
        ),
    ],
)
def test_a_stream_that_makes_no_sense_is_not_kept(stream: bytes) -> None:
    assert assemble(stream, {}) is None


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"[]",
        b"{broken",
        b"{}",
        b'{"choices":null}',
        b'{"choices":[5]}',
        b'{"choices":[{"message":null}]}',
        b'{"choices":[{"message":{"tool_calls":[5]}}]}',
    ],
)
def test_a_reply_that_makes_no_sense_is_not_sent_as_a_stream(reply: bytes) -> None:
    assert as_stream(reply, include_usage=True) is None


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(("index", "delta", "message", "tool_calls", "function", "choices", "x")), inner
        )
    ),
    max_leaves=15,
)


@given(values)
def test_no_answer_is_too_strange(found: Any) -> None:
    raw = json.dumps({"choices": found}).encode()
    as_stream(raw, include_usage=True)
    assemble(b"data: " + raw + b"\n\n", {})
