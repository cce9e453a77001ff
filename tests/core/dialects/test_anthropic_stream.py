"""Streams of the Messages API: cut anywhere they say the same, and what is written is what Anthropic's SDK puts together."""

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeptrusts.core.calls.conversation import (
    Begin,
    Broken,
    Conversation,
    Ended,
    Reasoning,
    Stopped,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    ToolBegin,
    ToolDelta,
    UsageNews,
)
from keeptrusts.core.calls.usage import Usage
from keeptrusts.core.dialects.anthropic_reply import STOPS_OUT
from keeptrusts.core.dialects.anthropic_stream_reader import StreamReader
from keeptrusts.core.dialects.anthropic_stream_writer import StreamWriter
from keeptrusts.core.dialects.sse import MAX_EVENT_BYTES, SseReader

ASKED = Conversation(model="fast", turns=(), reasoning=Reasoning(shown=True), stream=True)
SILENT = msgspec.structs.replace(ASKED, reasoning=None)


def sse(*events: dict[str, Any]) -> bytes:
    """Events as the API sends them."""
    return b"".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events)


def read(raw: bytes, cuts: Sequence[int] = ()) -> list[StreamEvent]:
    """What the bytes say, fed in pieces."""
    reader = StreamReader()
    edges = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
    events = [event for start, end in pairwise(edges) for event in reader.feed(raw[start:end])]
    return events + reader.finish()


def write(events: Sequence[StreamEvent], asked: Conversation = ASKED) -> bytes:
    writer = StreamWriter(asked, 1_700_000_000)
    return b"".join(writer.write(event) for event in events)


def shown(raw: bytes) -> list[dict[str, Any]]:
    """The events of written bytes, each under its own name."""
    found = [(name, json.loads(data)) for name, data in SseReader().feed(raw)]
    assert all(name == event["type"] for name, event in found)
    return [event for _, event in found]


def start(usage: dict[str, Any] | None = None) -> dict[str, Any]:
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-4-6",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage or {"input_tokens": 25, "output_tokens": 1},
    }
    return {"type": "message_start", "message": message}


def block(index: int, **content: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": content}


def delta(index: int, **said: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": said}


def end(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def message_delta(usage: Any, reason: str | None = "end_turn") -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage}


PING = {"type": "ping"}
STOP = {"type": "message_stop"}

TOOL_STREAM = sse(
    start({"input_tokens": 472, "output_tokens": 2, "cache_creation_input_tokens": 30, "cache_read_input_tokens": 9,
           "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20}}),
    block(0, type="thinking", thinking="", signature=""),
    PING,
    delta(0, type="thinking_delta", thinking="Zwei Städte"),
    delta(0, type="signature_delta", signature="EqQB"),
    end(0),
    block(1, type="redacted_thinking", data="EmwK"),
    end(1),
    block(2, type="text", text=""),
    delta(2, type="text_delta", text="Ich sehe nach 🌤"),
    delta(2, type="citations_delta", citation={"type": "char_location"}),
    end(2),
    block(3, type="server_tool_use", id="srvtoolu_1", name="web_search", input={}),
    delta(3, type="input_json_delta", partial_json='{"query":"x"}'),
    end(3),
    block(4, type="web_search_tool_result", tool_use_id="srvtoolu_1", content=[]),
    end(4),
    block(5, type="tool_use", id="toolu_1", name="get_weather", input={}),
    delta(5, type="input_json_delta", partial_json=""),
    delta(5, type="input_json_delta", partial_json='{"city": "R'),
    delta(5, type="input_json_delta", partial_json='ome"}'),
    end(5),
    block(6, type="tool_use", id="toolu_2", name="now", input={}),
    delta(6, type="input_json_delta", partial_json="{}"),
    end(6),
    message_delta({"input_tokens": 472, "cache_creation_input_tokens": 30, "cache_read_input_tokens": 9, "output_tokens": 89,
                   "output_tokens_details": {"thinking_tokens": 40}}, "tool_use"),
    STOP,
)  # fmt: skip
TOOL_EVENTS: list[StreamEvent] = [
    Begin("msg_1", "claude-opus-4-6", Usage(472, 9, 10, 20, 2)),
    ThinkingDelta("Zwei Städte"),
    ThinkingDelta(signature="EqQB"),
    ThinkingDelta(redacted="EmwK"),
    TextDelta("Ich sehe nach 🌤"),
    ToolBegin("toolu_1", "get_weather", 0),
    ToolDelta('{"city": "R', 0),
    ToolDelta('ome"}', 0),
    ToolBegin("toolu_2", "now", 1),
    ToolDelta("{}", 1),
    Stopped("tool_use"),
    UsageNews(Usage(472, 9, 10, 20, 89, 40)),
    Ended(),
]


def test_a_stream_with_thinking_and_tools() -> None:
    assert read(TOOL_STREAM) == TOOL_EVENTS


def test_byte_by_byte_it_says_the_same() -> None:
    assert read(TOOL_STREAM, range(len(TOOL_STREAM))) == TOOL_EVENTS
    windows = TOOL_STREAM.replace(b"\n", b"\r\n")
    assert read(windows, range(len(windows))) == TOOL_EVENTS


@given(st.lists(st.integers(0, len(TOOL_STREAM)), max_size=12))
def test_cut_anywhere_it_says_the_same(cuts: list[int]) -> None:
    assert read(TOOL_STREAM, cuts) == TOOL_EVENTS


def test_the_last_event_may_lack_its_blank_line() -> None:
    assert read(TOOL_STREAM[:-2]) == TOOL_EVENTS


def test_an_unfinished_stream_does_not_end() -> None:
    assert not any(isinstance(event, Ended) for event in read(TOOL_STREAM[: TOOL_STREAM.index(b"event: message_stop")]))


@pytest.mark.parametrize(
    ("later", "usage"),
    [
        ({"output_tokens": 15}, Usage(25, output=15)),
        ({"input_tokens": 30, "output_tokens": 15, "cache_read_input_tokens": 4}, Usage(30, 4, output=15)),
        ({"output_tokens": -1}, None),
        ({"output_tokens": "many"}, None),
        (None, None),
    ],
)
def test_later_figures_replace_earlier_ones(later: Any, usage: Usage | None) -> None:
    news = [event for event in read(sse(start(), message_delta(later), STOP)) if isinstance(event, UsageNews)]
    assert news == ([] if usage is None else [UsageNews(usage)])


def test_writes_of_unknown_kind_are_no_usage() -> None:
    split = {"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 1}
    first = start({"input_tokens": 1, "output_tokens": 1, "cache_creation_input_tokens": 2, "cache_creation": split})
    grown = message_delta({"cache_creation_input_tokens": 5, "output_tokens": 9})
    assert not any(isinstance(event, UsageNews) for event in read(sse(first, grown)))


def test_what_some_providers_send_at_once() -> None:
    events = read(
        sse(
            {"type": "message_start", "message": {"id": "1"}},
            block(0, type="thinking", thinking="Hmm", signature="s"),
            block(1, type="text", text="Hi"),
            block(2, type="tool_use", id="t", name="f", input={"a": 1}),
            message_delta({"output_tokens": 1}, None),
            message_delta(None, "a new one"),
        )
    )
    assert events == [
        Begin("1"),
        ThinkingDelta("Hmm"),
        ThinkingDelta(signature="s"),
        TextDelta("Hi"),
        ToolBegin("t", "f"),
        ToolDelta('{"a": 1}'),
        Stopped("stop"),
    ]


def test_an_event_may_be_told_by_its_name_alone() -> None:
    assert read(b"event: message_stop\ndata: {}\n\n") == [Ended()]


@pytest.mark.parametrize(
    ("raw", "broken"),
    [
        (
            sse({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
            Broken("Overloaded", "overloaded_error"),
        ),
        (sse({"type": "error", "error": {"message": "No."}}), Broken("No.")),
        (b"event: error\ndata: oops\n\n", Broken("The provider reports an error in words that can't be read.")),
        (b"event: error\ndata: {}\n\n", Broken("The provider reports an error in words that can't be read.")),
    ],
)
def test_an_error_ends_the_stream(raw: bytes, broken: Broken) -> None:
    assert read(sse(start()) + raw + sse(STOP)) == [Begin("msg_1", "claude-opus-4-6", Usage(25, output=1)), broken]


def test_nothing_follows_the_end() -> None:
    assert read(sse(STOP, STOP, delta(0, type="text_delta", text="x"))) == [Ended()]


MANGLED = [
    b"data: {\n\n",
    b"data: [DONE]\n\n",
    b"event: message_delta\ndata: []\n\n",
    b'data: {"type":"message_start","message":null}\n\n',
    b'data: {"type":"content_block_delta","index":"0","delta":{"type":"text_delta","text":"x"}}\n\n',
    b'data: {"type":"content_block_delta","index":9,"delta":{"type":"input_json_delta","partial_json":"x"}}\n\n',
    b'data: {"type":"content_block_delta","delta":{"type":"text_delta","text":5}}\n\n',
    b'data: {"type":"new_kind"}\n\n',
    b"data: " + b"[" * 100_000 + b"\n\n",
    b": a comment\n\n",
]


@pytest.mark.parametrize("mangled", MANGLED)
def test_events_that_are_none_are_passed_over(mangled: bytes) -> None:
    assert read(mangled + TOOL_STREAM) == TOOL_EVENTS


pieces = st.sampled_from([*MANGLED, *(part + b"\n\n" for part in TOOL_STREAM.split(b"\n\n"))]) | st.binary(max_size=20)


@given(st.lists(pieces, max_size=12), st.lists(st.integers(0, 2000), max_size=5))
def test_hostile_bytes_never_raise(parts: list[bytes], cuts: list[int]) -> None:
    raw = b"".join(parts)
    assert read(raw, cuts) == read(raw)


def test_an_endless_event_is_given_up() -> None:
    reader = StreamReader()
    reader.feed(b"data: ")
    for _ in range(MAX_EVENT_BYTES // 65_536 + 1):
        reader.feed(b"x" * 65_536)
    assert reader.overfull
    assert reader.feed(b"\n\n" + sse(STOP)) == []


# Written for a client.


def test_the_events() -> None:
    written = shown(
        write(
            [
                Begin("chatcmpl-1"),
                ThinkingDelta("Hmm"),
                TextDelta("Hel"),
                TextDelta("lo"),
                TextDelta("another choice", choice=1),
                ToolBegin("call_1", "f"),
                ToolDelta('{"a":'),
                ToolBegin("call_2", "g", 1),
                ToolDelta("1}"),  # late, for the first one
                ToolDelta("{}", 1),
                Stopped("tool_use"),
                UsageNews(Usage(7, 2, 0, 0, 5, 3)),
                Ended(),
                TextDelta("too late"),
            ]
        )
    )
    usage = {
        "input_tokens": 7,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 2,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": 5,
        "output_tokens_details": {"thinking_tokens": 3},
    }
    first = start({"input_tokens": 0, "output_tokens": 0})
    first["message"] |= {"id": "chatcmpl-1", "model": "fast"}
    assert written == [
        first,
        block(0, type="thinking", thinking="", signature=""),
        delta(0, type="thinking_delta", thinking="Hmm"),
        end(0),
        block(1, type="text", text=""),
        delta(1, type="text_delta", text="Hel"),
        delta(1, type="text_delta", text="lo"),
        end(1),
        block(2, type="tool_use", id="call_1", name="f", input={}),
        delta(2, type="input_json_delta", partial_json='{"a":'),
        end(2),
        block(3, type="tool_use", id="call_2", name="g", input={}),
        delta(2, type="input_json_delta", partial_json="1}"),
        delta(3, type="input_json_delta", partial_json="{}"),
        end(3),
        message_delta(usage, "tool_use"),
        STOP,
    ]


def test_a_signature_ends_its_block() -> None:
    thoughts = [ThinkingDelta("a"), ThinkingDelta(signature="s"), ThinkingDelta("b"), ThinkingDelta(redacted="r")]
    written = [(event["type"], event.get("index")) for event in shown(write([Begin("1"), *thoughts]))[1:]]
    opened, said, closed = "content_block_start", "content_block_delta", "content_block_stop"
    assert written == [
        *((opened, 0), (said, 0), (said, 0), (closed, 0)),
        *((opened, 1), (said, 1), (closed, 1)),
        *((opened, 2), (closed, 2)),
    ]


def test_a_stream_without_a_beginning_gets_one() -> None:
    kinds = [event["type"] for event in shown(write([Ended()]))]
    assert kinds == ["message_start", "message_delta", "message_stop"]
    assert shown(write([TextDelta("Hi"), Begin("late")]))[0]["message"]["id"] == ""


@pytest.mark.parametrize(
    ("kind", "told"), [("overloaded_error", "overloaded_error"), ("server_error", "api_error"), (None, "api_error")]
)
def test_a_broken_stream_ends_with_an_error(kind: str | None, told: str) -> None:
    written = shown(write([Begin("1"), TextDelta("Hi"), Broken("Lost.", kind), Ended()]))
    assert written[-1] == {"type": "error", "error": {"type": told, "message": "Lost."}}
    assert [event["type"] for event in written].count("error") == 1


THINKING = [
    Begin("1"),
    ThinkingDelta("Hmm"),
    ThinkingDelta(signature="s"),
    ThinkingDelta(redacted="r"),
    TextDelta("Yes."),
]


@pytest.mark.parametrize(
    ("reasoning", "told"),
    [
        (None, []),
        (Reasoning("low"), []),
        (Reasoning(shown=False), [ThinkingDelta(signature="s"), ThinkingDelta(redacted="r")]),
        (Reasoning(shown=True), THINKING[1:4]),
    ],
)
def test_thinking_is_told_to_who_asked(reasoning: Reasoning | None, told: list[StreamEvent]) -> None:
    asked = msgspec.structs.replace(ASKED, reasoning=reasoning)
    assert read(write(THINKING, asked))[1:] == [*told, TextDelta("Yes.")]


some = st.text(min_size=1, max_size=6)
counts = st.integers(0, 1_000_000)
usages = st.builds(lambda *five: Usage(*five, reasoning=five[4] // 2), *[counts] * 5)
said = st.one_of(
    st.builds(TextDelta, some).map(lambda event: [event]),
    st.builds(ThinkingDelta, some).map(lambda event: [event]),
    st.builds(ThinkingDelta, signature=some).map(lambda event: [event]),
    st.builds(ThinkingDelta, redacted=some).map(lambda event: [event]),
    st.tuples(st.builds(ToolBegin, some, some), st.lists(some, max_size=3)),
)


@st.composite
def streams(draw: st.DrawFn) -> list[StreamEvent]:
    """A stream as a provider tells it: a beginning, what it says, why it stopped, what it used, the end."""
    events: list[StreamEvent] = [Begin(draw(some), draw(some), draw(usages))]
    tools = 0
    for piece in draw(st.lists(said, max_size=6)):
        if isinstance(piece, list):
            events += piece
            continue
        begin, deltas = piece
        events.append(msgspec.structs.replace(begin, tool=tools))
        events += [ToolDelta(text, tools) for text in deltas]
        tools += 1
    stop = Stopped(draw(st.sampled_from(sorted(STOPS_OUT))), stop_sequence=draw(st.none() | some))
    return [*events, stop, UsageNews(draw(usages)), Ended()]


@given(streams(), st.lists(st.integers(0, 3000), max_size=6))
def test_what_is_written_reads_as_it_was_meant(events: list[StreamEvent], cuts: list[int]) -> None:
    assert read(write(events), cuts) == events


@given(streams())
def test_blocks_stand_one_after_the_other(events: list[StreamEvent]) -> None:
    opened: int | None = None
    count = 0
    for event in shown(write(events, SILENT)):
        match event["type"]:
            case "content_block_start":
                assert (opened, event["index"]) == (None, count)
                opened, count = event["index"], count + 1
            case "content_block_delta":
                assert event["index"] == opened
            case "content_block_stop":
                assert event["index"] == opened
                opened = None
            case "message_delta":
                assert opened is None
