"""OpenAI's legacy completions: one prompt in, plain text out."""

import json
from typing import Any

import msgspec
import pytest
from openai.types import Completion

from keeptrusts.core.calls.conversation import (
    Begin,
    Broken,
    Choice,
    Conversation,
    Ended,
    Reply,
    Stopped,
    StreamEvent,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ToolBegin,
    ToolDelta,
    Turn,
    UsageNews,
)
from keeptrusts.core.calls.usage import Usage
from keeptrusts.core.dialects.openai_completions import StreamWriter, read_request, write_error, write_reply
from keeptrusts.core.dialects.sse import SseReader
from keeptrusts.core.refusal import Reason, Refused

PROMPT = {"model": "gpt-3.5-turbo-instruct", "prompt": "Say this"}
TURN = Turn("user", (Text("Say this"),))
ASKED = Conversation(model="gpt-3.5-turbo-instruct", turns=(TURN,), max_tokens=16)

FIELDS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"prompt": ["Say this"]}, {}),
    ({"max_tokens": None}, {}),
    ({"max_tokens": 100}, {"max_tokens": 100}),
    ({"temperature": 0, "top_p": 0.5, "n": 2, "seed": 3}, {"temperature": 0, "top_p": 0.5, "n": 2, "seed": 3}),
    ({"stop": ["\n"], "user": "ada"}, {"stop": ("\n",), "user": "ada"}),
    ({"presence_penalty": 1, "frequency_penalty": -1}, {"presence_penalty": 1, "frequency_penalty": -1}),
    ({"stream": True}, {"stream": True, "include_usage": False}),
    ({"stream": True, "stream_options": {"include_usage": True}}, {"stream": True}),
    ({"suffix": None, "echo": None, "best_of": None, "logprobs": None, "logit_bias": None}, {}),
    ({"suffix": "", "echo": False, "best_of": 1, "logit_bias": {}}, {}),
    ({"n": 3, "best_of": 3}, {"n": 3}),
]


@pytest.mark.parametrize(("fields", "expected"), FIELDS)
def test_a_request_is_read(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    assert read_request({**PROMPT, **fields}) == msgspec.structs.replace(ASKED, **expected)


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("model", {"model": 1}),
    ("prompt", {"prompt": None}),
    ("prompt", {"prompt": []}),
    ("prompt", {"prompt": ["a", "b"]}),
    ("prompt", {"prompt": [1, 2]}),
    ("prompt", {"prompt": [[1, 2]]}),
    ("suffix", {"suffix": "the end"}),
    ("echo", {"echo": True}),
    ("best_of", {"best_of": 2}),
    ("best_of", {"n": 2, "best_of": 3}),
    ("logprobs", {"logprobs": 0}),
    ("logit_bias", {"logit_bias": {"1": 1}}),
    ("max_tokens", {"max_tokens": 0}),
    ("n", {"n": 0}),
    ("messages", {"messages": []}),
]


@pytest.mark.parametrize(("param", "fields"), REFUSED)
def test_what_cant_be_told_is_refused_by_its_name(param: str, fields: dict[str, Any]) -> None:
    with pytest.raises(Refused) as caught:
        read_request({**PROMPT, **fields})
    assert caught.value.reason is Reason.INVALID_REQUEST
    assert caught.value.details == {"param": param}


def test_an_answer_is_written_and_the_sdk_reads_it() -> None:
    parts = (Thinking("hm"), Text("this is "), Text("a test"))
    reply = Reply("cmpl-1", None, (Choice(parts, "length"), Choice((), "stop_sequence")), Usage(5, output=7), 9)
    body = write_reply(reply, ASKED)
    assert msgspec.json.decode(body) == {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 9,
        "model": "gpt-3.5-turbo-instruct",
        "choices": [
            {"index": 0, "text": "this is a test", "logprobs": None, "finish_reason": "length"},
            {"index": 1, "text": "", "logprobs": None, "finish_reason": "stop"},
        ],
        "usage": {
            "prompt_tokens": 5,
            "completion_tokens": 7,
            "total_tokens": 12,
            "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
    }
    Completion.model_validate_json(body, strict=True)


def test_an_answer_without_usage_says_none() -> None:
    assert "usage" not in msgspec.json.decode(write_reply(Reply("1", "m", (Choice(()),), None), ASKED))


EVENTS: list[StreamEvent] = [
    Begin("cmpl-1", "served"),
    ThinkingDelta("hm"),
    TextDelta("this"),
    TextDelta(" is", 1),
    ToolBegin("a", "f"),
    ToolDelta("{}"),
    Stopped("stop"),
    Stopped("content_filter", 1),
    UsageNews(Usage(5, output=7)),
    Ended(),
    TextDelta("late"),
]


@pytest.mark.parametrize("tells_usage", [True, False])
def test_a_stream_is_written_and_the_sdk_reads_it(tells_usage: bool) -> None:
    writer = StreamWriter(msgspec.structs.replace(ASKED, include_usage=tells_usage), 9)
    stream = b"".join(map(writer.write, EVENTS))
    *chunks, done = [data for _, data in SseReader().feed(stream)]
    assert done == b"[DONE]"
    for data in chunks:
        Completion.model_validate_json(data.replace(b'"finish_reason":null', b'"finish_reason":"stop"'), strict=True)
    told = [json.loads(data) for data in chunks]
    head = {"id": "cmpl-1", "object": "text_completion", "created": 9, "model": "served"}
    assert all(head.items() <= chunk.items() for chunk in told)
    assert [(c["index"], c["text"], c["finish_reason"]) for chunk in told for c in chunk["choices"]] == [
        (0, "this", None),
        (1, " is", None),
        (0, "", "stop"),
        (1, "", "content_filter"),
    ]
    assert [chunk["usage"]["total_tokens"] for chunk in told if chunk.get("usage")] == ([12] if tells_usage else [])


def test_a_broken_stream_says_so_and_ends() -> None:
    writer = StreamWriter(ASKED, 9)
    stream = writer.write(Broken("Overloaded", "overloaded_error")) + writer.write(Ended())
    [(_, data)] = SseReader().feed(stream)
    assert json.loads(data)["error"]["message"] == "Overloaded"


def test_errors_are_those_of_chat() -> None:
    error = {"message": "No.", "type": "t", "param": None, "code": "c"}
    assert msgspec.json.decode(write_error(400, "t", "No.", "c", {})) == {"error": error}
