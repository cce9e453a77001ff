"""The most that a call for pictures or sound can cost, and whether a price says at all what it costs."""

import re

from msgspec import Struct

from keeptrusts.core.calls.media import ImagesRequest, MediaRequest, ModerationRequest, SpeechRequest
from keeptrusts.core.money import nanos_from_picos_up
from keeptrusts.core.pricing.pieces import NO_PIECES, dearest_image_nanos, pieces_nanos
from keeptrusts.core.pricing.price import Price, dearest_of_media

IMAGE_OUTPUT_TOKENS = 20_000
"""What one picture can cost at most, in tokens, where neither the price nor the table below says so."""

KNOWN_IMAGE_TOKENS = ((re.compile(r"gpt-image-1(-mini|\.5)?(-\d{4}-\d{2}-\d{2})?"), 6_240),)
"""By OpenAI's guide to image generation: 1536x1024 at high quality."""

SPOKEN_TOKENS = 32_768
TRANSCRIPT_TOKENS = 16_384
"""The longest answers of models for speech, where the price does not say."""


class MediaBound(Struct, frozen=True):
    """The most tokens, and the most money in nano-USD."""

    input_tokens: int
    output_tokens: int
    nanos: int


def media_bound(request: MediaRequest, price: Price) -> MediaBound:
    """The most that the call can cost, whatever it is billed by."""
    prompt = request.most_input
    if price.context_window is not None:
        prompt = min(prompt, price.context_window)
    output = _most_output(request, price) + request.beyond_output
    rates = dearest_of_media(price, prompt)
    nanos = nanos_from_picos_up(prompt * rates.input + output * rates.output)
    return MediaBound(prompt, output, nanos + _pieces_bound(request, price) + price.request_nanos)


def _pieces_bound(request: MediaRequest, price: Price) -> int:
    pieces, other = price.pieces or NO_PIECES, request.pieces
    if isinstance(request, ImagesRequest):
        return other.images * (dearest_image_nanos(pieces, other.image_kind) or 0)
    return pieces_nanos(pieces, other)


def _most_output(request: MediaRequest, price: Price) -> int:
    if isinstance(request, ModerationRequest):
        return 0
    if not isinstance(request, ImagesRequest):
        return price.max_output_tokens or (SPOKEN_TOKENS if isinstance(request, SpeechRequest) else TRANSCRIPT_TOKENS)
    known = next((most for name, most in KNOWN_IMAGE_TOKENS if name.fullmatch(request.model)), IMAGE_OUTPUT_TOKENS)
    return request.n * (price.max_output_tokens or known)


def is_priced(request: MediaRequest, price: Price) -> bool:
    """Whether the price says what such a call costs. Moderation is free where its price is 0."""
    if price.request_nanos or isinstance(request, ModerationRequest):
        return True
    if price.rates.input or price.rates.output:
        return True
    pieces, other = price.pieces or NO_PIECES, request.pieces
    if isinstance(request, ImagesRequest):
        return dearest_image_nanos(pieces, other.image_kind) is not None
    return (pieces.characters_1k if isinstance(request, SpeechRequest) else pieces.audio_minute) is not None
