"""Calls for pictures and sound: what is read of them, and that nothing else than what was read goes on."""

import json
from typing import Any

import pytest
from msgspec import Raw

from keeptrusts.core.calls.form import Part, read_form, write_form
from keeptrusts.core.calls.media import (
    parse_edit,
    parse_generation,
    parse_moderation,
    parse_speech,
    parse_transcription,
    parse_variation,
    wave_ms,
)
from keeptrusts.core.refusal import Refused

PICTURE = Part("image", b"\x89PNG", b"a.png", b"image/png")
SOUND = Part("file", b"ID3" + b"\0" * 997, b"a.mp3", b"audio/mpeg")


def form(*parts: Part, **fields: str) -> bytes:
    return write_form((*(Part(name, value.encode()) for name, value in fields.items()), *parts))[1]


def body(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def test_a_picture_is_asked_for_by_number_quality_and_size() -> None:
    asked = parse_generation(body(model="dall-e-3", prompt="A cat", n=2, quality="hd"))
    assert (asked.n, asked.pieces.images, asked.pieces.image_kind) == (2, 2, "hd/1024x1024")
    asked = parse_generation(body(model="gpt-image-1", prompt="A cat", size="auto", partial_images=2, stream=True))
    assert (asked.pieces.image_kind, asked.beyond_output, asked.stream) == ("/", 200, True)


def test_a_forms_fields_are_read_as_json_ones_are() -> None:
    asked = parse_edit(form(PICTURE, model="gpt-image-1", prompt="With a hat", n="3", stream="true"))
    assert (asked.model, asked.n, asked.stream) == ("gpt-image-1", 3, True)
    assert list(asked.texts()) == ["With a hat"]
    assert asked.judged(b"the files") == b'["With a hat"]'
    assert asked.most_input < 10_100


def test_a_form_goes_on_with_the_name_that_the_provider_knows() -> None:
    asked = parse_variation(form(PICTURE, model="mine"))
    sent = read_form(asked.written("theirs"))
    assert sent == (Part("model", b"theirs"), PICTURE)
    assert asked.content_type.startswith("multipart/form-data; boundary=keeptrusts-")


@pytest.mark.parametrize(
    "spelled", [{"metadata": '{"feature": "f", "b": "c"}'}, {"metadata[feature]": "f", "metadata[b]": "c"}]
)
def test_a_forms_metadata_is_read_as_an_object_and_goes_on_as_it_is_then(spelled: dict[str, str]) -> None:
    asked = parse_edit(form(PICTURE, model="m", prompt="x", **spelled))
    assert asked.value("metadata") == {"feature": "f", "b": "c"}
    asked.fields["metadata"] = Raw(b'{"b":"c"}')
    assert [part.content for part in read_form(asked.written("m")) if "metadata" in part.name] == [b'{"b":"c"}']
    del asked.fields["metadata"]
    assert not any("metadata" in part.name for part in read_form(asked.written("m")))


def test_speech_is_counted_by_its_characters_and_passed_on_as_bytes() -> None:
    asked = parse_speech(body(model="tts-1", input="Grüße", voice="alloy"))
    assert (asked.pieces.characters, asked.binary, asked.stream) == (5, True, True)
    assert not parse_speech(body(model="gpt-4o-mini-tts", input="Hi", voice="x", stream_format="sse")).binary


def test_a_form_whose_words_are_changed_is_as_large_as_it_then_is() -> None:
    """Its hold is made of its size: what JSON would have spelled longer is not taken off it."""
    sound = Part("file", b"ID3", b"a.mp3")
    request = parse_transcription(form(sound, model="whisper-1", prompt="\n" * 900 + "a" * 100))
    before = request.size_bytes
    list(request.reword({"\n" * 900 + "a" * 100: "a" * 100}))
    assert request.size_bytes == before - 900


def wave(seconds: int, rate: int = 8_000) -> bytes:
    head = b"RIFF" + b"\0" * 4 + b"WAVEfmt " + (16).to_bytes(4, "little") + (1).to_bytes(2, "little")
    head += (1).to_bytes(2, "little") + rate.to_bytes(4, "little") + (rate * 2).to_bytes(4, "little")
    return head + (2).to_bytes(2, "little") + (16).to_bytes(2, "little") + b"\0" * (rate * 2 * seconds)


def test_a_sound_is_as_long_as_it_says_or_as_its_bytes_can_be() -> None:
    asked = parse_transcription(form(SOUND, model="whisper-1"))
    assert (asked.pieces.audio_ms, asked.exact) == (2_000, False)
    asked = parse_transcription(form(Part("file", wave(3), b"a.wav"), model="whisper-1", response_format="srt"))
    assert asked.exact
    assert 3_000 <= asked.pieces.audio_ms <= 3_010
    assert asked.binary
    assert wave_ms(b"RIFF....WAVEfmt " + b"\0" * 40) is None


def test_moderation_has_a_model_of_its_own() -> None:
    assert parse_moderation(body(input="Hi")).written("omni-moderation-latest") == (
        b'{"model":"omni-moderation-latest","input":"Hi"}'
    )


@pytest.mark.parametrize(
    ("parse", "given"),
    [
        (parse_generation, body(model="m")),
        (parse_generation, body(model="m", prompt=1)),
        (parse_generation, body(model="m", prompt="x", n=11)),
        (parse_generation, body(model="m", prompt="x", n="2")),
        (parse_generation, body(model="m", prompt="x", N=2)),
        (parse_generation, body(model="m", prompt="x", partial_images=4)),
        (parse_generation, form(model="m", prompt="x")),
        (parse_edit, body(model="m", prompt="x")),
        (parse_edit, form(model="m", prompt="x")),
        (parse_edit, form(PICTURE, prompt="x")),
        (parse_edit, form(PICTURE, Part("model", b"other"), model="m", prompt="x")),
        (parse_edit, form(PICTURE, Part("model", b"m", b"m.txt"), prompt="x")),
        (parse_edit, form(PICTURE, PICTURE, model="m", prompt="x")),
        (parse_edit, form(PICTURE, model="m", prompt="x", n="many")),
        (parse_edit, form(PICTURE, model="m", prompt="x", n="²")),
        (parse_edit, form(PICTURE, model="m", prompt="x", Model="dear")),
        (parse_edit, form(PICTURE, Part("prompt", b"\xff"), model="m")),
        (parse_speech, body(model="m", input="x" * 100_001)),
        (parse_transcription, form(model="m")),
        (parse_transcription, form(SOUND, model="m", stream="perhaps")),
        (parse_moderation, body(model="m")),
    ],
)
def test_what_can_not_be_read_is_refused(parse: Any, given: bytes) -> None:
    with pytest.raises(Refused):
        parse(given)
