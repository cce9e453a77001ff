"""Calls for pictures and sound, from the client to the row: held, passed on as they are, settled at what they used."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from keeptrusts.core.calls.form import Part, read_form, write_form
from keeptrusts.core.calls.other_usage import Other
from keeptrusts.core.ledger.records import Reserve
from keeptrusts.core.pricing.pieces import ImagePrice, Pieces
from keeptrusts.core.pricing.price import Price, Rates
from tests.gateway.fake_control import MINI
from tests.gateway.hand_loop import HandLoop
from tests.gateway.house import SECRET, House, answer, chunk, with_rules

TTS = Price("prc_tts", "openai", "tts-1", Rates(0, 0), pieces=Pieces(characters_1k=15_000_000))
WHISPER = Price("prc_whisper", "openai", "whisper-1", Rates(0, 0), pieces=Pieces(audio_minute=6_000_000))
DALL_E = Price("prc_dalle", "openai", "dall-e-3", Rates(0, 0), pieces=Pieces((ImagePrice(40_000_000),)))
SOUND = Part("file", b"ID3" + bytes(60_000), b"a.mp3", b"audio/mpeg")


@pytest.fixture
def loop() -> Iterator[HandLoop]:
    loop = HandLoop()
    yield loop
    loop.close()
    assert loop.broken == []


@pytest.fixture
def house(loop: HandLoop, tmp_path: Path) -> Iterator[House]:
    house = House(loop, tmp_path, prices=(TTS, WHISPER, DALL_E, MINI))
    yield house
    house.settled()
    house.stop()


def speech(text: str = "Hello", **fields: object) -> bytes:
    return json.dumps({"model": "tts-1", "voice": "alloy", "input": text, **fields}).encode()


def form(*parts: Part, **fields: str) -> bytes:
    return write_form((*(Part(name, value.encode()) for name, value in fields.items()), *parts))[1]


def test_speech_passes_as_it_comes_and_its_end_waits_for_its_row(house: House) -> None:
    told = house.send("/v1/audio/speech", speech())
    [reserve] = [record for record in house.journaled() if isinstance(record, Reserve)]
    assert reserve.hold_nanos == 75_000
    assert house.wire.written.startswith(b"POST /v1/audio/speech HTTP/1.1")
    house.wire.says(b"HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ntransfer-encoding: chunked\r\n\r\n")
    house.wire.says(chunk(b"ID3\x00"))
    house.wire.says(chunk(b"\xff\xfb"))
    assert (told.body, told.ended) == (b"ID3\x00\xff\xfb", False)
    house.wire.says(b"0\r\n\r\n")
    assert told.status == 200
    assert told.recorded_at_end
    assert told.headers["content-type"] == "audio/mpeg"
    [row] = house.rows()
    assert (row.cost_nanos, row.usage_source, row.usage.other) == (75_000, "counted", Other(characters=5))


def test_speech_that_breaks_off_is_paid_at_its_hold_and_does_not_look_whole(house: House) -> None:
    told = house.send("/v1/audio/speech", speech())
    house.wire.says(b"HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ncontent-length: 9\r\n\r\nID3")
    house.wire.resets()
    assert not told.ended
    [row] = house.rows()
    assert (row.status, row.cost_nanos, row.usage_source) == ("interrupted", 75_000, "worst_case")


def test_speech_is_bounded_as_other_answers_are(loop: HandLoop, tmp_path: Path) -> None:
    house = House(loop, tmp_path, with_rules(max_response_bytes=10), prices=(TTS,))
    told = house.send("/v1/audio/speech", speech())
    loop.turn()
    house.wire.says(answer(200, b"sound" * 3, content_type="audio/mpeg"))
    loop.turn()
    assert b"sound" not in told.body
    [row] = house.rows()
    assert row.status == "interrupted"
    house.settled()
    house.stop()


def test_a_refusal_of_the_providers_costs_nothing(house: House) -> None:
    told = house.send("/v1/audio/speech", speech())
    house.wire.says(answer(400, b'{"error":{"message":"no such voice"}}', content_type="application/json"))
    assert told.status == 400
    assert told.error["message"] == "no such voice"
    [row] = house.rows()
    assert (row.status, row.cost_nanos) == ("upstream_error", 0)


def test_a_form_goes_on_whole_under_a_boundary_of_ours(house: House) -> None:
    told = house.send("/v1/audio/transcriptions", form(SOUND, model="whisper-1", language="de"))
    head, _, sent = house.wire.written.partition(b"\r\n\r\n")
    assert b"content-type: multipart/form-data; boundary=keeptrusts-" in head
    assert b"content-length: %d" % len(sent) in head
    assert SECRET.encode() in head
    assert read_form(sent) == (Part("model", b"whisper-1"), Part("language", b"de"), SOUND)
    house.wire.says(answer(200, b'{"text":"Hallo","usage":{"type":"duration","seconds":90}}'))
    assert json.loads(told.body)["text"] == "Hallo"
    [row] = house.rows()
    assert (row.cost_nanos, row.usage.other) == (9_000_000, Other(audio_ms=90_000))
    assert row.attempts[0].hold_nanos >= 9_000_000


def test_a_text_that_is_no_json_passes_with_its_type(house: House) -> None:
    told = house.send("/v1/audio/transcriptions", form(SOUND, model="whisper-1", response_format="srt"))
    house.wire.says(answer(200, b"1\n00:00:00,000 --> 00:00:01,000\nHallo\n", content_type="text/plain"))
    assert told.headers["content-type"] == "text/plain"
    [row] = house.rows()
    assert (row.cost_nanos, row.usage_source) == (row.attempts[0].hold_nanos, "worst_case")


def test_pictures_without_usage_cost_what_so_many_cost(house: House) -> None:
    told = house.send("/v1/images/generations", json.dumps({"model": "dall-e-3", "prompt": "A cat", "n": 3}).encode())
    house.wire.says(answer(200, b'{"created":1,"data":[{"url":"http://x/1"},{"url":"http://x/2"}]}'))
    assert told.headers["x-keeptrusts-cost-usd"] == "0.080000000"
    [row] = house.rows()
    assert (row.attempts[0].hold_nanos, row.cost_nanos) == (120_000_000, 80_000_000)


def test_a_model_that_has_no_price_for_this_is_refused(house: House) -> None:
    told = house.send("/v1/audio/speech", speech(model="whisper-1"))
    assert (told.status, told.error["code"]) == (402, "unpriced_model")
    assert house.board.wires == []


def test_what_was_used_without_a_price_is_flagged_and_costs_its_hold(house: House) -> None:
    house.send("/v1/audio/transcriptions", form(SOUND, model="whisper-1"))
    usage = {"type": "tokens", "input_tokens": 9, "output_tokens": 5, "input_token_details": {"audio_tokens": 9}}
    house.wire.says(answer(200, json.dumps({"text": "Hallo", "usage": usage}).encode()))
    [row] = house.rows()
    assert (row.unpriced, row.cost_nanos, row.usage_source) == (True, row.attempts[0].hold_nanos, "worst_case")
    assert row.attempts[0].reason == "no price for tokens of sound"


def test_a_file_may_be_larger_than_another_body_and_is_bounded_too(loop: HandLoop, tmp_path: Path) -> None:
    house = House(loop, tmp_path, with_rules(max_body_bytes=1_024, max_file_bytes=80_000), prices=(WHISPER,))
    house.send("/v1/audio/transcriptions", form(SOUND, model="whisper-1"))
    house.wire.says(answer(200, b'{"text":"Hallo","usage":{"type":"duration","seconds":1}}'))
    two = Part("file", bytes(90_000), b"a.mp3")
    assert house.send("/v1/audio/transcriptions", form(two, model="whisper-1")).status == 413
    assert house.send("/v1/audio/speech", speech("x" * 2_000)).status == 413
    house.settled()
    house.stop()
