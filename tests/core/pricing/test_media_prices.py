"""What calls for pictures and sound cost, by the token and by the piece; and no hold is below its bill."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeptrusts.core.calls.media import MediaRequest, parse_generation, parse_speech
from keeptrusts.core.calls.other_usage import Other
from keeptrusts.core.calls.usage import Usage
from keeptrusts.core.pricing.bound import bound_of
from keeptrusts.core.pricing.media_bound import is_priced
from keeptrusts.core.pricing.pieces import ImagePrice, Pieces, ServiceTier
from keeptrusts.core.pricing.price import Price, Rates, cost_nanos, unsaid_part
from keeptrusts.core.pricing.unbounded import refuse_unbounded
from keeptrusts.core.providers.media import MEDIA
from keeptrusts.core.refusal import Reason, Refused

DALL_E = Price(
    "v", "openai", "dall-e-3", Rates(0, 0), pieces=Pieces((ImagePrice(80, "hd"), ImagePrice(40, None, "1024x1024")))
)
GPT_IMAGE = Price("v", "openai", "gpt-image-1", Rates(5_000_000, 40_000_000, image_input=10_000_000))
WHISPER = Price("v", "openai", "whisper-1", Rates(0, 0), pieces=Pieces(audio_minute=6_000_000))
TTS = Price("v", "openai", "tts-1", Rates(0, 0), pieces=Pieces(characters_1k=15_000_000))


@pytest.mark.parametrize(
    ("price", "usage", "nanos"),
    [
        (DALL_E, Usage(other=Other(images=2, image_kind="hd/1792x1024")), 160),
        (DALL_E, Usage(other=Other(images=2, image_kind="standard/1024x1024")), 80),
        (GPT_IMAGE, Usage(50, other=Other(image_input=323, image_output=4_160)), 50 * 5_000 + 3_230_000 + 166_400_000),
        (WHISPER, Usage(other=Other(audio_ms=90_000)), 9_000_000),
        (WHISPER, Usage(other=Other(audio_ms=1)), 100),
        (TTS, Usage(other=Other(characters=11)), 165_000),
    ],
)
def test_what_it_costs(price: Price, usage: Usage, nanos: int) -> None:
    assert cost_nanos(price, usage) == nanos
    assert unsaid_part(price, usage) is None


@pytest.mark.parametrize(
    ("price", "other", "part"),
    [
        (DALL_E, Other(images=1, image_kind="standard/1792x1024"), "pictures of standard/1792x1024"),
        (TTS, Other(audio_ms=1), "minutes of sound"),
        (TTS, Other(audio_output=1), "tokens of sound"),
        (GPT_IMAGE, Other(web_searches=1), "web searches"),
        (GPT_IMAGE, Other(service_tier="priority"), "the service tier priority"),
    ],
)
def test_what_has_no_price_is_named(price: Price, other: Other, part: str) -> None:
    assert unsaid_part(price, Usage(other=other)) == part


def test_a_fee_per_call_pays_for_all_that_has_no_price() -> None:
    flat = Price("v", "p", "m", Rates(0, 0), request_nanos=7)
    assert unsaid_part(flat, Usage(other=Other(images=3, characters=9, audio_ms=5))) is None
    assert cost_nanos(flat, Usage(other=Other(images=3))) == 7


def generation(**fields: object) -> MediaRequest:
    return parse_generation(json.dumps({"model": "m", "prompt": "A cat", **fields}).encode())


prices = st.builds(
    Price,
    version=st.just("v"),
    provider=st.just("p"),
    model=st.just("m"),
    rates=st.builds(
        Rates,
        st.integers(0, 10**8),
        st.integers(0, 10**8),
        image_input=st.none() | st.integers(0, 10**8),
        image_output=st.none() | st.integers(0, 10**8),
    ),
    request_nanos=st.integers(0, 10**6),
    pieces=st.none()
    | st.builds(
        Pieces,
        st.lists(
            st.builds(
                ImagePrice,
                st.integers(0, 10**9),
                st.sampled_from([None, "hd", "standard"]),
                st.sampled_from([None, "1024x1024", "1024x1792"]),
            ),
            max_size=4,
        ).map(tuple),
    ),
    service_tiers=st.just((ServiceTier("flex", 50),)),
)


@given(
    prices,
    st.sampled_from([None, "auto", "hd", "standard"]),
    st.sampled_from(["auto", "1024x1024", "1024x1792"]),
    st.integers(1, 10),
    st.integers(0, 20_000),
    st.sampled_from(["hd", "standard"]),
    st.sampled_from(["1024x1024", "1024x1792"]),
)
def test_no_picture_costs_more_than_its_hold(
    price: Price, quality: str | None, size: str, n: int, tokens: int, made_quality: str, made_size: str
) -> None:
    asked = generation(n=n, size=size, **({} if quality is None else {"quality": quality}))
    kind = f"{quality if quality in ('hd', 'standard') else made_quality}/{size if size != 'auto' else made_size}"
    used = Usage(input=asked.size_bytes, other=Other(image_output=tokens * n, images=n, image_kind=kind, image_input=0))
    assert cost_nanos(price, used) <= bound_of(asked, price, None, 1).nanos


def test_a_model_of_words_alone_has_no_price_for_speech() -> None:
    asked = parse_speech(b'{"model":"m","input":"Hi","voice":"x"}')
    assert not is_priced(asked, DALL_E)
    with pytest.raises(Refused) as caught:
        refuse_unbounded(asked, DALL_E, "dall-e-3", "openai")
    assert caught.value.reason is Reason.UNPRICED_MODEL


IMAGES = MEDIA["images/generations"]


def test_an_answer_says_how_many_pictures_there_are_and_what_they_used() -> None:
    told = {"data": [{"b64_json": ""}], "size": "1024x1024", "quality": "high", "usage": {
        "input_tokens": 60, "output_tokens": 4_160, "input_tokens_details": {"text_tokens": 50, "image_tokens": 10}}}  # fmt: skip
    bill = IMAGES.whole(generation(), json.dumps(told).encode(), 0).bill
    assert bill.usage == Usage(
        50, other=Other(image_input=10, image_output=4_160, images=1, image_kind="high/1024x1024")
    )
    del told["usage"]
    bill = IMAGES.whole(generation(size="1024x1792"), json.dumps(told).encode(), 0).bill
    assert bill.usage == Usage(other=Other(images=1, image_kind="high/1024x1792"))


def test_a_stream_that_does_not_say_what_it_used_comes_to_its_end_all_the_same() -> None:
    stream = IMAGES.stream(generation(stream=True), 0)
    event = b'data: {"type":"image_generation.completed","b64_json":"AA"}\n\n'
    assert stream.feed(event) == b""
    assert (stream.done, stream.usage) == (True, None)


def test_a_stream_of_pictures_ends_with_the_last_of_them() -> None:
    event = b'data: {"type":"image_generation.completed","usage":{"input_tokens":5,"output_tokens":10}}\n\n'
    stream = IMAGES.stream(generation(n=2, stream=True), 0)
    partial = b'data: {"type":"image_generation.partial_image","b64_json":"AA"}\n\n'
    assert stream.feed(partial + event) == partial + event
    assert not stream.done
    assert stream.feed(event) == b""
    assert (stream.done, stream.end()) == (True, event)
    assert stream.usage == Usage(10, other=Other(image_output=20, images=2, image_kind="/"))
