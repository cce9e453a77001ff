"""Streams in OpenAI's chat dialect: what providers tell, cut anywhere, and what applications are told."""

import json
from itertools import pairwise
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionChunk

from keeptrusts.core.calls.conversation import (
    Begin,
    Broken,
    Conversation,
    Ended,
    Stopped,
    StopReason,
    StreamEvent,
    Text,
    TextDelta,
    ThinkingDelta,
    ToolBegin,
    ToolDelta,
    Turn,
    UsageNews,
)
from keeptrusts.core.calls.usage import Usage
from keeptrusts.core.dialects.openai_chat import StreamReader, StreamWriter
from keeptrusts.core.dialects.openai_chat_stream import MOST_CHOICES, MOST_TOOL_CALLS
from keeptrusts.core.dialects.sse import MAX_EVENT_BYTES, SseReader

ASKED = Conversation(model="asked", turns=(Turn("user", (Text("Hi."),)),), stream=True)
UNTOLD = Conversation(model="asked", turns=ASKED.turns, stream=True, include_usage=False)
DONE = b"data: [DONE]\n\n"


def event(**fields: Any) -> bytes:
    return b"data: " + json.dumps(fields).encode() + b"\n\n"


def chunk(*choices: dict[str, Any], **fields: Any) -> bytes:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-2024-08-06"}
    return event(**head, choices=list(choices), **fields)


def delta(index: int = 0, finish_reason: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"index": index, "delta": fields, "logprobs": None, "finish_reason": finish_reason}


def said(index: int = 0, finish_reason: str | None = None, **fields: Any) -> bytes:
    return chunk(delta(index, finish_reason, **fields))


def call(
    index: int | None = None, id: str | None = None, name: str | None = None, arguments: str | None = None
) -> bytes:
    told: dict[str, Any] = {"function": {"name": name, "arguments": arguments}}
    told |= {} if index is None else {"index": index}
    told |= {} if id is None else {"id": id, "type": "function"}
    return said(tool_calls=[told])


def read(*pieces: bytes) -> list[StreamEvent]:
    reader = StreamReader()
    events = [news for piece in pieces for news in reader.feed(piece)]
    return events + reader.finish()


BEGIN = Begin("chatcmpl-1", "gpt-4o-2024-08-06")
USAGE = {"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21, "prompt_tokens_details": {"cached_tokens": 4}}

STREAMS: list[tuple[str, bytes, list[StreamEvent]]] = [
    (
        "text",
        said(role="assistant", content="", refusal=None)
        + said(content="Grüß")
        + said(content=" Gott")
        + said(finish_reason="stop")
        + chunk(usage=USAGE)
        + DONE,
        [
            BEGIN,
            TextDelta("Grüß"),
            TextDelta(" Gott"),
            Stopped("stop"),
            UsageNews(Usage(input=5, cache_read=4, output=12)),
            Ended(),
        ],
    ),
    (
        "parallel tools",
        said(role="assistant", content=None)
        + call(0, "a", "f", "")
        + call(0, arguments='{"x"')
        + call(1, "b", "g", "{}")
        + call(0, arguments=":1}")
        + said(finish_reason="tool_calls")
        + DONE,
        [
            BEGIN,
            ToolBegin("a", "f"),
            ToolDelta('{"x"'),
            ToolBegin("b", "g", 1),
            ToolDelta("{}", 1),
            ToolDelta(":1}"),
            Stopped("tool_use"),
            Ended(),
        ],
    ),
    (
        "a call that tool_choice named",
        call(0, "a", "f", "{}") + said(finish_reason="stop"),
        [BEGIN, ToolBegin("a", "f"), ToolDelta("{}"), Stopped("tool_use")],
    ),
    (
        "calls without an index",
        call(None, "a", "f", "{}") + call(None, "b", "g", "[]") + call(None, arguments=" "),
        [BEGIN, ToolBegin("a", "f"), ToolDelta("{}"), ToolBegin("b", "g", 1), ToolDelta("[]", 1), ToolDelta(" ", 1)],
    ),
    (
        "a name that is told again",
        call(3, "a", "f", "1") + call(3, "a", "f", "2") + call(3, None, "f", "3"),
        [BEGIN, ToolBegin("a", "f"), ToolDelta("1"), ToolDelta("2"), ToolDelta("3")],
    ),
    ("a call without an id", call(0, "", "f"), [BEGIN, ToolBegin("call_chatcmpl-1_0_0", "f")]),
    ("a call without a name", call(0, "a", None, "{}") + call(0, "a", "f", "1"), [BEGIN, ToolBegin("a", "f"), ToolDelta("1")]),
    (
        "several choices",
        chunk(delta(0, content="a"), delta(1, content="b"))
        + call(0, "c", "f")
        + said(1, "length")
        + said(0, "stop")
        + said(1, "stop", content="late"),
        [BEGIN, TextDelta("a"), TextDelta("b", 1), ToolBegin("c", "f"), Stopped("length", 1), Stopped("tool_use")],
    ),
    (
        "thinking and a refusal",
        said(reasoning_content="hm") + said(reasoning="!") + said(refusal="No.") + said(finish_reason="content_filter"),
        [BEGIN, ThinkingDelta("hm"), ThinkingDelta("!"), TextDelta("No.", refusal=True), Stopped("content_filter")],
    ),
    (
        "usage that grows",
        chunk(delta(content="a"), usage={"prompt_tokens": 1, "completion_tokens": 1})
        + chunk(usage={"prompt_tokens": 1, "completion_tokens": 2})
        + chunk(usage={"prompt_tokens": -1, "completion_tokens": 2})
        + chunk(usage="none"),
        [BEGIN, TextDelta("a"), UsageNews(Usage(input=1, output=1)), UsageNews(Usage(input=1, output=2))],
    ),
    (
        "an error",
        said(content="a") + event(error={"message": "Overloaded", "type": "server_error", "code": None}) + said(content="b") + DONE,
        [BEGIN, TextDelta("a"), Broken("Overloaded", "server_error")],
    ),
    ("an error at once", event(error={"message": "Bad sk-abcdefgh", "code": "x"}), [Broken("Bad [key]", "x")]),
    ("an error in a word", event(error="overloaded"), [Broken("overloaded")]),
    ("an error without words", event(error={}), [Broken("The provider reports an error.")]),
    ("a failure", said(content="a", finish_reason="error") + DONE, [BEGIN, TextDelta("a"), Broken("The provider broke off its answer: error.", "error")]),
    ("a failure with usage", chunk(delta(finish_reason="error"), delta(1, content="a"), usage=USAGE), [BEGIN, Broken("The provider broke off its answer: error.", "error")]),
    ("nothing after the end", said(content="a") + DONE + said(content="b") + DONE, [BEGIN, TextDelta("a"), Ended()]),
    ("no end", said(content="a"), [BEGIN, TextDelta("a")]),
    ("no blank line at the end", said(content="a") + b"data: [DONE]", [BEGIN, TextDelta("a"), Ended()]),
    ("a chunk in half at the end", said(content="a") + said(content="b")[:-8], [BEGIN, TextDelta("a")]),
    ("keep-alives", b": OPENROUTER PROCESSING\n\n" + said(content="a"), [BEGIN, TextDelta("a")]),
    ("nonsense between", b"data: {\n\ndata: []\n\ndata: 7\n\ndata: \xff\n\n" + said(content="a"), [BEGIN, TextDelta("a")]),
    ("too deep", b"data: " + b'{"error":' * 9_000 + b"\n\n" + said(content="a"), [BEGIN, TextDelta("a")]),
    ("a choice that can't be", said(-1, content="a") + said(MOST_CHOICES, content="b"), [BEGIN]),
    ("Azure's first chunk", event(choices=[], id="", model="", prompt_filter_results=[]) + said(content="a"), [BEGIN, TextDelta("a")]),
    ("content in parts", said(content=[{"type": "thinking", "thinking": []}, {"type": "text", "text": "4"}]), [BEGIN, TextDelta("4")]),
    ("neither id nor model", event(choices=[delta(content="a")]), [Begin(""), TextDelta("a")]),
    ("no delta", chunk({"index": 0, "finish_reason": None}) + chunk({"index": 0, "delta": None}), [BEGIN]),
]  # fmt: skip


@pytest.mark.parametrize(("stream", "events"), [case[1:] for case in STREAMS], ids=[case[0] for case in STREAMS])
@pytest.mark.parametrize("crlf", [False, True])
def test_a_stream_is_read_however_it_is_cut(stream: bytes, events: list[StreamEvent], crlf: bool) -> None:
    if crlf:
        stream = stream.replace(b"\n", b"\r\n")
    assert read(stream) == events
    assert read(*(stream[at : at + 1] for at in range(len(stream)))) == events


def test_calls_without_number_are_not_read_on() -> None:
    begun = [news for news in read(*(call(at, f"id{at}", "f") for at in range(MOST_TOOL_CALLS + 3))) if news != BEGIN]
    assert len(begun) == MOST_TOOL_CALLS


def test_an_event_without_end_is_reported() -> None:
    reader = StreamReader()
    reader.feed(b"data: " + b"x" * (MAX_EVENT_BYTES - 6))
    assert not reader.overfull
    assert reader.feed(b"x") == []
    assert reader.overfull


def write(*events: StreamEvent, asked: Conversation = ASKED) -> bytes:
    writer = StreamWriter(asked, 7)
    return b"".join(map(writer.write, events))


def payloads(stream: bytes) -> list[Any]:
    events = SseReader().feed(stream)
    assert all(name == "" for name, _ in events)
    return [json.loads(data) if data != b"[DONE]" else None for _, data in events]


def deltas(stream: bytes) -> list[Any]:
    return [(c["index"], c["delta"], c["finish_reason"]) for told in payloads(stream) if told for c in told["choices"]]


def test_a_stream_is_written() -> None:
    stream = write(
        Begin("msg_1", "claude", Usage(input=3)),
        ThinkingDelta("hm"),
        ThinkingDelta(signature="sig"),
        TextDelta("a"),
        TextDelta("No.", refusal=True),
        ToolBegin("t", "f"),
        ToolDelta("{}"),
        TextDelta("b", 1),
        Stopped("tool_use"),
        Stopped("pause", 1),
        UsageNews(Usage(input=3, output=4)),
        Ended(),
    )
    assert deltas(stream) == [
        (0, {"role": "assistant", "content": ""}, None),
        (0, {"reasoning_content": "hm"}, None),
        (0, {"content": "a"}, None),
        (0, {"refusal": "No."}, None),
        (
            0,
            {"tool_calls": [{"index": 0, "id": "t", "type": "function", "function": {"name": "f", "arguments": ""}}]},
            None,
        ),
        (0, {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}, None),
        (1, {"role": "assistant", "content": "b"}, None),
        (0, {}, "tool_calls"),
        (1, {}, "length"),
    ]
    *chunks, last, done = payloads(stream)
    head = {"id": "msg_1", "object": "chat.completion.chunk", "created": 7, "model": "claude"}
    assert all(head.items() <= told.items() and told["usage"] is None for told in chunks)
    assert last == {
        **head,
        "choices": [],
        "usage": {
            "prompt_tokens": 3,
            "completion_tokens": 4,
            "total_tokens": 7,
            "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
    }
    assert done is None
    assert stream.endswith(DONE)


def test_usage_is_told_only_to_who_asked_and_only_if_known() -> None:
    known: list[StreamEvent] = [Begin("1"), UsageNews(Usage(input=1)), Ended()]
    assert all("usage" not in told for told in payloads(write(*known, asked=UNTOLD)) if told)
    assert [told["usage"] for told in payloads(write(Begin("1"), Ended())) if told] == [None]


def test_a_stream_whose_model_is_not_told_has_the_one_that_was_asked_for() -> None:
    assert payloads(write(Begin("1")))[0]["model"] == "asked"
    assert payloads(write(TextDelta("early")))[0]["model"] == "asked"


def test_nothing_is_written_after_the_end() -> None:
    assert write(Ended(), TextDelta("a"), Ended()) == DONE
    assert write(Broken("No.", "x"), TextDelta("a"), Ended()) == write(Broken("No.", "x"))


def sdk_stream(stream: bytes) -> list[ChatCompletionChunk]:
    transport = httpx2.MockTransport(
        lambda request: httpx2.Response(200, content=stream, headers={"content-type": "text/event-stream"})
    )
    with openai.OpenAI(
        api_key="k", base_url="http://a.example", http_client=httpx2.Client(transport=transport)
    ) as client:
        return list(
            client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi."}], stream=True)
        )


def test_the_sdk_raises_for_a_broken_stream() -> None:
    with pytest.raises(openai.APIError, match="Overloaded") as caught:
        sdk_stream(write(Begin("1"), TextDelta("a"), Broken("Overloaded", "overloaded_error")))
    assert (caught.value.type, caught.value.code) == ("overloaded_error", "overloaded_error")


# What is written is read

words = st.text(min_size=1, max_size=12)
counts = st.integers(0, 10**8)
usages = st.builds(Usage, counts, counts, counts, st.just(0), counts)


@st.composite
def streams(draw: st.DrawFn) -> list[StreamEvent]:
    """The events of a stream, in the order in which this dialect tells them."""
    events: list[StreamEvent] = [Begin(draw(words), draw(words))]
    calls: dict[int, list[str]] = {choice: [] for choice in range(draw(st.integers(1, 3)))}
    for _ in range(draw(st.integers(0, 8))):
        choice = draw(st.sampled_from(sorted(calls)))
        kind = draw(st.sampled_from(["text", "refusal", "thinking", "tool", "arguments"]))
        if kind in ("text", "refusal"):
            events.append(TextDelta(draw(words), choice, kind == "refusal"))
        elif kind == "thinking":
            events.append(ThinkingDelta(draw(words), choice))
        elif kind == "tool":
            events.append(ToolBegin(draw(words), draw(words), len(calls[choice]), choice))
            calls[choice].append("")
        elif calls[choice]:
            events.append(ToolDelta(draw(words), draw(st.integers(0, len(calls[choice]) - 1)), choice))
    for choice, called in calls.items():
        stops: list[StopReason] = ["length", "content_filter", "tool_use" if called else "stop"]
        events.append(Stopped(draw(st.sampled_from(stops)), choice))
    ends: list[list[StreamEvent]] = [[UsageNews(draw(usages)), Ended()], [Ended()], [Broken(draw(words), "e")], []]
    return events + draw(st.sampled_from(ends))


@given(streams(), st.lists(st.integers(0, 3_000), max_size=6))
def test_what_is_written_is_read(events: list[StreamEvent], cuts: list[int]) -> None:
    stream = write(*events)
    at = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    assert read(*(stream[a:b] for a, b in pairwise(at))) == events


@given(streams())
def test_the_sdk_reads_what_is_written(events: list[StreamEvent]) -> None:
    for told in payloads(write(*events)):
        if told is not None and "error" not in told:
            ChatCompletionChunk.model_validate_json(json.dumps(told), strict=True)


def test_the_sdk_streams_what_is_written() -> None:
    chunks = sdk_stream(write(Begin("1", "m"), TextDelta("a"), Stopped("stop"), UsageNews(Usage(1, output=2)), Ended()))
    assert [c.choices[0].delta.content for c in chunks if c.choices] == ["", "a", None]
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 3


pieces = st.sampled_from(
    [
        *(
            b"data: ",
            b"\n\n",
            b"\r\n\r\n",
            b"[DONE]",
            b'{"choices":[',
            b"]}",
            b'{"index":0,"delta":{',
            b"}}",
            b'"content":"a"',
        ),
        *(
            b'"tool_calls":[{"id":"a","function":{"name":"f"}}]',
            b'"usage":{"prompt_tokens":1}',
            b'{"error":',
            b"null",
            b",",
        ),
        *(
            said(content="a"),
            call(0, "a", "f", "{}"),
            chunk(usage=USAGE),
            said(finish_reason="stop"),
            b"\xff",
            b"\xf0\x9f",
        ),
    ]
)


@given(st.lists(pieces | st.binary(max_size=4), max_size=30).map(b"".join), st.lists(st.integers(0, 999), max_size=8))
def test_no_bytes_raise_and_no_cut_matters(stream: bytes, cuts: list[int]) -> None:
    at = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    assert read(*(stream[a:b] for a, b in pairwise(at))) == read(stream)
