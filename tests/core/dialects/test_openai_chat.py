"""Whole answers in OpenAI's chat dialect, what they say they cost, and errors: as official SDKs and providers write them."""

import re
from decimal import Decimal
from typing import Any

import httpx2
import msgspec
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion

from keeptrusts.core.calls.conversation import Choice, Conversation, Reply, StopReason, Text, Thinking, ToolUse, Turn
from keeptrusts.core.calls.usage import Usage
from keeptrusts.core.dialects.openai_chat import read_error, read_reply, write_error, write_reply

ASKED = Conversation(model="claude-sonnet-4-5", turns=(Turn("user", (Text("Hi."),)),))


def body(*choices: dict[str, Any], **fields: Any) -> bytes:
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1_741_569_952, "model": "gpt-4o-2024-08-06"}
    return msgspec.json.encode({**head, "choices": list(choices), **fields})


def answer(finish_reason: str | None = "stop", **message: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": None, "refusal": None, "annotations": [], **message}
    return {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason}


def called(*ids: str | None) -> list[dict[str, Any]]:
    return [{"id": id, "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}} for id in ids]


def use(id: str) -> ToolUse:
    return ToolUse(id, "f", '{"a":1}')


CHOICES: list[tuple[dict[str, Any], Choice]] = [
    (answer(content="Hello!"), Choice((Text("Hello!"),))),
    (answer(content=""), Choice(())),
    (answer("length", content="Hel"), Choice((Text("Hel"),), "length")),
    (answer("content_filter", content=None), Choice((), "content_filter")),
    (answer(refusal="I can't."), Choice((Text("I can't.", refusal=True),))),
    (answer("tool_calls", tool_calls=called("a", "b")), Choice((use("a"), use("b")), "tool_use")),
    (answer("stop", tool_calls=called("a")), Choice((use("a"),), "tool_use")),  # named by tool_choice
    (answer("length", tool_calls=called("a")), Choice((use("a"),), "length")),
    (answer("stop", tool_calls=[], content="x"), Choice((Text("x"),), "stop")),
    (answer("tool_calls", tool_calls=called(None)), Choice((use("call_chatcmpl-1_0_0"),), "tool_use")),
    (answer("tool_calls", tool_calls=called("")), Choice((use("call_chatcmpl-1_0_0"),), "tool_use")),
    (answer(content="4", reasoning_content="2+2"), Choice((Thinking("2+2"), Text("4")))),
    (answer(content="4", reasoning="2+2"), Choice((Thinking("2+2"), Text("4")))),
    (answer(content=[{"type": "thinking", "thinking": []}, {"type": "text", "text": "4"}]), Choice((Text("4"),))),
    (answer("eos", content="x"), Choice((Text("x"),))),
    (answer("model_length", content="x"), Choice((Text("x"),), "length")),
    (answer(None, content="x"), Choice((Text("x"),))),
    ({**answer(content="x"), "logprobs": {"content": [], "refusal": None}}, Choice((Text("x"),), logprobs={"content": [], "refusal": None})),
]  # fmt: skip


@pytest.mark.parametrize(("told", "expected"), CHOICES)
def test_a_choice_is_read(told: dict[str, Any], expected: Choice) -> None:
    reply = read_reply(body(told))
    assert reply == Reply("chatcmpl-1", "gpt-4o-2024-08-06", (expected,), None, 1_741_569_952)


def test_what_matters_less_may_be_missing() -> None:
    told = msgspec.json.encode({"choices": [{"message": {"content": "a"}}], "created": "today", "id": None})
    assert read_reply(told) == Reply("", None, (Choice((Text("a"),)),), None, None)


def test_every_choice_is_read() -> None:
    assert [choice.parts for choice in read_reply(body(answer(content="a"), answer(content="b"))).choices] == [
        (Text("a"),),
        (Text("b"),),
    ]


@pytest.mark.parametrize(
    "told",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'{"error": {"message": "no"}}',
        b'{"choices": []}',
        b'{"choices": [{}]}',
        b'{"choices": [{"message": {"content": 1}}]}',
        b'{"choices": [{"message": {"content": "a", "tool_calls": [{"function": {}}]}}]}',
        b'{"choices": [{"message": {"content": "\xff"}}]}',
        b'{"choices":' + b"[" * 100_000,
        body(answer("error", content="Hel")),
        body(answer("insufficient_system_resource", content="Hel")),
    ],
)
def test_what_is_no_answer_is_not_read(told: bytes) -> None:
    with pytest.raises(ValueError, match=re.compile(".")):
        read_reply(told)


@given(st.binary(max_size=80))
def test_no_bytes_fail_but_by_a_value_error(told: bytes) -> None:
    with pytest.raises(ValueError, match=re.compile("")):
        read_reply(told)


def usage(prompt: int, completion: int, total: int | None = None, **details: Any) -> dict[str, Any]:
    told = {"prompt_tokens": prompt, "completion_tokens": completion, **details}
    return told if total is None else {**told, "total_tokens": total}


USAGES: list[tuple[Any, Usage | None]] = [
    (usage(19, 10, 29), Usage(input=19, output=10)),
    (usage(19, 10), Usage(input=19, output=10)),
    (
        usage(
            2_006,
            300,
            2_306,
            prompt_tokens_details={"cached_tokens": 1_920, "audio_tokens": 0},
            completion_tokens_details={"reasoning_tokens": 100, "accepted_prediction_tokens": 0},
        ),
        Usage(input=86, cache_read=1_920, output=300, reasoning=100),
    ),
    (
        usage(2_600, 10, 2_610, prompt_tokens_details={"cached_tokens": 2_000, "cache_write_tokens": 400}),
        Usage(input=200, cache_read=2_000, cache_write=400, output=10),
    ),
    (usage(19, 10, 29, prompt_tokens_details=None, completion_tokens_details={}), Usage(input=19, output=10)),
    (  # xAI: reasoning beside the completion
        usage(10_120, 1_499, 14_428, prompt_tokens_details={"cached_tokens": 128}, completion_tokens_details={"reasoning_tokens": 2_809}),
        Usage(input=9_992, cache_read=128, output=4_308, reasoning=2_809),
    ),
    (usage(0, 0, 0), Usage()),
    (usage(10**9, 10**9), Usage(input=10**9, output=10**9)),
    (usage(10**9 + 1, 1), None),
    (usage(1, 10**9 + 1), None),
    (usage(10**9 + 1, 1, prompt_tokens_details={"cached_tokens": 9}), None),
    (usage(-1, 10), None),
    (usage(10, -1), None),
    (usage(10, 1, prompt_tokens_details={"cached_tokens": 11}), None),
    (usage(10, 1, prompt_tokens_details={"cached_tokens": -1}), None),
    (usage(10, 1, prompt_tokens_details={"cached_tokens": 6, "cache_write_tokens": 5}), None),
    (usage(10, 1, prompt_tokens_details={"cached_tokens": 6, "cache_write_tokens": -1}), None),
    (usage(10, 1, 11, completion_tokens_details={"reasoning_tokens": 2}), None),
    (usage(10, 1, completion_tokens_details={"reasoning_tokens": -1}), None),
    ({"prompt_tokens": 1}, None),
    ({"prompt_tokens": 1.5, "completion_tokens": 1}, None),
    ({"prompt_tokens": True, "completion_tokens": 1}, None),
    ({"prompt_tokens": 10**30, "completion_tokens": 1}, None),
    ("many", None),
    ([], None),
    (None, None),
]  # fmt: skip


@pytest.mark.parametrize(("told", "expected"), USAGES)
def test_usage_is_read_into_disjoint_buckets(told: Any, expected: Usage | None) -> None:
    assert read_reply(body(answer(content="x"), usage=told)).usage == expected


def written(reply: Reply) -> dict[str, Any]:
    return msgspec.json.decode(write_reply(reply, ASKED), type=dict[str, Any])


def test_an_answer_is_written() -> None:
    parts = (Thinking("hm", "signature"), Text("Let me "), Text("see."), use("a"))
    reply = Reply("msg_1", "claude-sonnet-4-5-20250929", (Choice(parts, "tool_use"),), Usage(1, 2, 3, 4, 5, 1), 7)
    assert written(reply) == {
        "id": "msg_1",
        "object": "chat.completion",
        "created": 7,
        "model": "claude-sonnet-4-5-20250929",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Let me see.",
                    "refusal": None,
                    "reasoning_content": "hm",
                    "tool_calls": called("a"),
                },
                "logprobs": None,
                "finish_reason": "tool_calls",
            }
        ],
        "usage": {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "total_tokens": 15,
            "prompt_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 7},
            "completion_tokens_details": {"reasoning_tokens": 1},
        },
    }


def test_what_is_not_known_of_an_answer_is_said_as_the_sdk_can_read_it() -> None:
    told = written(Reply("1", None, (Choice(()),), None))
    assert (told["model"], told["created"]) == ("claude-sonnet-4-5", 0)
    assert "usage" not in told


CONTENTS = [
    ((), ""),
    ((Text("a"),), "a"),
    ((use("a"),), None),
    ((Text("No.", refusal=True),), None),
    ((Thinking("hm"),), ""),
]


@pytest.mark.parametrize(("parts", "content"), CONTENTS)
def test_content_is_null_only_beside_something_else(parts: tuple[Any, ...], content: str | None) -> None:
    assert written(Reply("1", "m", (Choice(parts),)))["choices"][0]["message"]["content"] == content


STOPS: list[tuple[StopReason, str]] = [
    ("stop", "stop"),
    ("stop_sequence", "stop"),
    ("length", "length"),
    ("pause", "length"),
    ("tool_use", "tool_calls"),
    ("content_filter", "content_filter"),
]


@pytest.mark.parametrize(("stop", "finish_reason"), STOPS)
def test_a_reason_to_stop_is_written(stop: StopReason, finish_reason: str) -> None:
    assert written(Reply("1", "m", (Choice((), stop, "END"),)))["choices"][0]["finish_reason"] == finish_reason


words = st.text(max_size=20)
said = st.text(min_size=1, max_size=20)
counts = st.integers(0, 10**8)


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    output = draw(counts)
    return Usage(draw(counts), draw(counts), draw(counts), 0, output, draw(st.integers(0, output)))


@st.composite
def choices(draw: st.DrawFn) -> Choice:
    parts: list[Any] = []
    parts += draw(st.lists(st.builds(Thinking, said), max_size=1))
    parts += draw(st.lists(st.builds(Text, said), max_size=1))
    parts += draw(st.lists(st.builds(Text, said, refusal=st.just(True)), max_size=1))
    calls = draw(st.lists(st.builds(ToolUse, said, words, words), max_size=3))
    stops: list[StopReason] = ["length", "content_filter", "tool_use" if calls else "stop"]
    logprobs = draw(st.none() | st.fixed_dictionaries({"content": st.lists(words, max_size=2)}))
    return Choice((*parts, *calls), draw(st.sampled_from(stops)), logprobs=logprobs)


replies = st.builds(
    Reply,
    words,
    said,
    st.lists(choices(), min_size=1, max_size=3).map(tuple),
    st.none() | usages(),
    st.integers(0, 2**40),
)


@given(replies)
def test_what_is_written_is_read(reply: Reply) -> None:
    assert read_reply(write_reply(reply, ASKED)) == reply


@given(replies)
def test_the_sdk_reads_what_is_written(reply: Reply) -> None:
    told = written(reply)
    for choice in told["choices"]:
        choice["logprobs"] = None  # drawn at random above
    ChatCompletion.model_validate_json(msgspec.json.encode(told), strict=True)


# Errors

EXCEPTIONS: list[tuple[int, type[openai.APIStatusError]]] = [
    (400, openai.BadRequestError),
    (401, openai.AuthenticationError),
    (402, openai.APIStatusError),
    (403, openai.PermissionDeniedError),
    (404, openai.NotFoundError),
    (409, openai.ConflictError),
    (422, openai.UnprocessableEntityError),
    (429, openai.RateLimitError),
    (500, openai.InternalServerError),
    (503, openai.InternalServerError),
]


@pytest.mark.parametrize(("status", "exception"), EXCEPTIONS)
def test_the_sdk_raises_the_exception_of_an_errors_status(status: int, exception: type[openai.APIStatusError]) -> None:
    error = write_error(status, "some_error", "No.", "some_code", {"param": "model", "spent": Decimal("1.50")})
    transport = httpx2.MockTransport(
        lambda request: httpx2.Response(status, content=error, headers={"content-type": "application/json"})
    )
    with (
        openai.OpenAI(
            api_key="k", base_url="http://a.example", http_client=httpx2.Client(transport=transport), max_retries=0
        ) as client,
        pytest.raises(exception) as caught,
    ):
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi."}])
    raised = caught.value
    assert (raised.status_code, raised.type, raised.code, raised.param) == (status, "some_error", "some_code", "model")
    assert raised.body == {
        "message": "No.",
        "type": "some_error",
        "param": "model",
        "code": "some_code",
        "details": {"param": "model", "spent": 1.5},
    }


def test_an_error_without_details_has_none() -> None:
    told = {"message": "No.", "type": "t", "param": None, "code": "c"}
    assert msgspec.json.decode(write_error(400, "t", "No.", "c", {})) == {"error": told}


def error(**fields: Any) -> bytes:
    return msgspec.json.encode({"error": fields})


ERRORS: list[tuple[bytes, tuple[str | None, str | None]]] = [
    (
        error(message="Too long.", type="invalid_request_error", param="messages", code="context_length_exceeded"),
        ("context_length_exceeded", "Too long."),
    ),
    (error(message="Overloaded", type="server_error", param=None, code=None), ("server_error", "Overloaded")),
    (error(message="No.", type="rate_limit", code="429"), ("rate_limit", "No.")),
    (error(message="No.", code=429), (None, "No.")),
    (b'{"error": "model not found"}', (None, "model not found")),
    (
        b'{"object": "error", "message": "No.", "type": "invalid_request_message_order", "code": "3230"}',
        ("invalid_request_message_order", "No."),
    ),
    (
        error(message="Incorrect API key provided: sk-proj-abc***xyz. See a.example.", code="invalid_api_key"),
        ("invalid_api_key", "Incorrect API key provided: [key] See a.example."),
    ),
    (error(message="Bad header: Bearer abc.def"), (None, "Bad header: [key]")),
    (error(message="x" * 5_000, type="y" * 5_000), ("y" * 100, "x" * 2_000)),
    (error(message="", type=""), (None, None)),
    (error(message={"a": 1}, type=["b"]), (None, None)),
    (b'{"choices": []}', (None, None)),
    (b'{"message": "hello"}', (None, None)),
    (b'{"error": null}', (None, None)),
    (b"[]", (None, None)),
    (b"<html>", (None, None)),
    (b"\xff", (None, None)),
    (b"[" * 100_000, (None, None)),
]


@pytest.mark.parametrize(("told", "expected"), ERRORS)
def test_a_providers_error_is_read(told: bytes, expected: tuple[str | None, str | None]) -> None:
    assert read_error(told) == expected
