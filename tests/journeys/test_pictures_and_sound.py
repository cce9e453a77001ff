"""Pictures, sound and moderation with the official SDKs, over real sockets: what is booked is what the provider bills."""

import io
import os

import openai
import pytest

from tests.journeys.books import nanos, nothing_held
from tests.journeys.sdk_doors import openai_sdk
from tests.journeys.world import HATEFUL, Till

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8


def balanced(till: Till) -> None:
    """Every call's row is its bill, to the nano-dollar and the token, and nothing is held."""
    for event, billed in till.rows():
        assert billed is not None, event
        assert nanos(event["cost_usd"]) == billed.cost_nanos, (event, billed)
        assert (event["tokens_input"], event["tokens_output"]) == (billed.input, billed.output)
        assert (event["status"], event["unpriced"]) == ("ok", False)
    nothing_held(till.world, till.team)


def client(till: Till) -> openai.OpenAI:
    return openai_sdk(till).with_options(default_headers={"x-request-id": till.next_id()}, max_retries=0)


def test_pictures_are_made_changed_and_paid(till: Till) -> None:
    made = client(till).images.generate(model="gpt-image-1", prompt="A cat with a hat", n=2)
    assert made.data is not None
    assert (len(made.data), made.usage and made.usage.output_tokens) == (2, 2_112)
    client(till).images.edit(model="gpt-image-1", prompt="Remove the hat", image=[("a.png", PNG), ("b.png", PNG)])
    with pytest.deprecated_call():
        client(till).images.create_variation(model="gpt-image-1", image=("a.png", PNG))
    client(till).images.generate(model="dall-e-3", prompt="A cat", quality="hd")
    balanced(till)


def test_a_stream_of_pictures_comes_to_its_end(till: Till) -> None:
    stream = client(till).images.generate(model="gpt-image-1", prompt="A cat", stream=True, partial_images=1)
    assert [event.type for event in stream] == ["image_generation.partial_image", "image_generation.completed"]
    balanced(till)


def test_speech_is_heard_and_transcribed(till: Till) -> None:
    with client(till).audio.speech.with_streaming_response.create(model="tts-1", voice="alloy", input="Grüße!") as said:
        assert said.headers["content-type"] == "audio/mpeg"
        sound = said.read()
    assert sound == b"ID3" + bytes(54)
    noise = os.urandom(300_000)
    heard = client(till).audio.transcriptions.create(
        model="whisper-1", file=("a.mp3", io.BytesIO(noise)), language="de"
    )
    assert heard.text == "Hallo Welt"
    with pytest.deprecated_call():
        client(till).audio.translations.create(model="whisper-1", file=("a.mp3", noise))
    balanced(till)


def test_moderation_is_free_and_has_its_row(till: Till) -> None:
    assert not client(till).moderations.create(input="Hello").results[0].flagged
    balanced(till)


def test_what_a_policy_forbids_is_found_in_a_form_too(till: Till) -> None:
    with pytest.raises(openai.ConflictError):
        client(till).images.edit(model="gpt-image-1", prompt=HATEFUL, image=("a.png", PNG))
    with pytest.raises(openai.BadRequestError):
        client(till).audio.speech.create(model="tts-1", voice="", input="Hi")
    [(blocked, _), (refused, _)] = till.rows()
    assert (blocked["status"], blocked["cost_usd"]) == ("blocked", None)
    assert (refused["status"], refused["cost_usd"]) == ("upstream_error", 0)
    nothing_held(till.world, till.team)


def test_azures_own_client_finds_its_way(till: Till) -> None:
    azure = openai.AzureOpenAI(
        azure_endpoint=till.world.gateway_url,
        api_version="2024-10-21",
        api_key=till.key.secret,
        default_headers={"x-request-id": till.next_id()},
        max_retries=0,
    )
    said = azure.chat.completions.create(model="gpt-4.1-azure", messages=[{"role": "user", "content": "Hello"}])
    assert said.choices[0].message.content
    till.balanced()
