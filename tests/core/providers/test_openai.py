"""The OpenAI dialect: what answers cost, and streams that are relayed as they come but for what ends them."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeptrusts.core.calls.usage import MOST_TOKENS, Usage
from keeptrusts.core.providers.openai import (
    MAX_EVENT_BYTES,
    StreamReader,
    read_reply,
    spoken_texts,
)

USAGE = {"prompt_tokens": 14, "completion_tokens": 25, "total_tokens": 39}


def event(end: bytes = b"\n\n", **fields: Any) -> bytes:
    return b"data: " + json.dumps(fields).encode() + end


def said(text: str, end: bytes = b"\n\n", **more: Any) -> bytes:
    return event(end, choices=[{"index": 0, "delta": {"content": text}}], **more)


DONE = b"data: [DONE]\n\n"
CHUNKS = [said("Hel"), said("lo", usage=None), event(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])]
BILL = event(choices=[], usage=USAGE, model="gpt-4o-mini-2024-07-18")


def read(stream: bytes, cuts: list[int], show_usage: bool = False) -> tuple[bytes, StreamReader]:
    """What is relayed of a stream that arrives in these pieces, and the reader after it."""
    reader = StreamReader(show_usage)
    relayed = b""
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        relayed += reader.feed(stream[start:end])
    return relayed + reader.finish(), reader


# Streams


@pytest.mark.parametrize("show_usage", [False, True])
@pytest.mark.parametrize("crlf", [False, True])
def test_a_stream_cut_at_any_byte_is_relayed_whole_but_for_its_end(show_usage: bool, crlf: bool) -> None:
    stream = b"".join([*CHUNKS, BILL, DONE])
    expected = b"".join([*CHUNKS, BILL] if show_usage else CHUNKS)
    if crlf:
        stream, expected = stream.replace(b"\n", b"\r\n"), expected.replace(b"\n", b"\r\n")
    for cut in range(len(stream) + 1):
        relayed, reader = read(stream, [cut], show_usage)
        assert relayed == expected
        assert reader.done
        assert reader.usage == Usage(input=14, output=25)
        assert reader.served_model == "gpt-4o-mini-2024-07-18"
        assert reader.rest() == b""


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(
            (
                said("text"),
                said('a "usage": { in it'),
                said("[DONE]"),
                said("über"),
                b": keep-alive\n\n",
                b"event: ping\ndata: {}\n\n",
                said("crlf", b"\r\n\r\n"),
            )
        ),
        max_size=8,
    ),
    st.data(),
)
def test_what_is_not_the_end_is_relayed_byte_for_byte(events: list[bytes], data: st.DataObject) -> None:
    body = b"".join(events)
    stream = body + BILL + DONE
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    relayed, reader = read(stream, cuts)
    assert relayed == body
    assert reader.done
    assert reader.usage == Usage(input=14, output=25)


def test_done_is_kept_back_until_it_has_come_whole() -> None:
    """Who sees it may take the answer for settled."""
    reader = StreamReader(show_usage=True)
    relayed = b"".join(reader.feed(bytes([byte])) for byte in b"".join([*CHUNKS, BILL, DONE]))
    assert b"[DONE]" not in relayed
    assert reader.done


def test_usage_on_a_chunk_with_choices_is_read_and_relayed() -> None:
    chunk = event(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}], usage=USAGE)
    relayed, reader = read(chunk + DONE, [])
    assert relayed == chunk
    assert reader.usage == Usage(input=14, output=25)


def test_running_totals_end_with_the_last() -> None:
    stream = b"".join(said("a", usage={"prompt_tokens": 3, "completion_tokens": n}) for n in range(5)) + DONE
    _, reader = read(stream, [])
    assert reader.usage == Usage(input=3, output=4)


@pytest.mark.parametrize(
    "bill",
    [
        b"id: 7\nevent: message\n" + BILL,
        b": comment\n" + BILL,
        BILL.replace(b"data: ", b"data:"),
        b"data: {\ndata: " + BILL[7:],
        BILL.replace(b'"usage": {', b'"usage"  :  {'),
    ],
)
def test_an_event_is_read_by_its_lines(bill: bytes) -> None:
    _, reader = read(b"".join([*CHUNKS, bill, DONE]), [])
    assert reader.usage == Usage(input=14, output=25)


@pytest.mark.parametrize("done", [b"data:[DONE]\n\n", b"event: end\ndata: [DONE]\n\n", b": bye\ndata: [DONE]\n\n"])
def test_done_is_known_in_any_dress(done: bytes) -> None:
    relayed, reader = read(b"".join([*CHUNKS, BILL, done]), [])
    assert reader.done
    assert relayed == b"".join(CHUNKS)


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n"])
def test_an_end_without_its_blank_line_is_an_end(ending: bytes) -> None:
    _, reader = read(b"".join([*CHUNKS, BILL, b"data: [DONE]", ending]), [])
    assert reader.done
    assert reader.usage is not None
    _, reader = read(b"".join([*CHUNKS, BILL[:-2], ending]), [])
    assert not reader.done
    assert reader.usage is not None


def test_an_event_that_broke_off_is_not_relayed_as_one() -> None:
    relayed, reader = read(b"".join(CHUNKS) + BILL[:30], [])
    assert relayed == b"".join(CHUNKS)
    assert reader.rest() == BILL[:30]
    assert not reader.done
    assert reader.usage is None


def test_an_event_without_end_is_noticed_before_it_fills_the_memory() -> None:
    reader = StreamReader(show_usage=False)
    fed = 0
    while not reader.overfull:
        reader.feed(b"x" * 500_000)
        fed += 500_000
    assert fed <= MAX_EVENT_BYTES + 500_000


def test_a_bill_that_cannot_be_read_is_relayed_and_settles_nothing() -> None:
    odd = event(choices=[], usage={"prompt_tokens": "many", "completion_tokens": 1})
    relayed, reader = read(odd + DONE, [])
    assert relayed == odd
    assert reader.usage is None


def test_the_output_of_a_stream_can_be_counted_when_its_provider_does_not_say() -> None:
    tool = event(choices=[{"index": 0, "delta": {"tool_calls": [{"function": {"name": "find", "arguments": "{}"}}]}}])
    _, reader = read(said("one ") + said("two") + tool + DONE, [])
    assert reader.count_output(len) == len("one two" + "find" + "{}")


# Whole answers


def test_cached_input_is_not_counted_twice() -> None:
    reply = {"model": "m", "usage": {**USAGE, "prompt_tokens_details": {"cached_tokens": 10}}}
    bill = read_reply(json.dumps(reply).encode())
    assert bill.usage == Usage(input=4, cache_read=10, output=25)
    assert bill.usage.prompt_tokens == 14
    assert bill.served_model == "m"


def test_reasoning_is_a_part_of_the_output() -> None:
    reply = {"usage": {**USAGE, "completion_tokens_details": {"reasoning_tokens": 20}}}
    bill = read_reply(json.dumps(reply).encode())
    assert bill.usage == Usage(input=14, output=25, reasoning=20)
    reply["usage"]["completion_tokens_details"] = {"reasoning_tokens": 99}
    assert read_reply(json.dumps(reply).encode()).usage is None
    reply["usage"]["total_tokens"] = 14 + 25 + 99
    assert read_reply(json.dumps(reply).encode()).usage == Usage(input=14, output=124, reasoning=99), (
        "xAI counts it apart"
    )


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        {"prompt_tokens": 3},
        {"completion_tokens": 3},
        {"prompt_tokens": -1, "completion_tokens": 0},
        {"prompt_tokens": 1, "completion_tokens": -1},
        {"prompt_tokens": 1.5, "completion_tokens": 1},
        {"prompt_tokens": True, "completion_tokens": 1},
        {"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 6}},
        {"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": -1}},
        {"prompt_tokens": 5, "completion_tokens": 1, "completion_tokens_details": {"reasoning_tokens": -1}},
        {"prompt_tokens": MOST_TOKENS + 1, "completion_tokens": 1},
        {"prompt_tokens": 1, "completion_tokens": 10**30},
    ],
)
def test_figures_that_cannot_be_are_no_figures(usage: Any) -> None:
    """Missing is missing, and never 0; what no call can use would not fit the ledger."""
    assert read_reply(json.dumps({"usage": usage}).encode()).usage is None


@given(st.binary(max_size=100) | st.text().map(str.encode))
def test_no_answer_is_too_strange(body: bytes) -> None:
    read_reply(body)
    spoken_texts(body)
    reader = StreamReader(show_usage=False)
    for end in (b"\n\n", b"\r\n\r\n", b""):
        reader.feed(b"data: " + body + b'"usage": {[DONE]' + end)
    reader.finish()
    reader.count_output(len)


def test_all_that_was_said_is_found() -> None:
    reply = {
        "choices": [
            {
                "message": {
                    "content": "a",
                    "reasoning_content": "b",
                    "refusal": "c",
                    "tool_calls": [{"function": {"name": "d", "arguments": "e"}}, {"custom": {}}],
                }
            },
            {"message": None},
        ]
    }
    assert sorted(spoken_texts(json.dumps(reply).encode())) == ["a", "b", "c", "d", "e"]
