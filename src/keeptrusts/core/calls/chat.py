"""A chat completion request as the gateway reads it: parsed once into an envelope whose fields stay as they were written.

What is sent upstream is written from this envelope again, so that the provider reads exactly what was checked and priced
(a repeated JSON key, for one, can't show us one value and the provider another).
"""

from typing import Any

import msgspec
from msgspec import Raw

from keeptrusts.core.refusal import Reason, Refused

_decode_envelope = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_any = msgspec.json.decode
_encode = msgspec.json.Encoder().encode

INCLUDE_USAGE = Raw(b'{"include_usage":true}')
_MEDIA_PARTS = (b'"image_url"', b'"input_audio"', b'"file"', b'"file_id"', b'"video_url"')
_MEDIA_TYPES = frozenset({"image_url", "input_audio", "file", "video_url"})
_TRUE = b"true"


class ChatRequest:
    """``fields`` are the body's top-level values, unparsed. ``max_tokens`` is the client's output limit for each choice."""

    __slots__ = ("fields", "include_usage", "max_tokens", "model", "n", "size_bytes", "stream")

    def __init__(self, fields: dict[str, Raw], model: str, size_bytes: int) -> None:
        self.fields = fields
        self.model = model
        self.size_bytes = size_bytes
        self.stream = False
        self.include_usage = False
        self.max_tokens: int | None = None
        self.n = 1


def parse_chat(body: bytes) -> ChatRequest:
    """Reads a request body. Raises Refused(INVALID_JSON or INVALID_REQUEST), naming the field that is wrong."""
    if not body.isascii():
        try:
            body.decode()
        except UnicodeDecodeError as error:
            raise Refused(Reason.INVALID_JSON, f"The body is not valid UTF-8 (byte {error.start}).") from None
    try:
        fields = _decode_envelope(body)
    except RecursionError:
        raise Refused(Reason.INVALID_JSON, "The body's JSON is nested too deeply.") from None
    except msgspec.ValidationError:
        raise Refused(Reason.INVALID_REQUEST, "The body must be a JSON object.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(Reason.INVALID_JSON, f"The body is not valid JSON: {error}.") from None
    raw_model = fields.get("model")
    if raw_model is None:
        raise Refused(Reason.INVALID_REQUEST, "`model` is missing: name the model to call.", {"param": "model"})
    request = ChatRequest(fields, _typed(raw_model, str, "model", "a string"), len(body))
    if not request.model:
        raise Refused(Reason.INVALID_REQUEST, "`model` is empty: name the model to call.", {"param": "model"})
    messages = fields.get("messages")
    if messages is None or bytes(messages)[:1] != b"[":
        raise Refused(Reason.INVALID_REQUEST, "`messages` must be an array of messages.", {"param": "messages"})
    if "stream" in fields:
        request.stream = bool(_typed(fields["stream"], bool | None, "stream", "true or false"))
    if "max_tokens" in fields:
        request.max_tokens = _limit(fields["max_tokens"], "max_tokens")
    if "max_completion_tokens" in fields:
        other = _limit(fields["max_completion_tokens"], "max_completion_tokens")
        if other is not None:
            # Providers differ in which of the two wins: the larger one bounds the cost whichever it is.
            request.max_tokens = other if request.max_tokens is None else max(other, request.max_tokens)
    if "n" in fields:
        request.n = _typed(fields["n"], int | None, "n", "a whole number") or 1
        if not 1 <= request.n <= 128:
            raise Refused(Reason.INVALID_REQUEST, "`n` must be from 1 to 128.", {"param": "n"})
    if "stream_options" in fields:
        options = _typed(fields["stream_options"], dict[str, Any] | None, "stream_options", "an object")
        request.include_usage = bool(options and options.get("include_usage") is True)
    return request


def _typed(raw: Raw, kind: Any, field: str, expected: str) -> Any:
    try:
        return _decode_any(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refused(Reason.INVALID_REQUEST, f"`{field}` must be {expected}.", {"param": field}) from None


def _limit(raw: Raw, field: str) -> int | None:
    value: int | None = _typed(raw, int | None, field, "a whole number")
    if value is not None and not 1 <= value <= 10_000_000:
        raise Refused(Reason.INVALID_REQUEST, f"`{field}` must be from 1 to 10,000,000.", {"param": field})
    return value


def body_for(request: ChatRequest, model: str, max_tokens: int | None) -> bytes:
    """The body to send upstream: the client's fields, but for the model's name there, an output limit that we set
    (None: nothing extra is sent), and the usage chunk that every stream is asked for."""
    fields = request.fields
    if model != request.model:
        fields = {**fields, "model": Raw(_encode(model))}
    if max_tokens is not None:
        fields = {**fields, limit_field(model): Raw(_encode(max_tokens))}
    if request.stream and not request.include_usage:
        fields = {**fields, "stream_options": _with_usage(fields.get("stream_options"))}
    return _encode(fields)


_REASONING_FAMILIES = ("o1", "o3", "o4", "gpt-5")


def limit_field(model: str) -> str:
    """The parameter that limits the answer's length: OpenAI's reasoning models know only the newer one."""
    return "max_completion_tokens" if model.startswith(_REASONING_FAMILIES) else "max_tokens"


def _with_usage(options: Raw | None) -> Raw:
    if options is None:
        return INCLUDE_USAGE
    return Raw(_encode({**(_decode_any(options, type=dict[str, Raw] | None) or {}), "include_usage": True}))


def has_media(request: ChatRequest) -> bool:
    """Whether a message carries something whose tokens its bytes don't bound: an image, audio, a file."""
    messages = bytes(request.fields["messages"])
    if b"\\u" not in messages:
        # A part of a message says its type; without one there is only text.
        return b'"type"' in messages and any(part in messages for part in _MEDIA_PARTS)
    # An escape can hide a letter of a part's type, so look at the decoded messages.
    return any(
        isinstance(part, dict) and part.get("type") in _MEDIA_TYPES
        for message in _messages(request)
        if isinstance(message.get("content"), list)
        for part in message["content"]
    )


def texts(request: ChatRequest) -> list[str]:
    """Every string of the messages and tools that the model reads, decoded."""
    found: list[str] = []
    for message in _messages(request):
        _collect(message.get("content"), found)
        _collect(message.get("tool_calls"), found)
    if "tools" in request.fields:
        _collect(_decode_any(request.fields["tools"]), found)
    return found


def _messages(request: ChatRequest) -> list[dict[str, Any]]:
    try:
        messages = _decode_any(request.fields["messages"])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(Reason.INVALID_JSON, f"`messages` is not valid JSON: {error}.") from None
    return [message for message in messages if isinstance(message, dict)]


def _collect(value: Any, found: list[str]) -> None:
    if isinstance(value, str):
        found.append(value)
    elif isinstance(value, list):
        for item in value:
            _collect(item, found)
    elif isinstance(value, dict):
        for item in value.values():
            _collect(item, found)


_NOT_IN_CACHE_KEY = frozenset({"stream", "stream_options", "user", "metadata"})


def cacheable_form(request: ChatRequest) -> bytes:
    """The request's canonical JSON without what can't change the answer: equal questions have equal forms."""
    fields = {name: _decode_any(raw) for name, raw in request.fields.items() if name not in _NOT_IN_CACHE_KEY}
    return msgspec.json.encode(fields, order="deterministic")


def is_deterministic(request: ChatRequest) -> bool:
    """Whether the client asked for temperature 0."""
    raw = request.fields.get("temperature")
    return raw is not None and _decode_any(raw) == 0
