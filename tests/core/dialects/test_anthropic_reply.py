"""Whole Messages answers, their usage, and errors: what Anthropic says is kept, and what is written is what its SDK reads."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeptrusts.core.calls.conversation import Choice, Conversation, Reasoning, Reply, Text, Thinking, ToolUse
from keeptrusts.core.calls.usage import NO_USAGE, Usage
from keeptrusts.core.dialects.anthropic_errors import KINDS, read_error, write_error
from keeptrusts.core.dialects.anthropic_reply import STOPS_IN, STOPS_OUT, read_reply, write_reply
from keeptrusts.core.dialects.anthropic_usage import MOST_TOKENS

ASKED = Conversation(model="fast", turns=(), reasoning=Reasoning(shown=True))


def body(**fields: Any) -> bytes:
    message = {
        "id": "msg_01XFDUDYJgAACzvnptvVoYEL",
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-4-6",
        "content": [{"type": "text", "text": "Hello!", "citations": None}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "stop_details": None,
        "container": None,
        "usage": {"input_tokens": 12, "output_tokens": 6, "service_tier": "standard"},
    }
    return json.dumps({**message, **fields}).encode()


def test_an_answer() -> None:
    assert read_reply(body()) == Reply(
        "msg_01XFDUDYJgAACzvnptvVoYEL", "claude-opus-4-6", (Choice((Text("Hello!"),)),), Usage(12, output=6)
    )


def test_an_answer_with_all_kinds_of_blocks() -> None:
    content = [
        {"type": "thinking", "thinking": "Two cities.", "signature": "EqQB"},
        {"type": "redacted_thinking", "data": "EmwK"},
        {"type": "text", "text": "Let me look."},
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "Rome"}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [{"type": "web_search_result"}]},
        {
            "type": "tool_use",
            "id": "toolu_1",
            "name": "get_weather",
            "input": {"city": "Rome"},
            "caller": {"type": "direct"},
        },
        {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}},
    ]
    assert read_reply(body(content=content, stop_reason="tool_use")).choices == (
        Choice(
            (
                Thinking("Two cities.", "EqQB"),
                Thinking(redacted="EmwK"),
                Text("Let me look."),
                ToolUse("toolu_1", "get_weather", '{"city": "Rome"}'),
                ToolUse("toolu_2", "now", "{}"),
            ),
            "tool_use",
        ),
    )


@pytest.mark.parametrize(
    ("reason", "stop"),
    [
        ("end_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("stop_sequence", "stop_sequence"),
        ("tool_use", "tool_use"),
        ("pause_turn", "pause"),
        ("refusal", "content_filter"),
        ("a new one", "stop"),
        (None, "stop"),
    ],
)
def test_why_it_stopped(reason: str | None, stop: str) -> None:
    choice = read_reply(body(stop_reason=reason, stop_sequence="END")).choices[0]
    assert (choice.stop, choice.stop_sequence) == (stop, "END")


def test_every_reason_reads_as_it_is_written() -> None:
    assert {stop: STOPS_IN[reason] for stop, reason in STOPS_OUT.items()} == {stop: stop for stop in STOPS_OUT}


@pytest.mark.parametrize(
    ("said", "usage"),
    [
        ({"input_tokens": 12, "output_tokens": 6}, Usage(12, output=6)),
        (
            {
                "input_tokens": 4,
                "cache_creation_input_tokens": 500,
                "cache_read_input_tokens": 3000,
                "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 300},
                "output_tokens": 90,
                "output_tokens_details": {"thinking_tokens": 64},
                "server_tool_use": {"web_search_requests": 0},
                "service_tier": "standard",
            },
            Usage(4, 3000, 200, 300, 90, 64),
        ),
        ({"input_tokens": 4, "cache_creation_input_tokens": 7, "output_tokens": 1}, Usage(4, 0, 7, 0, 1)),
        (
            {"input_tokens": 4, "cache_creation": {"ephemeral_1h_input_tokens": 7}, "output_tokens": 1},
            Usage(4, 0, 0, 7, 1),
        ),
        (
            {
                "input_tokens": 4,
                "cache_creation_input_tokens": None,
                "cache_read_input_tokens": None,
                "output_tokens": 1,
            },
            Usage(4, output=1),
        ),
        (
            {"input_tokens": 1, "output_tokens": 5, "output_tokens_details": {"thinking_tokens": 6}},
            Usage(1, output=5, reasoning=5),
        ),
        ({"input_tokens": MOST_TOKENS, "output_tokens": 0}, Usage(MOST_TOKENS)),
        ({"input_tokens": MOST_TOKENS + 1, "output_tokens": 0}, None),
        ({"input_tokens": -1, "output_tokens": 6}, None),
        ({"input_tokens": 1, "output_tokens": -6}, None),
        ({"input_tokens": 1, "output_tokens": 6, "cache_read_input_tokens": -1}, None),
        ({"input_tokens": 1, "output_tokens": 6, "output_tokens_details": {"thinking_tokens": -1}}, None),
        (
            {
                "input_tokens": 1,
                "cache_creation_input_tokens": 9,
                "cache_creation": {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 5},
                "output_tokens": 6,
            },
            None,
        ),
        ({"input_tokens": 1, "cache_creation": {"ephemeral_5m_input_tokens": -2}, "output_tokens": 6}, None),
        ({"input_tokens": 12}, None),
        ({"output_tokens": 12}, None),
        ({"input_tokens": "12", "output_tokens": 6}, None),
        ({"input_tokens": 1.5, "output_tokens": 6}, None),
        (None, None),
        ([], None),
    ],
)
def test_usage(said: Any, usage: Usage | None) -> None:
    assert read_reply(body(usage=said)).usage == usage


def test_an_answer_without_usage_says_none() -> None:
    said = json.loads(body())
    del said["usage"]
    assert read_reply(json.dumps(said).encode()).usage is None


@pytest.mark.parametrize(
    "other",
    [
        b"",
        b"{}",
        b"[]",
        b"<html>",
        b"\xff",
        b'{"type":"error","error":{"type":"api_error","message":"x"}}',
        b'{"type":"message"}',
        b'{"type":"message","content":[{}]}',
        b'{"type":"message","content":[{"type":"tool_use","input":{"a":"\xff"}}]}',
        b'{"object":"chat.completion","choices":[]}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_answer(other: bytes) -> None:
    with pytest.raises(ValueError, match="not a Messages answer"):
        read_reply(other)


@given(
    st.binary(max_size=60)
    | st.builds(lambda a, b: body()[:a] + b + body()[a:], st.integers(0, 300), st.binary(max_size=3))
)
def test_hostile_bytes_are_an_answer_or_none(raw: bytes) -> None:
    try:
        reply = read_reply(raw)
    except ValueError:
        return
    assert len(reply.choices) == 1


# Written for a client.


def test_the_body() -> None:
    reply = Reply(
        "chatcmpl-1",
        None,
        (
            Choice(
                (
                    Thinking("Hmm"),
                    Thinking(redacted="EmwK"),
                    Text("Looking."),
                    ToolUse("call_1", "get_weather", '{"city": "Rome"}'),
                ),
                "tool_use",
            ),
            Choice((Text("another"),)),
        ),
        Usage(4, 3000, 200, 300, 90, 64),
        created_s=1700000000,
    )
    assert json.loads(write_reply(reply, ASKED)) == {
        "id": "chatcmpl-1",
        "type": "message",
        "role": "assistant",
        "model": "fast",
        "content": [
            {"type": "thinking", "thinking": "Hmm", "signature": ""},
            {"type": "redacted_thinking", "data": "EmwK"},
            {"type": "text", "text": "Looking."},
            {"type": "tool_use", "id": "call_1", "name": "get_weather", "input": {"city": "Rome"}},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 4,
            "cache_creation_input_tokens": 500,
            "cache_read_input_tokens": 3000,
            "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 300},
            "output_tokens": 90,
            "output_tokens_details": {"thinking_tokens": 64},
        },
    }


def test_an_answer_of_nothing_is_written() -> None:
    said = json.loads(write_reply(Reply("x", "m", (), None), ASKED))
    assert (said["content"], said["stop_reason"]) == ([], "end_turn")
    assert said["usage"] == {"input_tokens": 0, "output_tokens": 0}


THOUGHTS = (Thinking("Hmm"), Thinking("Ah", "gemini:sig"), Thinking(redacted="EmwK"))


@pytest.mark.parametrize(
    ("reasoning", "told"),
    [
        (None, ()),
        (Reasoning("none"), ()),
        (Reasoning("low"), ()),
        (Reasoning(shown=False), (Thinking("", "gemini:sig"), Thinking(redacted="EmwK"))),
        (Reasoning("low", shown=True), THOUGHTS),
    ],
)
def test_thinking_is_told_to_who_asked(reasoning: Reasoning | None, told: tuple[Thinking, ...]) -> None:
    asked = msgspec.structs.replace(ASKED, reasoning=reasoning)
    reply = Reply("x", "m", (Choice((*THOUGHTS, Text("Yes."))),))
    assert read_reply(write_reply(reply, asked)).choices[0].parts == (*told, Text("Yes."))


def test_arguments_that_are_no_object_reach_the_client() -> None:
    said = json.loads(write_reply(Reply("x", "m", (Choice((ToolUse("t", "f", '{"a":'),)),)), ASKED))
    assert said["content"][0]["input"] == {"INVALID_JSON": '{"a":'}


texts = st.text(max_size=8)
some = st.text(min_size=1, max_size=8)
arguments = st.dictionaries(
    texts, st.integers() | texts | st.lists(st.floats(allow_nan=False, allow_infinity=False)), max_size=3
)
parts = st.one_of(
    st.builds(Text, texts),
    st.builds(Thinking, texts, st.none() | some),
    st.builds(Thinking, redacted=texts),
    st.builds(ToolUse, texts, texts, arguments.map(json.dumps)),
)
counts = st.integers(0, MOST_TOKENS)
usages = st.builds(
    lambda *five, share: Usage(*five, reasoning=five[4] * share // 100), *[counts] * 5, share=st.integers(0, 100)
)
replies = st.builds(
    Reply,
    texts,
    some,
    st.tuples(
        st.builds(Choice, st.lists(parts, max_size=4).map(tuple), st.sampled_from(sorted(STOPS_OUT)), st.none() | texts)
    ),
    usages,
)


@given(replies)
def test_what_is_written_reads_as_it_was_meant(reply: Reply) -> None:
    assert read_reply(write_reply(reply, ASKED)) == reply


def test_usage_that_nobody_tells_is_written_as_zeros() -> None:
    assert read_reply(write_reply(Reply("x", "m", (Choice(()),), None), ASKED)).usage == NO_USAGE


# Errors.


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *KINDS.items(),
        (405, "invalid_request_error"),
        (408, "invalid_request_error"),
        (422, "invalid_request_error"),
        (502, "api_error"),
    ],
)
def test_an_error_has_the_type_of_its_status(status: int, kind: str) -> None:
    written = write_error(status, "budget_exceeded", "The wallet is empty.", "insufficient_balance", {"team": "search"})
    assert json.loads(written) == {
        "type": "error",
        "error": {
            "type": kind,
            "message": "The wallet is empty.",
            "details": {"team": "search", "error_code": "insufficient_balance"},
        },
        "request_id": None,
    }
    assert read_error(written) == (kind, "The wallet is empty.")


def test_an_error_names_its_request() -> None:
    written = json.loads(write_error(400, "", "No.", "invalid_request", {"request_id": "req_1"}))
    assert (written["request_id"], written["error"]["details"]) == ("req_1", {"error_code": "invalid_request"})


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (
            b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_011"}',
            ("overloaded_error", "Overloaded"),
        ),
        (b'{"error":{"message":"No."}}', (None, "No.")),
        (b'{"error":"No."}', (None, None)),
        (b'{"message":"Forbidden"}', (None, None)),
        (body(), (None, None)),
        (b"upstream connect error", (None, None)),
        (b"\xff", (None, None)),
        (b"[" * 100_000, (None, None)),
    ],
)
def test_errors_of_a_provider(raw: bytes, said: tuple[str | None, str | None]) -> None:
    assert read_error(raw) == said
