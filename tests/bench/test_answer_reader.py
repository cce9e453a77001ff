"""The load generator takes nothing but the provider's own answer for an answer."""

import pytest

from bench.answer_reader import AnswerReader, Unframed
from bench.answers import DONE, WHOLE_ANSWER_BYTES, stream_events, usage_event, whole_answer

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def whole(status: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


def chunks(body: bytes, size: int) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def read(data: bytes, piece: int = 1 << 20) -> AnswerReader:
    reader = AnswerReader()
    complete = [reader.feed(data[at : at + piece]) for at in range(0, len(data), piece)]
    assert complete[-1], "the answer never ended"
    assert not any(complete[:-1]), "the answer ended early"
    return reader


def test_the_whole_answer_has_the_size_that_the_benchmark_states():
    assert len(whole_answer()) == WHOLE_ANSWER_BYTES


@pytest.mark.parametrize("piece", [1, 7, 100, 1 << 20])
def test_a_whole_answer_is_recognised_however_it_arrives(piece):
    assert read(whole(b"200 OK", whole_answer()), piece).is_whole_answer()


@pytest.mark.parametrize(
    "answer",
    [
        whole(b"200 OK", b'{"error": {"message": "sorry"}}'),
        whole(b"402 Payment Required", whole_answer()),
        whole(b"500 Internal Server Error", b""),
        CHUNKED + b"0\r\n\r\n",
    ],
)
def test_an_error_is_never_a_fast_answer(answer):
    reader = read(answer)
    assert not reader.is_whole_answer()
    assert not reader.is_stream()


@pytest.mark.parametrize("size", [5, 97, 4096, 1 << 20])
def test_a_stream_is_recognised_wherever_a_gateway_cuts_its_chunks(size):
    body = b"".join(stream_events()) + usage_event() + DONE
    assert read(CHUNKED + chunks(body, size), piece=333).is_stream()


def test_a_stream_without_one_of_its_events_is_wrong():
    body = b"".join(stream_events()[1:]) + DONE
    assert not read(CHUNKED + chunks(body, 4096)).is_stream()


def test_a_stream_that_stops_before_its_end_mark_is_wrong():
    assert not read(CHUNKED + chunks(b"".join(stream_events()), 4096)).is_stream()


def test_an_answer_of_unknown_length_is_refused():
    with pytest.raises(Unframed):
        AnswerReader().feed(b"HTTP/1.1 200 OK\r\n\r\n")
