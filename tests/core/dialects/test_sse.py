"""Server-sent events: the WHATWG rules, whatever the cuts."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeptrusts.core.dialects.sse import MAX_EVENT_BYTES, Event, SseReader, sse_event


def read(*pieces: bytes) -> list[Event]:
    reader = SseReader()
    events = [event for piece in pieces for event in reader.feed(piece)]
    return events + reader.finish()


CASES: list[tuple[str, bytes, list[Event]]] = [
    ("one event", b"data: hello\n\n", [("", b"hello")]),
    ("a name", b"event: ping\ndata: {}\n\n", [("ping", b"{}")]),
    ("a name does not outlive its event", b"event: a\ndata: 1\n\ndata: 2\n\n", [("a", b"1"), ("", b"2")]),
    ("the last name counts", b"event: a\nevent: b\ndata: 1\n\n", [("b", b"1")]),
    ("a name without data is no event", b"event: a\n\ndata: 1\n\n", [("", b"1")]),
    ("data in lines", b"data: YHOO\ndata: +2\ndata: 10\n\n", [("", b"YHOO\n+2\n10")]),
    ("carriage returns", b"event: a\rdata: 1\r\rdata: 2\r\r", [("a", b"1"), ("", b"2")]),
    ("both", b"event: a\r\ndata: 1\r\n\r\ndata: 2\r\n\r\n", [("a", b"1"), ("", b"2")]),
    ("mixed", b"data: 1\r\n\ndata: 2\n\rdata: 3\r\r\n", [("", b"1"), ("", b"2"), ("", b"3")]),
    ("comments", b": ping\n\n:\ndata: 1\n: still here\ndata: 2\n\n", [("", b"1\n2")]),
    ("only one space is dropped", b"data:  x \n\ndata:y\n\n", [("", b" x "), ("", b"y")]),
    ("empty data", b"data\n\ndata\ndata\n\ndata:\n\n", [("", b""), ("", b"\n"), ("", b"")]),
    ("other fields", b"id: 7\nretry: 3000\nnonsense\ndata: 1\nDATA: 2\n data: 3\n\n", [("", b"1")]),
    ("a colon in the data", b'data: {"a": 1}\n\n', [("", b'{"a": 1}')]),
    ("a mark at the start", b"\xef\xbb\xbfdata: 1\n\n", [("", b"1")]),
    ("a mark later is not one", b"data: 1\n\n\xef\xbb\xbfdata: 2\n\n", [("", b"1")]),
    (
        "other separators are data",
        "data: a\u2028b\x0b\x0c\x1c\x85c\n\n".encode(),
        [("", "a\u2028b\x0b\x0c\x1c\x85c".encode())],
    ),
    ("no blank line at the end", b"data: 1\n\ndata: [DONE]\n", [("", b"1"), ("", b"[DONE]")]),
    ("no line end at the end", b"data: [DONE]", [("", b"[DONE]")]),
    ("half a line end at the end", b"data: [DONE]\r", [("", b"[DONE]")]),
    ("a name that is not UTF-8", b"event: \xff\ndata: 1\n\n", [("\ufffd", b"1")]),
    ("nothing", b"", []),
]


@pytest.mark.parametrize(("stream", "events"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_stream_says_the_same_however_it_is_cut(stream: bytes, events: list[Event]) -> None:
    assert read(stream) == events
    assert read(*(stream[at : at + 1] for at in range(len(stream)))) == events
    for cut in range(len(stream)):
        assert read(stream[:cut], b"", stream[cut:]) == events


def test_an_event_is_told_with_the_last_byte_of_its_blank_line() -> None:
    reader = SseReader()
    assert reader.feed(b"data: 1\r\n") == []
    assert reader.feed(b"\r") == [("", b"1")]
    assert reader.feed(b"\n") == []
    assert reader.feed(b"data: 2\n\n") == [("", b"2")]


alphabet = st.sampled_from(
    [b"data", b"event", b":", b" ", b"\n", b"\r", b"\r\n", b"\xef\xbb\xbf", b"\xff", b"x", b"\x00"]
)
streams = st.lists(alphabet | st.binary(max_size=3), max_size=60).map(b"".join)


@given(streams, st.lists(st.integers(0, 200), max_size=8))
def test_no_bytes_raise_and_no_cut_matters(stream: bytes, cuts: list[int]) -> None:
    at = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    assert read(*(stream[a:b] for a, b in pairwise(at))) == read(stream)


@given(st.lists(st.tuples(st.from_regex(r"[a-z_.]{0,12}", fullmatch=True), st.binary(max_size=40)), max_size=6))
def test_what_is_written_is_read(events: list[Event]) -> None:
    events = [(name, data.replace(b"\r", b"").replace(b"\n", b"")) for name, data in events]
    assert read(b"".join(sse_event(data, name) for name, data in events)) == events


def test_the_largest_event_is_read() -> None:
    data = b"x" * (MAX_EVENT_BYTES - len(b"data: "))
    assert read(b"data: " + data + b"\n\n") == [("", data)]


@pytest.mark.parametrize(
    "stream",
    [
        b"x" * (MAX_EVENT_BYTES + 1),
        b"data: " + b"x" * MAX_EVENT_BYTES + b"\n\n",
        b"data: " + b"x" * (MAX_EVENT_BYTES - 20) + b"\n" + b"data\n" * 20 + b"\n",
        b"event: " + b"x" * (MAX_EVENT_BYTES - 7) + b"\ndata: xx\n\n",
        b"data: " + b"x" * (MAX_EVENT_BYTES // 2) + b"\ndata: " + b"x" * (MAX_EVENT_BYTES // 2) + b"\n\n",
    ],
    ids=["a line", "an event's line", "empty lines", "a name", "lines together"],
)
def test_a_larger_event_ends_the_reading(stream: bytes) -> None:
    for size in (len(stream), 65_536):
        reader = SseReader()
        told = reader.feed(b"data: before\n\n")
        assert not reader.overfull
        for at in range(0, len(stream), size):
            told += reader.feed(stream[at : at + size])
        assert reader.overfull
        assert [*told, *reader.feed(b"\n\ndata: after\n\n"), *reader.finish()] == [("", b"before")]


def test_comments_without_end_do_not_fill_it() -> None:
    reader = SseReader()
    for _ in range(80):
        assert reader.feed(b": keep-alive\n" * 8_192) == []
    assert not reader.overfull
