"""Amazon's binary event stream: whole messages out of bytes cut anywhere, and never an exception."""

from binascii import crc32
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeptrusts.core.dialects.aws_event_stream import MAX_MESSAGE_BYTES, EventStreamReader, Message
from tests.core.dialects.event_stream_bytes import event, header, message

# Published examples: no headers and no payload; a payload alone.
EMPTY = bytes.fromhex("000000100000000005c248eb7d98c8ff")
PAYLOAD = bytes.fromhex("0000001d00000000fd528c5a7b27666f6f273a27626172277dc3653936")


def test_reads_published_messages() -> None:
    reader = EventStreamReader()
    assert reader.feed(EMPTY + PAYLOAD) == [Message({}, b""), Message({}, b"{'foo':'bar'}")]
    assert (reader.damaged, reader.overfull) == (None, False)


def test_steps_over_headers_that_are_no_strings() -> None:
    others = b"".join(
        b"\x01h" + value
        for value in (
            b"\x00",
            b"\x01",
            b"\x02x",
            b"\x03xx",
            b"\x04xxxx",
            b"\x05xxxxxxxx",
            b"\x06\x00\x03abc",
            b"\x08xxxxxxxx",
            b"\x09" + b"x" * 16,
        )
    )
    reader = EventStreamReader()
    assert reader.feed(message(others + header(":event-type", "é"), b"p")) == [Message({":event-type": "é"}, b"p")]


@pytest.mark.parametrize(
    ("data", "damage"),
    [
        (EMPTY[:8] + b"\0\0\0\0" + EMPTY[12:], "prelude"),
        (PAYLOAD[:-1] + b"\0", "checksum of a message is"),
        (PAYLOAD[:14] + b"!" + PAYLOAD[15:], "checksum of a message is"),
        (message(b"\x05abc"), "cut short"),
        (message(b"\x01h\x07\x00\x09abc"), "cut short"),
        (message(b"\x01h\x0c"), "unknown type"),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "prelude"),
    ],
)
def test_says_what_is_damaged_and_reads_no_further(data: bytes, damage: str) -> None:
    reader = EventStreamReader()
    assert reader.feed(PAYLOAD + data + PAYLOAD) == [Message({}, b"{'foo':'bar'}")]
    assert reader.damaged is not None
    assert damage in reader.damaged
    assert reader.feed(PAYLOAD) == []


def _prelude(length: int, headers_length: int) -> bytes:
    lengths = pack(">II", length, headers_length)
    return lengths + pack(">I", crc32(lengths))


@pytest.mark.parametrize("length", [0, 15, 16])
def test_a_message_can_not_be_shorter_than_its_frame(length: int) -> None:
    reader = EventStreamReader()
    reader.feed(_prelude(length, 1))
    assert reader.damaged == "a message is shorter than its headers"


def test_gives_up_on_a_message_that_is_too_large_before_it_comes() -> None:
    reader = EventStreamReader()
    assert reader.feed(_prelude(MAX_MESSAGE_BYTES + 1, 0)) == []
    assert reader.overfull
    assert reader.feed(PAYLOAD) == []
    kept = EventStreamReader()
    kept.feed(_prelude(MAX_MESSAGE_BYTES, 0))
    assert not kept.overfull


@given(
    st.lists(st.tuples(st.text("abc:-", min_size=1, max_size=9), st.binary(max_size=40)), max_size=5),
    st.lists(st.integers(1, 30), min_size=1, max_size=20),
)
def test_cuts_make_no_difference(messages: list[tuple[str, bytes]], sizes: list[int]) -> None:
    data = b"".join(event(kind, payload) for kind, payload in messages)
    reader, read, at, turn = EventStreamReader(), [], 0, 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        read += reader.feed(data[at : at + size])
        at, turn = at + size, turn + 1
    assert [(one.headers[":event-type"], one.payload) for one in read] == messages
    assert reader.damaged is None


@given(st.lists(st.binary(max_size=60), max_size=8), st.binary(max_size=200).map(message))
def test_no_bytes_make_it_raise(pieces: list[bytes], framed: bytes) -> None:
    reader = EventStreamReader()
    reader.feed(framed)
    for piece in pieces:
        reader.feed(piece)
