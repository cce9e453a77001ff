"""A chat completion request as the gateway reads it: parsed once into an envelope whose fields stay as they were written.

What is sent upstream is written from this envelope again, so that the provider reads exactly what was checked and priced
(a repeated JSON key, for one, can't show us one value and the provider another).
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import Raw

from keeptrusts.core.refusal import Reason, Refused

_decode_envelope = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_any = msgspec.json.decode
_decode_text = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode

INCLUDE_USAGE = Raw(b'{"include_usage":true}')
MAX_MODEL_NAME = 256
_MEDIA_PARTS = (b'"image_url"', b'"input_audio"', b'"file"', b'"file_id"', b'"video_url"')
_TEXT_TYPES = frozenset({"text", "refusal"})


class ChatRequest:
    """``fields`` are the body's top-level values, unparsed. ``max_tokens`` is the client's output limit for each choice.

    ``plain``: nothing in it but text and sampling settings, so that its bytes and its limit bound its cost.
    """

    max_tokens: int | None = None
    stream = False
    include_usage = False
    n = 1

    def __init__(self, fields: dict[str, Raw], model: str, size_bytes: int, plain: bool) -> None:
        self.fields = fields
        self.model = model
        self.size_bytes = size_bytes
        self.plain = plain


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
    try:
        model = _decode_text(fields["model"])
        messages = bytes(fields["messages"])
    except KeyError as missing:
        field = missing.args[0]
        raise Refused(Reason.INVALID_REQUEST, f"`{field}` is missing.", {"param": field}) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Refused(Reason.INVALID_REQUEST, "`model` must be a string.", {"param": "model"}) from None
    if not model:
        raise Refused(Reason.INVALID_REQUEST, "`model` is empty: name the model to call.", {"param": "model"})
    if len(model) > MAX_MODEL_NAME:
        message = f"`model` is longer than any model's name: {MAX_MODEL_NAME} characters at most."
        raise Refused(Reason.INVALID_REQUEST, message, {"param": "model"})
    if messages[:1] != b"[":
        raise Refused(Reason.INVALID_REQUEST, "`messages` must be an array of messages.", {"param": "messages"})
    known = fields.keys() <= PLAIN_FIELDS
    if not known:
        _refuse_look_alikes(fields)
    # A part of a message says its type, or is named for its medium; without either there is only text. An escape could
    # hide a letter of the word.
    plain = (
        known
        and b'"type"' not in messages
        and b"\\u" not in messages
        and b'_url"' not in messages
        and not any(name in messages for name in _MEDIA_NAMES)
    )
    request = ChatRequest(fields, model, len(body), plain)
    for field in fields.keys() & _READ_FIELDS:
        _READ_FIELDS[field](request, fields[field])
    return request


def _refuse_look_alikes(fields: dict[str, Raw]) -> None:
    """Some providers read keys whatever their case: one that is not ours to read must not be theirs to act on."""
    for name in fields:
        if name not in MEANT_FIELDS and name.casefold() in MEANT_FIELDS:
            raise Refused(
                Reason.INVALID_REQUEST, f"`{name}` is not a parameter: `{name.casefold()}` is.", {"param": name}
            )


def _read_stream(request: ChatRequest, raw: Raw) -> None:
    request.stream = bool(_typed(raw, bool | None, "stream", "true or false"))


def _read_stream_options(request: ChatRequest, raw: Raw) -> None:
    options = _typed(raw, dict[str, Any] | None, "stream_options", "an object")
    request.include_usage = bool(options and options.get("include_usage") is True)


def _read_n(request: ChatRequest, raw: Raw) -> None:
    value = _typed(raw, int | None, "n", "a whole number")
    request.n = 1 if value is None else value
    if not 1 <= request.n <= 128:
        raise Refused(Reason.INVALID_REQUEST, "`n` must be from 1 to 128.", {"param": "n"})


def _read_limit(request: ChatRequest, raw: Raw) -> None:
    value: int | None = _typed(raw, int | None, "max_tokens", "a whole number")
    if value is None:
        return
    if not 1 <= value <= 10_000_000:
        raise Refused(Reason.INVALID_REQUEST, "`max_tokens` must be from 1 to 10,000,000.", {"param": "max_tokens"})
    # Both may be given, and providers differ in which of the two wins: the larger one bounds the cost whichever it is.
    request.max_tokens = value if request.max_tokens is None else max(value, request.max_tokens)


_READ_FIELDS: Mapping[str, Callable[[ChatRequest, Raw], None]] = {
    "stream": _read_stream,
    "stream_options": _read_stream_options,
    "n": _read_n,
    "max_tokens": _read_limit,
    "max_completion_tokens": _read_limit,
}

PLAIN_FIELDS = frozenset(
    {
        *("model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "n"),
        *("temperature", "top_p", "stop", "seed", "presence_penalty", "frequency_penalty", "logit_bias"),
        *("logprobs", "top_logprobs", "response_format", "reasoning_effort", "verbosity", "user", "metadata", "store"),
        *("safety_identifier", "prompt_cache_key", "parallel_tool_calls", "tools", "tool_choice", "functions"),
    }
)
"""Fields that add nothing to a call's cost beyond their own bytes and the output limit."""

MEANT_FIELDS = PLAIN_FIELDS | {"service_tier", "web_search_options", "audio", "modalities", "prediction"}
"""Fields that decide what a call costs, or where it goes."""


def _typed(raw: Raw, kind: Any, field: str, expected: str) -> Any:
    try:
        return _decode_any(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refused(Reason.INVALID_REQUEST, f"`{field}` must be {expected}.", {"param": field}) from None


def body_for(request: ChatRequest, model: str, max_tokens: int | None) -> bytes:
    """The body to send upstream: the client's fields, but for the model's name there, an output limit that we set
    (None: nothing extra is sent), and the usage chunk that every stream is asked for."""
    fields = request.fields
    if request.stream and not request.include_usage:
        fields = {**fields, "stream_options": _with_usage(fields.get("stream_options"))}
    if model != request.model:
        fields = {**fields, "model": Raw(_encode(model))}
    if max_tokens is not None:
        fields = {**fields, limit_field(model): Raw(_encode(max_tokens))}
    return _encode(fields)


_REASONING_FAMILIES = ("o1", "o3", "o4", "gpt-5")


def limit_field(model: str) -> str:
    """The parameter that limits the answer's length: OpenAI's reasoning models know only the newer one."""
    return "max_completion_tokens" if thinks_unseen(model) else "max_tokens"


def thinks_unseen(model: str) -> bool:
    """Whether the model bills tokens that its answer does not show."""
    return model.startswith(_REASONING_FAMILIES)


def _with_usage(options: Raw | None) -> Raw:
    if options is None:
        return INCLUDE_USAGE
    return Raw(_encode({**(_decode_any(options, type=dict[str, Raw] | None) or {}), "include_usage": True}))


def has_media(request: ChatRequest) -> bool:
    """Whether a message carries something whose tokens its bytes don't bound: an image, audio, a file, a part of a type
    that we don't know."""
    raw = bytes(request.fields["messages"])
    if b"\\u" not in raw:
        typed = b'"type"' in raw
        if not typed and not any(name in raw for name in _MEDIA_NAMES):
            return False
        # A repeated key can hide a part from the decoded messages, but not from whoever reads the first of the two.
        if typed and any(part in raw for part in _MEDIA_PARTS):
            return True
    messages = _messages(request)
    parts = [part for m in messages if isinstance(m.get("content"), list) for part in m["content"]]
    return any(m.get("audio") is not None for m in messages) or not all(map(_is_text, parts))


_MEDIA_NAMES = (b'"audio"', b'_url"', b'"image', b'"file', b'"video', b'"input_audio"')
_TEXT_PART_KEYS = frozenset({"type", "text", "refusal", "cache_control", "annotations", "thinking", "signature"})


def _is_text(part: Any) -> bool:
    kind = part.get("type", "text") if isinstance(part, dict) else "text"
    if isinstance(part, dict) and not part.keys() <= _TEXT_PART_KEYS:
        return False
    return isinstance(kind, str) and kind in _TEXT_TYPES


def texts(request: ChatRequest) -> list[str]:
    """Every string of the messages and tools that the model reads, decoded."""
    found: list[str] = []
    for message in _messages(request):
        _collect(message.get("content"), found)
        _collect(message.get("tool_calls"), found)
    if "tools" in request.fields:
        _collect(_value(request, "tools"), found)
    return found


def prompt_strings(request: ChatRequest) -> list[str]:
    """Every string that may become a part of the prompt, names of fields too: what an exact count must count."""
    found: list[str] = []
    for field in request.fields.keys() & _PROMPT_FIELDS:
        _collect(_value(request, field), found, names=True)
    return found


_PROMPT_FIELDS = frozenset({"messages", "tools", "tool_choice", "functions", "function_call", "response_format"})


def _value(request: ChatRequest, field: str) -> Any:
    """A field's value, decoded. Raises Refused(INVALID_JSON) for a number that no number type holds, and the like."""
    try:
        return _decode_any(request.fields[field])
    except RecursionError:
        raise Refused(Reason.INVALID_JSON, f"`{field}` is nested too deeply.", {"param": field}) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(Reason.INVALID_JSON, f"`{field}` is not valid JSON: {error}.", {"param": field}) from None


def _messages(request: ChatRequest) -> list[dict[str, Any]]:
    return [message for message in _value(request, "messages") if isinstance(message, dict)]


def _collect(value: Any, found: list[str], names: bool = False) -> None:
    rest = [value]
    while rest:
        value = rest.pop()
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, list):
            rest += reversed(value)
        elif isinstance(value, dict):
            rest += reversed(value.values())
            if names:
                rest += value


_NOT_IN_CACHE_KEY = frozenset({"stream", "stream_options", "user", "metadata"})


def cacheable_form(request: ChatRequest) -> bytes:
    """The request's canonical JSON without what can't change the answer: equal questions have equal forms."""
    fields = {name: _value(request, name) for name in request.fields if name not in _NOT_IN_CACHE_KEY}
    return msgspec.json.encode(fields, order="deterministic")


def is_deterministic(request: ChatRequest) -> bool:
    """Whether the client asked for temperature 0."""
    if "temperature" not in request.fields:
        return False
    temperature = _value(request, "temperature")
    return temperature == 0 and temperature is not False
