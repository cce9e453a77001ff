"""Calls for pictures, sound and moderation as a client sends them: JSON, or a form with files.

What such a call can use at most is told as ``most_input``, ``most_output`` (tokens) and ``pieces``; prices make money of it.
"""

from collections.abc import Generator, Iterator, Mapping
from typing import Any, ClassVar, TypeVar

import msgspec
from msgspec import Raw

from keeptrusts.core.calls.form import Part, read_form, write_form
from keeptrusts.core.calls.other_usage import NO_OTHER, Other
from keeptrusts.core.calls.request import (
    SETTINGS,
    TextRequest,
    encode,
    missing,
    read_envelope,
    read_model,
    refuse_look_alikes,
    typed,
)
from keeptrusts.core.refusal import Reason, Refused

METADATA = "metadata"
INPUT_MARGIN_TOKENS = 32
MOST_IMAGES = 10
MOST_SPEECH_CHARACTERS = 100_000
IMAGE_INPUT_TOKENS = 10_000
"""More than OpenAI's guide to image generation says that any input picture counts, at high fidelity."""

PARTIAL_IMAGE_TOKENS = 100
"""What each picture that is streamed half-made costs, by the same guide."""


class MediaRequest(TextRequest):
    """A call whose answer is pictures, sound, or made of them. ``parts`` are those of a form, ``pieces`` what it uses at most
    of what is billed by the piece."""

    beside_the_answer: ClassVar[frozenset[str]] = frozenset({"user"})
    prompt_fields: ClassVar[frozenset[str]] = frozenset({"prompt", "input", "instructions"})
    settings: ClassVar[frozenset[str]] = SETTINGS | {
        *("size", "quality", "style", "background", "moderation", "partial_images", "input_fidelity", "output_format"),
        *(
            "output_compression",
            "response_format",
            "voice",
            "speed",
            "stream_format",
            "language",
            "include",
            "include[]",
        ),
        *("timestamp_granularities", "timestamp_granularities[]", "chunking_strategy"),
    }
    parts: tuple[Part, ...] | None = None
    pieces = NO_OTHER
    repeats = False
    beyond_output = 0
    """Tokens of output beside what a finished answer has."""

    def has_media(self) -> bool:
        """See TextRequest."""
        return True

    @property
    def files(self) -> tuple[Part, ...]:
        """The files of the form."""
        return tuple(part for part in self.parts or () if part.filename is not None)

    @property
    def most_input(self) -> int:
        """The most tokens of input."""
        return self.size_bytes + INPUT_MARGIN_TOKENS + IMAGE_INPUT_TOKENS * len(self.files)

    def texts(self) -> Iterator[str]:
        """See TextRequest: of a form, every field, though it be repeated."""
        if self.parts is None:
            yield from super().texts()
        else:
            yield from (part.content.decode(errors="replace") for part in self.parts if self._is_read(part))

    def _is_read(self, part: Part) -> bool:
        return part.filename is None and part.name not in self.settings

    def judged(self, body: bytes) -> bytes:
        """See TextRequest: a form's words as JSON, without its files."""
        return body if self.parts is None else encode(list(self.texts()))

    def reword(self, others: Mapping[str, str], every: bool = False) -> Generator[None, None, None]:
        """See TextRequest: in a form's own parts too."""
        size_bytes = self.size_bytes
        yield from super().reword(others, every)
        if self.parts is not None:
            told = self.parts
            self.parts = tuple(_reworded(part, others) if self._is_read(part) else part for part in told)
            self.size_bytes = (
                size_bytes + sum(len(part.content) for part in self.parts) - sum(len(p.content) for p in told)
            )

    def written(self, model: str) -> bytes:
        """The body for the provider, where the model is called so. A form's type is then in ``content_type``."""
        if self.parts is None:
            return encode({**self.fields, "model": Raw(encode(model))})
        parts = [msgspec.structs.replace(p, content=model.encode()) if p.name == "model" else p for p in self.parts]
        if METADATA in self.fields:
            parts.append(Part(METADATA, bytes(self.fields[METADATA])))
        self.content_type, body = write_form(tuple(parts))
        return body


def _reworded(part: Part, others: Mapping[str, str]) -> Part:
    told = part.content.decode(errors="replace")
    other = others.get(told)
    return part if other is None else msgspec.structs.replace(part, content=other.encode())


class ImagesRequest(MediaRequest):
    """``/v1/images/...``. Its ``pieces`` tell the pictures' quality and size as they were asked for."""


class Generation(ImagesRequest):
    """``/v1/images/generations``."""

    door: ClassVar[str] = "images/generations"


class Edit(ImagesRequest):
    """``/v1/images/edits``."""

    door: ClassVar[str] = "images/edits"


class Variation(ImagesRequest):
    """``/v1/images/variations``."""

    door: ClassVar[str] = "images/variations"


class SpeechRequest(MediaRequest):
    """``/v1/audio/speech``."""

    door: ClassVar[str] = "audio/speech"


class TranscriptRequest(MediaRequest):
    """Words of a sound. ``exact``: the sound's length is known, not only bounded."""

    exact = False

    @property
    def most_input(self) -> int:
        """See MediaRequest: providers say about ten to twenty tokens for a second of sound."""
        return self.size_bytes + INPUT_MARGIN_TOKENS + self.pieces.audio_ms // 40


class Transcription(TranscriptRequest):
    """``/v1/audio/transcriptions``."""

    door: ClassVar[str] = "audio/transcriptions"


class Translation(TranscriptRequest):
    """``/v1/audio/translations``."""

    door: ClassVar[str] = "audio/translations"


class ModerationRequest(MediaRequest):
    """``/v1/moderations``."""

    door: ClassVar[str] = "moderations"


R = TypeVar("R", bound=MediaRequest)
P = TypeVar("P", bound=ImagesRequest)
T = TypeVar("T", bound=TranscriptRequest)

IMAGE_FIELDS = frozenset({"model", "prompt", "n", "size", "quality", "stream", "partial_images", "response_format"})
SPEECH_FIELDS = frozenset({"model", "input", "voice", "instructions", "response_format", "speed", "stream_format"})
MODERATION_FIELDS = frozenset({"model", "input"})


def parse_generation(body: bytes) -> Generation:
    """``POST /v1/images/generations``. Raises Refused, as all parsers here do."""
    fields = read_envelope(body)
    refuse_look_alikes(fields, IMAGE_FIELDS)
    return _images(Generation(fields, read_model(fields), len(body)), "prompt")


def parse_edit(body: bytes) -> Edit:
    """``POST /v1/images/edits``: a form with pictures."""
    request = _form_request(Edit, body, IMAGE_FIELDS, frozenset({"image", "image[]"}))
    return _images(request, "prompt")


def parse_variation(body: bytes) -> Variation:
    """``POST /v1/images/variations``: a form with a picture."""
    return _images(_form_request(Variation, body, IMAGE_FIELDS, frozenset({"image"})), None)


def _images(request: P, needed: str | None) -> P:
    if needed is not None:
        _need_text(request, needed)
    request.n = _within(request, "n", 1, MOST_IMAGES, 1)
    partial = _within(request, "partial_images", 0, 3, 0)
    request.stream = bool(_maybe(request, "stream", bool, "true or false"))
    quality, size = (_maybe(request, name, str, "a string") for name in ("quality", "size"))
    if request.model.startswith("dall-e"):
        quality, size = quality or "standard", size or "1024x1024"
    kind = "/".join("" if each in (None, "auto") else each for each in (quality, size))[:64]
    request.pieces = Other(images=request.n, image_kind=kind)
    request.beyond_output = PARTIAL_IMAGE_TOKENS * partial * request.n
    return request


def parse_speech(body: bytes) -> SpeechRequest:
    """``POST /v1/audio/speech``."""
    fields = read_envelope(body)
    refuse_look_alikes(fields, SPEECH_FIELDS)
    request = SpeechRequest(fields, read_model(fields), len(body))
    text = _need_text(request, "input")
    if len(text) > MOST_SPEECH_CHARACTERS:
        raise Refused(
            Reason.INVALID_REQUEST, f"`input` is longer than {MOST_SPEECH_CHARACTERS} characters.", {"param": "input"}
        )
    request.stream = True
    request.binary = _maybe(request, "stream_format", str, "a string") != "sse"
    request.pieces = Other(characters=len(text))
    return request


def parse_transcription(body: bytes) -> Transcription:
    """``POST /v1/audio/transcriptions``: a form with a sound."""
    return _transcript(Transcription, body)


def parse_translation(body: bytes) -> Translation:
    """``POST /v1/audio/translations``: a form with a sound."""
    return _transcript(Translation, body)


TRANSCRIPT_FIELDS = frozenset({"model", "prompt", "language", "response_format", "stream", "temperature", "file"})
PLAIN_FORMATS = frozenset({"text", "srt", "vtt"})


def _transcript(kind: type[T], body: bytes) -> T:
    request = _form_request(kind, body, TRANSCRIPT_FIELDS, frozenset({"file"}))
    request.stream = bool(_maybe(request, "stream", bool, "true or false"))
    if _maybe(request, "response_format", str, "a string") in PLAIN_FORMATS:
        request.stream = request.binary = True
    sound = request.files[0].content
    known_ms = wave_ms(sound)
    request.exact = known_ms is not None
    request.pieces = Other(audio_ms=len(sound) * SLOWEST_MS_PER_BYTE if known_ms is None else known_ms)
    return request


SLOWEST_MS_PER_BYTE = 2
"""4 kbit/s: slower than any codec is used for speech. A file that is silent for long may be longer than this says."""


def wave_ms(sound: bytes) -> int | None:
    """How long an uncompressed WAVE file is, in milliseconds; None for any other."""
    if sound[:4] != b"RIFF" or sound[8:16] != b"WAVEfmt ":
        return None
    form, channels, rate = (int.from_bytes(sound[a:b], "little") for a, b in ((20, 22), (22, 24), (24, 28)))
    bits = int.from_bytes(sound[34:36], "little")
    bytes_per_s = channels * rate * bits // 8
    return -(-len(sound) * 1_000 // bytes_per_s) if form == 1 and bytes_per_s else None


def parse_moderation(body: bytes) -> ModerationRequest:
    """``POST /v1/moderations``."""
    fields = read_envelope(body)
    refuse_look_alikes(fields, MODERATION_FIELDS)
    if "model" not in fields:
        fields = {"model": Raw(b'"omni-moderation-latest"'), **fields}
    if "input" not in fields:
        raise missing("input")
    return ModerationRequest(fields, read_model(fields), len(body))


def _form_request(kind: type[R], body: bytes, once: frozenset[str], needed: frozenset[str]) -> R:
    """A request whose fields are a form's. ``needed``: it has a file under one of these names."""
    parts = read_form(body)
    fields: dict[str, Raw] = {}
    size = 0
    seen: set[str] = set()
    for part in parts:
        if part.name in seen and not part.name.endswith("[]"):
            raise Refused(Reason.INVALID_REQUEST, f"`{part.name}` is given twice.", {"param": part.name})
        seen.add(part.name)
        if part.filename is not None:
            if part.name in once - needed:
                raise Refused(Reason.INVALID_REQUEST, f"`{part.name}` must not be a file.", {"param": part.name})
            continue
        try:
            fields[part.name] = Raw(encode(part.content.decode()))
        except UnicodeDecodeError:
            raise Refused(Reason.INVALID_REQUEST, f"`{part.name}` is not text.", {"param": part.name}) from None
        size += len(part.content)
    metadata = _metadata(parts)
    if metadata is not None:
        fields = {name: raw for name, raw in fields.items() if not name.startswith(METADATA)}
        fields[METADATA] = metadata
        parts = tuple(part for part in parts if not part.name.startswith(METADATA))
    refuse_look_alikes(dict.fromkeys(seen, Raw(b"")), once)
    request = kind(fields, read_model(fields), size)
    request.parts = parts
    if not any(part.name in needed for part in request.files):
        raise missing(min(needed))
    return request


def _metadata(parts: tuple[Part, ...]) -> Raw | None:
    """What a form says under ``metadata``: as one JSON object, or as SDKs spell objects in forms: ``metadata[feature]``."""
    one = [part.content for part in parts if part.name == METADATA and part.content.lstrip()[:1] == b"{"]
    if one:
        try:
            return Raw(encode(msgspec.json.decode(one[0], type=dict[str, Any])))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Refused(Reason.INVALID_REQUEST, "`metadata` must be an object.", {"param": METADATA}) from None
    spelled = [part for part in parts if part.name.startswith(METADATA + "[") and part.name.endswith("]")]
    if not spelled:
        return None
    return Raw(encode({part.name[len(METADATA) + 1 : -1]: part.content.decode(errors="replace") for part in spelled}))


def _need_text(request: MediaRequest, field: str) -> str:
    if field not in request.fields:
        raise missing(field)
    text: str = typed(request.fields[field], str, field, "a string")
    return text


def _within(request: MediaRequest, field: str, least: int, most: int, default: int) -> int:
    value = _maybe(request, field, int, "a whole number")
    count: int = default if value is None else value
    if not least <= count <= most:
        raise Refused(Reason.INVALID_REQUEST, f"`{field}` must be from {least} to {most}.", {"param": field})
    return count


_FLAGS: Mapping[str, bool] = {"true": True, "false": False, "1": True, "0": False}


def _maybe(request: MediaRequest, field: str, kind: Any, expected: str) -> Any:
    """A field's value; a form's values are texts."""
    if field not in request.fields:
        return None
    if request.parts is None or kind is str:
        return typed(request.fields[field], kind | None, field, expected)
    text = typed(request.fields[field], str, field, expected)
    if kind is bool and text.lower() in _FLAGS:
        return _FLAGS[text.lower()]
    if kind is int and text.isascii() and text.isdigit() and len(text) < 10:
        return int(text)
    raise Refused(Reason.INVALID_REQUEST, f"`{field}` must be {expected}.", {"param": field})
