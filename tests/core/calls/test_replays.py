"""Every door's answers are told in both forms: there and back is the same answer, and no answer is too strange."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import keeptrusts.gateway.doors  # noqa: F401 - every kind of request
from keeptrusts.core.calls.replays import REPLAYS, is_worth_keeping
from keeptrusts.core.calls.request import TextRequest

USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
COMPLETION: dict[str, Any] = {
    "id": "cmpl-1",
    "object": "text_completion",
    "created": 5,
    "model": "m",
    "choices": [{"index": at, "text": f"Hi{at}", "logprobs": None, "finish_reason": "stop"} for at in (0, 1)],
    "usage": USAGE,
}
PROBABLE: dict[str, Any] = {
    "id": "c",
    "object": "chat.completion",
    "model": "m",
    "service_tier": "default",
    "choices": [
        {
            "index": 0,
            "logprobs": {"content": [{"token": "Hi", "logprob": -0.5}], "refusal": None},
            "message": {"role": "assistant", "content": "Hi"},
            "finish_reason": "stop",
        }
    ],
    "usage": USAGE,
}
MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [
        {"type": "thinking", "thinking": "Hm.", "signature": "s1g"},
        {"type": "redacted_thinking", "data": "xyz"},
        {"type": "text", "text": "Hello", "citations": [{"type": "char_location", "cited_text": "x"}]},
        {"type": "text", "text": ""},
        {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": [1, {"b": "ü"}]}},
        {"type": "tool_use", "id": "t2", "name": "g", "input": {}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 4, "cache_read_input_tokens": 0},
}
RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "completed_at": 9,
    "output": [
        {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "Hm."}]},
        {
            "type": "message",
            "id": "m",
            "role": "assistant",
            "status": "completed",
            "content": [
                {"type": "output_text", "text": "Hello", "annotations": [{"type": "x"}], "logprobs": []},
                {"type": "refusal", "refusal": "No."},
            ],
        },
        {"type": "function_call", "id": "fc", "call_id": "c", "name": "f", "arguments": "{}", "status": "completed"},
        {"type": "image_generation_call", "id": "i", "result": "zzz"},
    ],
    "usage": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7},
}
ANSWERS = {
    "completion": ("completions", COMPLETION),
    "probable": ("chat", PROBABLE),
    "message": ("messages", MESSAGE),
    "response": ("responses", RESPONSE),
}


def test_every_door_whose_answers_may_be_told_again_has_its_way() -> None:
    classes = [TextRequest]
    for known in classes:
        classes += known.__subclasses__()
    assert {known.door for known in classes if hasattr(known, "door") and known.repeats} <= REPLAYS.keys()


@pytest.mark.parametrize("name", ANSWERS)
def test_there_and_back_is_the_same_answer(name: str) -> None:
    door, answer = ANSWERS[name]
    stream = REPLAYS[door].as_stream(json.dumps(answer).encode(), True)
    assert stream is not None
    assert stream.endswith(b"\n\n")
    back = REPLAYS[door].assemble(stream, USAGE)
    assert back is not None
    assert json.loads(back) == answer


@pytest.mark.parametrize(("door", "cut"), [("chat", 1), ("completions", 1), ("messages", 1), ("responses", 1)])
def test_a_stream_without_its_end_is_no_answer(door: str, cut: int) -> None:
    answer = {"chat": PROBABLE, "completions": COMPLETION, "messages": MESSAGE, "responses": RESPONSE}[door]
    stream = REPLAYS[door].as_stream(json.dumps(answer).encode(), False)
    assert stream is not None
    events = stream.split(b"\n\n")[:-1]
    last = 2 if door in ("chat", "completions") else cut
    assert REPLAYS[door].assemble(b"\n\n".join(events[:-last]) + b"\n\n", USAGE) is None


def test_tools_of_a_message_grow_in_pieces() -> None:
    events = [
        {"type": "message_start", "message": {"id": "m", "content": [], "usage": {"input_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "t", "input": {}}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": '{"ci'}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": 'ty":1}'}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 5}},
        {"type": "message_stop"},
    ]
    stream = b"".join(b"event: x\ndata: " + json.dumps(event).encode() + b"\n\n" for event in events)
    whole = json.loads(REPLAYS["messages"].assemble(stream, {}) or b"null")
    assert whole["content"][0]["input"] == {"city": 1}
    assert whole["usage"] == {"input_tokens": 1, "output_tokens": 5}


def choice(finish_reason: str | None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": {}, "finish_reason": finish_reason}]}


@pytest.mark.parametrize(
    ("door", "answer", "limited", "unlimited"),
    [
        ("chat", choice("stop"), True, True),
        ("chat", choice("tool_calls"), True, True),
        ("chat", choice("length"), True, False),
        ("chat", choice("content_filter"), False, False),
        ("chat", choice(None), False, False),
        ("chat", {"choices": []}, False, False),
        ("chat", {"error": {}}, False, False),
        ("messages", {"stop_reason": "end_turn"}, True, True),
        ("messages", {"stop_reason": "max_tokens"}, True, False),
        ("messages", {"stop_reason": "pause_turn"}, False, False),
        ("messages", {"stop_reason": "refusal"}, False, False),
        ("responses", {"status": "completed"}, True, True),
        ("responses", {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, True, False),
        ("responses", {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, False, False),
        ("responses", {"status": "incomplete", "incomplete_details": None}, False, False),
        ("responses", {"status": "queued"}, False, False),
        ("embeddings", {"data": [{"embedding": [1]}]}, True, True),
        ("embeddings", {"data": []}, False, False),
    ],
)
def test_what_is_worth_keeping(door: str, answer: dict[str, Any], limited: bool, unlimited: bool) -> None:
    raw = json.dumps(answer).encode()
    assert is_worth_keeping(door, raw, True) is limited
    assert is_worth_keeping(door, raw, False) is unlimited


names = st.sampled_from(
    (
        *("type", "content", "output", "summary", "text", "usage", "stop_reason", "input", "delta", "index", "message"),
        *("choices", "response", "status", "arguments", "content_block", "citations", "event"),
    )
)
kinds = st.sampled_from(
    ("message", "text", "tool_use", "thinking", "function_call", "reasoning", "message_start", "message_delta")
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | kinds,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=5),
    max_leaves=15,
)


@pytest.mark.parametrize("door", REPLAYS)
@given(found=values)
def test_no_answer_is_too_strange(door: str, found: Any) -> None:
    raw = json.dumps(found).encode()
    REPLAYS[door].as_stream(raw, True)
    REPLAYS[door].assemble(b"data: " + raw + b"\n\n", USAGE)
    is_worth_keeping(door, raw, True)
