"""OpenAI's routes for pictures, sound and moderation: passed on as they are, and read for what they cost.

Source: ``ImagesResponse``, ``ImagesUsage``, ``TranscriptTextUsageTokens``, ``TranscriptTextUsageDuration`` and
``SpeechAudioDoneEvent`` of OpenAI's API description.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from keeptrusts.core.calls.media import ImagesRequest, MediaRequest, ModerationRequest, SpeechRequest, TranscriptRequest
from keeptrusts.core.calls.other_usage import Other, some
from keeptrusts.core.calls.request import TextRequest
from keeptrusts.core.calls.usage import MOST_TOKENS, Usage, UsageSource
from keeptrusts.core.providers.passing import News, PassingStream
from keeptrusts.core.providers.straight import UNREADABLE, Straight
from keeptrusts.core.providers.wire import Bill, NoAnswer, Stream, Whole

MAX_PICTURE_EVENT_BYTES = 32 * 1024 * 1024
"""A whole picture is one event of a stream."""


class _Details(Struct, frozen=True):
    text_tokens: int = 0
    image_tokens: int = 0
    audio_tokens: int = 0


class MediaUsage(Struct, frozen=True):
    """A ``usage`` object of these routes: tokens, or (``type`` duration) seconds."""

    type: str = "tokens"
    input_tokens: int = 0
    output_tokens: int = 0
    input_tokens_details: _Details | None = None
    input_token_details: _Details | None = None
    output_tokens_details: _Details | None = None
    seconds: float = 0.0


class _Answer(Struct, frozen=True):
    data: list[Any] | None = None
    usage: MediaUsage | None = None
    duration: float | str | None = None
    quality: str | None = None
    size: str | None = None
    model: str | None = None


class _Event(Struct, frozen=True):
    type: str
    usage: MediaUsage | None = None
    quality: str | None = None
    size: str | None = None


_decode_answer = msgspec.json.Decoder(_Answer).decode
_decode_event = msgspec.json.Decoder(_Event).decode


class MediaWire(Straight):
    """See wire.Wire. ``route`` is below the provider's base URL, and named as the door is."""

    def __init__(self, route: str) -> None:
        self._route = "/" + route

    def path(self, model: str, stream: bool) -> str:
        """See Wire."""
        del model, stream
        return self._route

    def body(self, request: TextRequest, model: str, sent_limit: int | None, longest: int | None) -> bytes:
        """See Wire."""
        del sent_limit, longest
        assert isinstance(request, MediaRequest)
        return request.written(model)

    def whole(self, request: TextRequest, content: bytes, now_s: int) -> Whole:
        """See Wire."""
        del now_s
        try:
            answer = _decode_answer(content)
        except UNREADABLE:
            raise NoAnswer("its answer is not JSON") from None
        assert isinstance(request, MediaRequest)
        return Whole(_bill(request, answer), content)

    def spoken(self, content: bytes) -> list[str]:
        """See Wire: pictures and sound say nothing that could be counted."""
        del content
        return []

    def stream(self, request: TextRequest, now_s: int) -> Stream:
        """See Wire."""
        del now_s
        return PassingStream(_Events(request).news, _no_texts, MAX_PICTURE_EVENT_BYTES)

    def of_bytes(self, request: TextRequest) -> Bill:
        """The bill of an answer that came as bytes: what the request says of it, where that decides."""
        if isinstance(request, SpeechRequest) or (isinstance(request, TranscriptRequest) and request.exact):
            return Bill(Usage(other=some(request.pieces)), None, UsageSource.COUNTED)
        return Bill(None, None)


LAST_EVENTS = frozenset(
    {"image_generation.completed", "image_edit.completed", "speech.audio.done", "transcript.text.done"}
)


class _Events:
    """What the events of a stream say of its cost. Of several pictures each has an end of its own."""

    def __init__(self, request: TextRequest) -> None:
        self._ends = request.n
        self._usage: Usage | None = Usage()
        self._request = request

    def news(self, payload: bytes) -> News | None:
        """See passing.ReadNews."""
        if b'.completed"' not in payload and b'.done"' not in payload:
            return None
        try:
            event = _decode_event(payload)
        except UNREADABLE:
            return None
        if event.type not in LAST_EVENTS:
            return None
        self._ends -= 1
        usage = None if event.usage is None else usage_of(event.usage, self._request)
        if usage is not None and isinstance(self._request, ImagesRequest):
            usage = _with_pictures(usage, self._request, 1, event.quality, event.size)
        # One end that does not say what it used leaves all unsaid.
        self._usage = None if usage is None or self._usage is None else _sum(self._usage, usage)
        return News(self._usage if self._ends <= 0 else None, is_last=self._ends <= 0)


def _sum(one: Usage, two: Usage) -> Usage:
    a, b = one.other or Other(), two.other or Other()
    other = Other(
        audio_input=a.audio_input + b.audio_input,
        image_input=a.image_input + b.image_input,
        audio_output=a.audio_output + b.audio_output,
        image_output=a.image_output + b.image_output,
        images=a.images + b.images,
        image_kind=b.image_kind,
        audio_ms=a.audio_ms + b.audio_ms,
    )
    return Usage(input=one.input + two.input, output=one.output + two.output, other=some(other))


def _bill(request: MediaRequest, answer: _Answer) -> Bill:
    if isinstance(request, ModerationRequest):
        return Bill(Usage(), answer.model, UsageSource.COUNTED)
    if isinstance(request, ImagesRequest):
        return Bill(_of_pictures(request, answer), answer.model)
    if answer.usage is not None:
        return Bill(usage_of(answer.usage, request), answer.model)
    seconds = _seconds(answer.duration)
    if seconds is not None:
        # Without a usage object: OpenAI bills whole seconds.
        return Bill(Usage(other=some(Other(audio_ms=-int(-seconds // 1) * 1_000))), answer.model)
    return Bill(Usage(other=some(request.pieces)), None, UsageSource.COUNTED) if _exact(request) else Bill(None, None)


def _exact(request: MediaRequest) -> bool:
    return isinstance(request, TranscriptRequest) and request.exact


def _of_pictures(request: ImagesRequest, answer: _Answer) -> Usage | None:
    if not answer.data:
        return None
    usage = Usage() if answer.usage is None else usage_of(answer.usage, request)
    if usage is None:
        return None
    return _with_pictures(usage, request, len(answer.data), answer.quality, answer.size)


def _with_pictures(usage: Usage, request: ImagesRequest, images: int, quality: str | None, size: str | None) -> Usage:
    """The same usage and so many pictures, of the kind that was asked for or else of the one that came."""
    asked_quality, _, asked_size = (request.pieces.image_kind or "/").partition("/")
    kind = f"{asked_quality or quality or ''}/{asked_size or size or ''}"[:64]
    tokens = usage.other or Other()
    return msgspec.structs.replace(usage, other=msgspec.structs.replace(tokens, images=images, image_kind=kind))


def usage_of(told: MediaUsage, request: TextRequest) -> Usage | None:
    """Disjoint buckets; None when the figures contradict each other. Output is pictures, or sound, where the route makes
    them and nothing says otherwise."""
    if told.type == "duration":
        seconds = _seconds(told.seconds)
        return None if seconds is None else Usage(other=some(Other(audio_ms=-int(-seconds // 1) * 1_000)))
    details = told.input_tokens_details or told.input_token_details or _Details()
    fresh = told.input_tokens - details.image_tokens - details.audio_tokens
    shown = told.output_tokens_details
    makes = _makes(request)
    if shown is not None and shown.image_tokens + shown.audio_tokens + shown.text_tokens == told.output_tokens:
        images, sound = shown.image_tokens, shown.audio_tokens
    else:
        images = told.output_tokens if makes == "images" else 0
        sound = told.output_tokens if makes == "sound" else 0
    words = told.output_tokens - images - sound
    figures = (fresh, details.image_tokens, details.audio_tokens, images, sound, words)
    if min(figures) < 0 or max(told.input_tokens, told.output_tokens) > MOST_TOKENS:
        return None
    other = Other(
        audio_input=details.audio_tokens, image_input=details.image_tokens, audio_output=sound, image_output=images
    )
    return Usage(input=fresh, output=words, other=some(other))


def _makes(request: TextRequest) -> str:
    if isinstance(request, ImagesRequest):
        return "images"
    return "sound" if isinstance(request, SpeechRequest) else "words"


def _seconds(told: float | str | None) -> float | None:
    try:
        seconds = float(told) if told is not None else -1.0
    except ValueError:
        return None
    return seconds if 0 <= seconds <= 1_000_000 else None


def _no_texts(_: bytes) -> list[str]:
    return []


ROUTES = (
    "images/generations",
    "images/edits",
    "images/variations",
    "audio/speech",
    "audio/transcriptions",
    "audio/translations",
    "moderations",
)
MEDIA: Mapping[str, MediaWire] = {route: MediaWire(route) for route in ROUTES}
"""The wires by their doors."""
