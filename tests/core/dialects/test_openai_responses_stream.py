from itertools import pairwise
from typing import Any

import msgspec
import openai
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from openai.types.responses import ResponseStreamEvent

from keeptrusts.core.calls.conversation import (
    Begin,
    Broken,
    Ended,
    Stopped,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    ToolBegin,
    ToolDelta,
    UsageNews,
)
from keeptrusts.core.calls.usage import Usage
from keeptrusts.core.dialects.openai_responses_events import StreamReader
from keeptrusts.core.dialects.openai_responses_seals import marked
from keeptrusts.core.dialects.sse import MAX_EVENT_BYTES, SseReader
from tests.core.dialects.openai_responses_sdk import checked, streaming, written

USAGE = Usage(10, 60, 30, 0, 50, 20)
ANSWER: list[StreamEvent] = [
    Begin("resp_1", "gpt-5"),
    ThinkingDelta("Look "),
    ThinkingDelta("first."),
    ThinkingDelta(signature="responses:gAAA"),
    TextDelta("On"),
    TextDelta("ce"),
    TextDelta("No.", refusal=True),
    ToolBegin("call_1", "get_weather", 0),
    ToolBegin("call_2", "get_time", 1),
    ToolDelta('{"town":', 0),
    ToolDelta("{}", 1),
    ToolDelta('"Ulm"}', 0),
    Stopped("tool_use"),
    UsageNews(USAGE),
    Ended(),
]
LIFE = ["response.created", "response.in_progress"]


def payloads(stream: bytes) -> list[dict[str, Any]]:
    """The data of a stream's events, each of which must be named as its type says and be numbered."""
    events = SseReader().feed(stream)
    found = [msgspec.json.decode(data) for _, data in events]
    assert [name for name, _ in events] == [payload["type"] for payload in found]
    assert [payload["sequence_number"] for payload in found] == list(range(len(found)))
    return found


def types(events: list[StreamEvent]) -> list[str]:
    return [payload["type"] for payload in payloads(written(events))]


def read(stream: bytes) -> list[StreamEvent]:
    reader = StreamReader()
    return reader.feed(stream) + reader.finish()


def sse(*told: Any) -> bytes:
    return b"".join(b"data: " + msgspec.json.encode(payload) + b"\n\n" for payload in told)


class TestWriting:
    def test_a_message_is_told_step_by_step(self) -> None:
        events: list[StreamEvent] = [Begin("r", "m"), TextDelta("a"), TextDelta("b"), Stopped("stop"), Ended()]
        assert types(events) == [
            *LIFE,
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]

    def test_a_call_is_told_step_by_step(self) -> None:
        events: list[StreamEvent] = [Begin("r"), ToolBegin("c", "f"), ToolDelta("{}"), Stopped("tool_use"), Ended()]
        assert types(events) == [
            *LIFE,
            "response.output_item.added",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.done",
            "response.output_item.done",
            "response.completed",
        ]

    def test_a_refusal_is_told_step_by_step(self) -> None:
        assert types([Begin("r"), TextDelta("No.", refusal=True), Stopped("stop"), Ended()]) == [
            *LIFE,
            "response.output_item.added",
            "response.content_part.added",
            "response.refusal.delta",
            "response.refusal.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]

    def test_thinking_is_told_step_by_step(self) -> None:
        events: list[StreamEvent] = [
            Begin("r"),
            ThinkingDelta("a", signature="s"),
            ThinkingDelta(redacted="x"),
            Stopped("stop"),
            Ended(),
        ]
        assert types(events) == [
            *LIFE,
            "response.output_item.added",
            "response.reasoning_summary_part.added",
            "response.reasoning_summary_text.delta",
            "response.reasoning_summary_text.done",
            "response.reasoning_summary_part.done",
            "response.output_item.done",
            "response.output_item.added",
            "response.output_item.done",
            "response.completed",
        ]
        signed, sealed = payloads(written(events))[-1]["response"]["output"]
        assert (signed["encrypted_content"], sealed["encrypted_content"], sealed["summary"]) == ("s", "x", [])

    def test_thinking_is_done_when_words_begin(self) -> None:
        kinds = types([Begin("r"), ThinkingDelta("a"), TextDelta("b"), ThinkingDelta("c"), Ended()])
        items = [kind for kind in kinds if kind.startswith("response.output_item")]
        assert items == ["response.output_item.added", "response.output_item.done"] * 3

    def test_what_was_cut_is_incomplete(self) -> None:
        last = payloads(written([Begin("r"), TextDelta("a"), Stopped("length"), Ended()]))[-1]
        assert last["type"] == "response.incomplete"
        assert last["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
        assert last["response"]["output"][0]["status"] == last["response"]["status"] == "incomplete"

    def test_usage_that_only_the_beginning_told_is_told_at_the_end(self) -> None:
        last = payloads(written([Begin("r", "m", USAGE), Ended()]))[-1]
        assert last["response"]["usage"]["input_tokens"] == 100

    def test_nothing_follows_the_end_and_other_choices_are_not_told(self) -> None:
        events: list[StreamEvent] = [Begin("r"), TextDelta("a"), Ended()]
        more: list[StreamEvent] = [TextDelta("b"), Ended(), Broken("c")]
        assert written([*events, *more]) == written([Begin("r"), TextDelta("x", choice=1), *events[1:]])

    def test_nothing_said_is_no_item(self) -> None:
        assert types([TextDelta(""), ThinkingDelta(""), ToolDelta("a", 5), Ended()]) == [*LIFE, "response.completed"]


class TestSdk:
    def test_create_yields_events_of_its_types(self) -> None:
        stream = streaming(written(ANSWER)).responses.create(model="gpt-5", input="Hello", stream=True)
        events = [event.model_dump(exclude_unset=True, by_alias=True) for event in stream]
        for event in events:
            checked(ResponseStreamEvent, event)
        assert events == payloads(written(ANSWER))

    def test_stream_builds_the_response(self) -> None:
        with streaming(written(ANSWER)).responses.stream(model="gpt-5", input="Hello") as stream:
            snapshots = [event.snapshot for event in stream if event.type == "response.output_text.delta"]
            final = stream.get_final_response()
        assert snapshots == ["On", "Once"]
        assert (final.id, final.status, final.output_text) == ("resp_1", "completed", "Once")
        assert [item.type for item in final.output] == ["reasoning", "message", "function_call", "function_call"]
        calls = [(item.call_id, item.name, item.arguments) for item in final.output if item.type == "function_call"]
        assert calls == [("call_1", "get_weather", '{"town":"Ulm"}'), ("call_2", "get_time", "{}")]
        assert final.usage is not None
        assert final.usage.model_dump(exclude_unset=True) == {
            "input_tokens": 100,
            "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 30},
            "output_tokens": 50,
            "output_tokens_details": {"reasoning_tokens": 20},
            "total_tokens": 150,
        }

    @pytest.mark.parametrize("before", [[], [Begin("r"), TextDelta("Once")]])
    def test_a_broken_stream_raises(self, before: list[StreamEvent]) -> None:
        bytes_told = written([*before, Broken("Overloaded.", "overloaded_error")])
        stream = streaming(bytes_told).responses.create(model="gpt-5", input="Hello", stream=True)
        with pytest.raises(openai.APIError, match="Overloaded") as raised:
            list(stream)
        assert raised.value.code == "overloaded_error"

    def test_a_broken_stream_is_of_its_types_too(self) -> None:
        *_, error, failed = payloads(written([Begin("r"), TextDelta("Once"), Broken("Overloaded.", "x")]))
        checked(ResponseStreamEvent, error)
        checked(ResponseStreamEvent, failed)
        assert (failed["type"], failed["response"]["error"]) == (
            "response.failed",
            {"code": "server_error", "message": "Overloaded."},
        )


RESPONSE = {"id": "resp_1", "model": "gpt-5", "status": "completed", "output": []}
CREATED = {"type": "response.created", "response": {**RESPONSE, "status": "in_progress"}}
COMPLETED = {
    "type": "response.completed",
    "response": {**RESPONSE, "usage": {"input_tokens": 3, "output_tokens": 2}},
}
MESSAGE = {"type": "message", "id": "m", "role": "assistant", "content": [{"type": "output_text", "text": "Once"}]}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}"}
END: list[StreamEvent] = [Stopped("stop"), UsageNews(Usage(3, 0, 0, 0, 2, 0)), Ended()]


HEAD = {"object": "response", "created_at": 1_741_487_325, "error": None, "incomplete_details": None, "store": True}
THOUGHT = {"id": "rs_1", "type": "reasoning", "summary": []}
SPOKEN = {"id": "msg_1", "type": "message", "status": "in_progress", "role": "assistant", "content": []}
CALLED = {
    "id": "fc_1",
    "type": "function_call",
    "status": "in_progress",
    "call_id": "call_1",
    "name": "f",
    "arguments": "",
}
TEXT = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
AS_OPENAI_SENDS_IT: list[dict[str, Any]] = [
    {"type": "response.created", "response": {**HEAD, **RESPONSE, "status": "in_progress", "usage": None}},
    {"type": "response.in_progress", "response": {**HEAD, **RESPONSE, "status": "in_progress", "usage": None}},
    {"type": "response.output_item.added", "output_index": 0, "item": {**THOUGHT, "encrypted_content": "gA"}},
    {
        "type": "response.reasoning_summary_part.added",
        "item_id": "rs_1",
        "output_index": 0,
        "summary_index": 0,
        "part": {"type": "summary_text", "text": ""},
    },
    {
        "type": "response.reasoning_summary_text.delta",
        "item_id": "rs_1",
        "output_index": 0,
        "summary_index": 0,
        "delta": "Greet.",
        "obfuscation": "Xy1",
    },
    {
        "type": "response.reasoning_summary_text.done",
        "item_id": "rs_1",
        "output_index": 0,
        "summary_index": 0,
        "text": "Greet.",
    },
    {
        "type": "response.reasoning_summary_part.done",
        "item_id": "rs_1",
        "output_index": 0,
        "summary_index": 0,
        "part": {"type": "summary_text", "text": "Greet."},
    },
    {
        "type": "response.output_item.done",
        "output_index": 0,
        "item": {**THOUGHT, "summary": [{"type": "summary_text", "text": "Greet."}], "encrypted_content": "gAAA"},
    },
    {"type": "response.output_item.added", "output_index": 1, "item": SPOKEN},
    {"type": "response.content_part.added", "item_id": "msg_1", "output_index": 1, "content_index": 0, "part": TEXT},
    {
        "type": "response.output_text.delta",
        "item_id": "msg_1",
        "output_index": 1,
        "content_index": 0,
        "delta": "Hi",
        "logprobs": [],
        "obfuscation": "pQ",
    },
    {"type": "response.output_text.done", "item_id": "msg_1", "output_index": 1, "content_index": 0, "text": "Hi"},
    {
        "type": "response.content_part.done",
        "item_id": "msg_1",
        "output_index": 1,
        "content_index": 0,
        "part": {**TEXT, "text": "Hi"},
    },
    {
        "type": "response.output_item.done",
        "output_index": 1,
        "item": {**SPOKEN, "status": "completed", "content": [{**TEXT, "text": "Hi"}]},
    },
    {"type": "response.output_item.added", "output_index": 2, "item": CALLED},
    {"type": "response.function_call_arguments.delta", "item_id": "fc_1", "output_index": 2, "delta": '{"a":'},
    {"type": "response.function_call_arguments.delta", "item_id": "fc_1", "output_index": 2, "delta": "1}"},
    {"type": "response.function_call_arguments.done", "item_id": "fc_1", "output_index": 2, "arguments": '{"a":1}'},
    {
        "type": "response.output_item.done",
        "output_index": 2,
        "item": {**CALLED, "status": "completed", "arguments": '{"a":1}'},
    },
    {
        "type": "response.completed",
        "response": {
            **HEAD,
            **RESPONSE,
            "output": [
                {**THOUGHT, "summary": [{"type": "summary_text", "text": "Greet."}], "encrypted_content": "gAAA"},
                {**SPOKEN, "status": "completed", "content": [{**TEXT, "text": "Hi"}]},
                {**CALLED, "status": "completed", "arguments": '{"a":1}'},
            ],
            "usage": {
                "input_tokens": 36,
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": 87,
                "output_tokens_details": {"reasoning_tokens": 64},
                "total_tokens": 123,
            },
        },
    },
]


class TestReading:
    def test_a_stream_as_openai_sends_it(self) -> None:
        assert read(sse(*AS_OPENAI_SENDS_IT)) == [
            Begin("resp_1", "gpt-5"),
            ThinkingDelta("Greet."),
            ThinkingDelta(signature="responses:gAAA"),
            TextDelta("Hi"),
            ToolBegin("call_1", "f"),
            ToolDelta('{"a":'),
            ToolDelta("1}"),
            Stopped("tool_use"),
            UsageNews(Usage(36, 0, 0, 0, 87, 64)),
            Ended(),
        ]

    def test_what_was_only_told_when_it_was_done(self) -> None:
        done = [
            {"type": "response.output_item.done", "output_index": at, "item": it}
            for at, it in enumerate([MESSAGE, CALL])
        ]
        assert read(sse(CREATED, *done, COMPLETED)) == [
            Begin("resp_1", "gpt-5"),
            TextDelta("Once"),
            ToolBegin("c", "f"),
            ToolDelta("{}"),
            Stopped("tool_use"),
            *END[1:],
        ]

    def test_what_was_only_told_at_the_end(self) -> None:
        last = {"type": "response.completed", "response": {**RESPONSE, "output": [MESSAGE]}}
        assert read(sse(last)) == [Begin("resp_1", "gpt-5"), TextDelta("Once"), Stopped("stop"), Ended()]

    def test_parts_of_a_summary_are_one_text(self) -> None:
        def told(kind: str, index: int, **fields: Any) -> dict[str, Any]:
            return {"type": f"response.reasoning_summary_{kind}", "output_index": 0, "summary_index": index, **fields}

        deltas = [
            told("part.added", 0),
            told("text.delta", 0, delta="a"),
            told("part.added", 1),
            told("text.delta", 1, delta="b"),
        ]
        texts = [event.text for event in read(sse(CREATED, *deltas)) if isinstance(event, ThinkingDelta)]
        assert "".join(texts) == "a\n\nb"

    def test_thinking_that_is_told_in_two_forms_is_read_once(self) -> None:
        raw = {"type": "response.reasoning_text.delta", "output_index": 0, "delta": "raw"}
        summary = {"type": "response.reasoning_summary_text.delta", "output_index": 0, "delta": "short"}
        item = {"type": "reasoning", "id": "r", "summary": [], "encrypted_content": "gAAA"}
        done = {"type": "response.output_item.done", "output_index": 0, "item": item}
        assert read(sse(CREATED, raw, summary, done))[1:] == [
            ThinkingDelta("raw"),
            ThinkingDelta(redacted="responses:gAAA"),
        ]

    @pytest.mark.parametrize(
        ("error", "expected"),
        [
            (
                {"type": "error", "code": "server_error", "message": "a", "param": None},
                Broken("a", "server_error"),
            ),
            (
                {"type": "error", "error": {"type": "server_error", "code": None, "message": "a"}},
                Broken("a", "server_error"),
            ),
            (
                {
                    "type": "response.failed",
                    "response": {**RESPONSE, "error": {"code": "x", "message": "key sk-abcdefgh"}},
                },
                Broken("key [key]", "x"),
            ),
            ({"type": "error"}, Broken("The provider reports an error.")),
        ],
    )
    def test_errors_end_it(self, error: dict[str, Any], expected: Broken) -> None:
        assert read(sse(CREATED, error, COMPLETED)) == [Begin("resp_1", "gpt-5"), expected]

    def test_a_failed_response_tells_what_it_used(self) -> None:
        failed = {**COMPLETED, "type": "response.failed"}
        assert read(sse(failed))[0] == END[1]

    def test_what_makes_no_sense_is_skipped(self) -> None:
        odd = [
            {"type": "response.output_text.delta", "output_index": 0, "delta": {}},
            {"type": "response.output_text.delta", "output_index": "a", "delta": "x"},
            {"type": "response.output_text.delta", "output_index": -1, "delta": "x"},
            {"type": "response.output_item.added", "output_index": 0, "item": {"type": "function_call", "name": 5}},
            {"type": "response.completed", "response": 5},
            {"type": "response.completed", "response": {**RESPONSE, "output": [{"type": "message", "content": 5}]}},
            {"type": "response.audio.delta", "delta": "x"},
            {"type": 5},
            [],
        ]
        assert read(sse(*odd, CREATED, COMPLETED) + b"data: [DONE]\n\n") == [Begin("resp_1", "gpt-5"), *END]

    def test_a_last_event_may_lack_its_blank_line(self) -> None:
        assert read(sse(CREATED, COMPLETED)[:-2])[-1] == Ended()

    def test_an_event_without_end_is_too_much(self) -> None:
        reader = StreamReader()
        assert reader.feed(b"data: " + b"a" * MAX_EVENT_BYTES) == []
        assert reader.overfull


words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
names = st.text("abcdefghij_", min_size=1, max_size=8)
seals = names.map(marked)
said = (
    st.builds(TextDelta, words, refusal=st.booleans())
    | st.builds(ThinkingDelta, words)
    | st.builds(ThinkingDelta, signature=seals)
    | st.builds(ThinkingDelta, redacted=seals)
)


@st.composite
def streams(draw: st.DrawFn) -> list[StreamEvent]:
    events: list[StreamEvent] = [Begin(draw(names), draw(names)), *draw(st.lists(said, max_size=6))]
    tools = draw(st.integers(0, 3))
    for tool in range(tools):
        events.append(ToolBegin(f"call_{tool}", draw(names), tool))
        events += draw(st.lists(st.builds(ToolDelta, words, st.integers(0, tool)), max_size=3))
        events += draw(st.lists(said, max_size=2))
    if draw(st.booleans()):
        return [*events, Broken(draw(names), draw(names))]
    stop = draw(st.sampled_from(["tool_use" if tools else "stop", "length", "content_filter"]))
    usage = draw(st.lists(st.just(UsageNews(USAGE)), max_size=1))
    return [*events, Stopped(stop), *usage, Ended()]


@settings(deadline=None)
@given(streams())
def test_what_is_written_reads_the_same_and_is_of_the_sdk_s_types(events: list[StreamEvent]) -> None:
    stream = written(events)
    assert read(stream) == events
    for payload in payloads(stream):
        checked(ResponseStreamEvent, payload)


@settings(deadline=None)
@example(ANSWER)
@given(streams())
def test_what_begins_grows_and_is_done_before_the_end(events: list[StreamEvent]) -> None:
    """Each item and part is added once and done once, with all that its deltas told; only a broken stream leaves any open."""
    opened: dict[Any, str] = {}
    for told in payloads(written(events)):
        subject, _, step = told["type"].removeprefix("response.").rpartition(".")
        place = (subject, told.get("output_index"), told.get("content_index"), told.get("summary_index"))
        if step == "added":
            assert place not in opened
            opened[place] = ""
        elif step == "delta":
            opened[place] = opened.get(place, "") + told["delta"]
        elif step == "done":
            grown = opened.pop(place, "")
            assert grown == next((told[name] for name in ("text", "refusal", "arguments") if name in told), "")
        if step == "added" and subject == "content_part":
            assert [spot for spot in opened if spot[:2] == place[:2]] == [place]
    assert not opened or isinstance(events[-1], Broken)


@settings(deadline=None)
@given(streams())
def test_the_sdk_builds_what_was_told(events: list[StreamEvent]) -> None:
    if not isinstance(events[-1], Ended) or Stopped("length") in events or Stopped("content_filter") in events:
        return
    with streaming(written(events)).responses.stream(model="gpt-5", input="Hello") as stream:
        final = stream.get_final_response()
    told = [event.text for event in events if isinstance(event, TextDelta) and not event.refusal]
    assert final.output_text == "".join(told)


@settings(deadline=None)
@given(streams(), st.lists(st.integers(0, 10_000), max_size=5), st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_it_makes_no_difference_how_a_stream_is_cut(
    events: list[StreamEvent], cuts: list[int], line_end: bytes
) -> None:
    stream = written(events).replace(b"\n", line_end)
    places = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    reader = StreamReader()
    told = [event for start, end in pairwise(places) for event in reader.feed(stream[start:end])]
    assert told + reader.finish() == events


@settings(deadline=None)
@given(streams())
def test_a_stream_can_come_byte_by_byte(events: list[StreamEvent]) -> None:
    reader = StreamReader()
    assert [event for byte in written(events) for event in reader.feed(bytes([byte]))] == events


odd = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | words,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "type", "output", "item", "error", "content", "summary", "text", "name", "usage"]),
            inner,
        )
    ),
    max_leaves=10,
)
kinds = st.sampled_from(
    [
        *("created", "completed", "failed", "incomplete", "output_item.added", "output_item.done", "output_text.delta"),
        *("reasoning_summary_text.delta", "reasoning_summary_part.added", "function_call_arguments.delta"),
    ]
).map(lambda kind: f"response.{kind}")
odd_events = st.fixed_dictionaries(
    {"type": kinds | st.just("error")},
    optional=dict.fromkeys(
        ["response", "item", "delta", "output_index", "summary_index", "error", "code", "message"], odd
    ),
)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=50) | odd_events.map(sse), max_size=5))
def test_whatever_comes_it_never_raises(pieces: list[bytes]) -> None:
    reader = StreamReader()
    events = [event for piece in pieces for event in reader.feed(piece)] + reader.finish()
    assert sum(isinstance(event, Ended | Broken) for event in events) <= 1
