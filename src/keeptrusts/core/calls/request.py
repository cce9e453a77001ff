"""A text call as the gateway reads it: parsed once into an envelope whose fields stay as they were written.

What is sent upstream is written from this envelope again, so that the provider reads exactly what was checked and priced
(a repeated JSON key, for one, can't show us one value and the provider another).
"""

import json
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from typing import Any, ClassVar

import msgspec
from msgspec import Raw

from keeptrusts.core.calls.conversation import Conversation
from keeptrusts.core.calls.json_size import refuse_too_many
from keeptrusts.core.calls.sealed_ids import Seals
from keeptrusts.core.calls.words import mentions, reworded, words
from keeptrusts.core.refusal import Reason, Refused

_decode_envelope = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_any = msgspec.json.decode
_decode_text = msgspec.json.Decoder(str).decode
encode = msgspec.json.Encoder().encode

MAX_MODEL_NAME = 256

SETTINGS = frozenset(
    {
        *("model", "stream", "stream_options", "n", "max_tokens", "max_completion_tokens", "max_output_tokens", "stop"),
        *("temperature", "top_p", "top_k", "min_p", "seed", "presence_penalty", "frequency_penalty", "logit_bias"),
        *("logprobs", "top_logprobs", "user", "metadata", "store", "service_tier", "safety_identifier", "modalities"),
        *("prompt_cache_key", "prompt_cache_retention", "parallel_tool_calls", "reasoning_effort", "verbosity"),
    }
)
"""What many dialects call what is said to a provider and not to a model."""


class TextRequest:
    """``fields`` are the body's top-level values, unparsed. ``max_tokens`` is the client's output limit for each answer,
    ``n`` how many answers it wants.

    ``plain``: nothing in it but text and sampling settings, so that its bytes and its limit bound its cost.
    """

    door: ClassVar[str]
    """The client's dialect, by the name of its route."""
    prompt_fields: ClassVar[frozenset[str]]
    """Fields whose strings may become a part of the prompt."""
    settings: ClassVar[frozenset[str]]
    """Fields that no model reads as words. Policies judge all others, whether we know them or not."""
    beside_the_answer: ClassVar[frozenset[str]]
    """Fields that can't change the answer."""
    unbounded_fields: ClassVar[Mapping[str, str]] = {}
    """Fields that nothing in the request bounds the cost of, and why."""
    passing_fields: ClassVar[frozenset[str]] = frozenset()
    """Fields by which the answer depends on more than the request, or by which the call does more than answer."""

    takes_token_ids: ClassVar[bool] = False
    """Whether whole numbers in its prompt stand for tokens, one each."""

    asked: Conversation | None = None
    """The request in its neutral form, once it was translated."""

    max_tokens: int | None = None
    stream = False
    include_usage = True
    n = 1
    content_type = "application/json"
    repeats = True
    """Whether an equal question may be given the answer that was paid for before."""
    binary = False
    """Whether the answer is no JSON and no stream of events, but passed on as the bytes that come."""

    def __init__(self, fields: dict[str, Raw], model: str, size_bytes: int, plain: bool = False) -> None:
        self.fields = fields
        self.model = model
        self.size_bytes = size_bytes
        self.plain = plain

    def value(self, field: str) -> Any:
        """A field's value, decoded. Raises Refused(INVALID_JSON) for a number that no number type holds, and the like."""
        try:
            return _decode_any(self.fields[field])
        except RecursionError:
            raise Refused(Reason.INVALID_JSON, f"`{field}` is nested too deeply.", {"param": field}) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Refused(Reason.INVALID_JSON, f"`{field}` is not valid JSON: {error}.", {"param": field}) from None

    def decoded(self) -> dict[str, Any]:
        """All fields, decoded. Raises Refused(INVALID_JSON)."""
        return {name: self.value(name) for name in self.fields}

    def texts(self) -> Iterator[str]:
        """Every string that the model reads as words, decoded."""
        for field in sorted(self.fields.keys() - self.settings):
            yield from words(self.value(field), free=field not in self.prompt_fields)

    def reword(self, others: Mapping[str, str], every: bool = False) -> Generator[None, None, None]:
        """Puts other words in the place of those that ``others`` names, in steps. Fields with such words are written anew,
        from what was read of them; ``every`` field is, where what was checked must be all that is sent: a repeated key can
        hide a word from who reads the last of the two."""
        for field in sorted(self.fields.keys() - self.settings):
            value, free = self.value(field), field not in self.prompt_fields
            if others and (yield from mentions(value, others, free)):
                value = yield from reworded(value, others, free)
            elif not every:
                continue
            changed = Raw(encode(value))
            self.size_bytes += len(bytes(changed)) - len(bytes(self.fields[field]))
            self.fields = {**self.fields, field: changed}

    def write_anew(self, fields: Iterable[str]) -> None:
        """What was read of these fields is what is sent: a repeated key can't show the provider another value."""
        for field in self.fields.keys() & frozenset(fields):
            self.fields = {**self.fields, field: Raw(encode(self.value(field)))}

    def prompt_strings(self) -> list[str]:
        """Every string that may become a part of the prompt, names of fields too: what an exact count must count."""
        fields = self.fields.keys() & self.prompt_fields
        return [text for field in fields for text in strings(self.value(field), names=True)]

    def prompt_rest(self) -> int:
        """At most the tokens of all that may become a part of the prompt and is no string: numbers, brackets and the like."""
        fields = self.fields.keys() & self.prompt_fields
        return sum(_rest_tokens(self.value(field), self.takes_token_ids) for field in fields)

    def judged(self, body: bytes) -> bytes:
        """The JSON text that holds all that the model reads as words: the ``body`` that it was read from."""
        return body

    def sealed_by(self, seals: Seals) -> None:
        """Takes the seals of the caller's team, where the provider remembers answers by their ids."""
        raise AssertionError("only answers that are remembered have sealed ids")

    def has_media(self) -> bool:
        """Whether the prompt carries something whose tokens its bytes don't bound: an image, audio, a file, a part of a
        type that we don't know, a conversation that the provider remembers."""
        raise NotImplementedError

    def refuse_unbounded(self) -> None:
        """Raises Refused(UNBOUNDED_COST) for a call whose cost nothing in the request bounds."""
        for field, why in self.unbounded_fields.items():
            if field in self.fields and bytes(self.fields[field]) not in NOTHING:
                raise unbounded(field, why)

    def cacheable_form(self) -> bytes:
        """The request's canonical JSON without what can't change the answer: equal questions have equal forms."""
        fields = {name: self.value(name) for name in self.fields if name not in self.beside_the_answer}
        return msgspec.json.encode([self.door, fields], order="deterministic")

    def is_passing(self) -> bool:
        """Whether the same request may rightly be answered otherwise the next time."""
        return any(bytes(self.fields[name]) not in NOTHING for name in self.fields.keys() & self.passing_fields)

    def says_a_key_twice(self) -> bool:
        """Whether an object inside it has a key twice, or may have: providers differ in which of the two they go by."""
        try:
            for raw in map(bytes, self.fields.values()):
                if b"{" in raw:
                    _read_once(raw.decode())
        except (ValueError, RecursionError):
            return True
        return False

    def is_deterministic(self) -> bool:
        """Whether the client asked for temperature 0."""
        if "temperature" not in self.fields:
            return False
        temperature = self.value("temperature")
        return temperature == 0 and temperature is not False


def _once(pairs: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a key twice")


_read_once = json.JSONDecoder(object_pairs_hook=_once, parse_int=str, parse_float=str).decode
NOTHING = (b"null", b"false", b"[]")


def unbounded(field: str, why: str) -> Refused:
    """The refusal of a parameter under a budget."""
    return Refused(
        Reason.UNBOUNDED_COST,
        f"`{field}` can't be used under a budget: {why}, and nothing in the request limits it.",
        {"param": field},
    )


def read_envelope(body: bytes) -> dict[str, Raw]:
    """The body's top-level fields. Raises Refused(INVALID_JSON, INVALID_REQUEST or BODY_TOO_LARGE)."""
    refuse_too_many(body)
    if not body.isascii():
        try:
            body.decode()
        except UnicodeDecodeError as error:
            raise Refused(Reason.INVALID_JSON, f"The body is not valid UTF-8 (byte {error.start}).") from None
    try:
        return _decode_envelope(body)
    except RecursionError:
        raise Refused(Reason.INVALID_JSON, "The body's JSON is nested too deeply.") from None
    except msgspec.ValidationError:
        raise Refused(Reason.INVALID_REQUEST, "The body must be a JSON object.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(Reason.INVALID_JSON, f"The body is not valid JSON: {error}.") from None


def missing(field: str) -> Refused:
    """The refusal of a request that lacks a field."""
    return Refused(Reason.INVALID_REQUEST, f"`{field}` is missing.", {"param": field})


def read_model(fields: Mapping[str, Raw]) -> str:
    """The model that is asked for. Raises Refused(INVALID_REQUEST)."""
    try:
        model: str = _decode_text(fields["model"])
    except KeyError:
        raise missing("model") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Refused(Reason.INVALID_REQUEST, "`model` must be a string.", {"param": "model"}) from None
    if not model:
        raise Refused(Reason.INVALID_REQUEST, "`model` is empty: name the model to call.", {"param": "model"})
    if len(model) > MAX_MODEL_NAME:
        message = f"`model` is longer than any model's name: {MAX_MODEL_NAME} characters at most."
        raise Refused(Reason.INVALID_REQUEST, message, {"param": "model"})
    return model


def refuse_look_alikes(fields: Mapping[str, Raw], meant: frozenset[str]) -> None:
    """Some providers read keys whatever their case: one that is not ours to read must not be theirs to act on."""
    for name in fields:
        if name not in meant and name.casefold() in meant:
            raise Refused(
                Reason.INVALID_REQUEST, f"`{name}` is not a parameter: `{name.casefold()}` is.", {"param": name}
            )


def typed(raw: Raw, kind: Any, field: str, expected: str) -> Any:
    """A field's value of a type. Raises Refused(INVALID_REQUEST), saying what is expected."""
    try:
        return _decode_any(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refused(Reason.INVALID_REQUEST, f"`{field}` must be {expected}.", {"param": field}) from None


def read_stream(request: TextRequest, raw: Raw) -> None:
    """``stream``."""
    request.stream = bool(typed(raw, bool | None, "stream", "true or false"))


def limit_reader(field: str) -> Callable[[TextRequest, Raw], None]:
    """Reads an output limit under this name. Both of two names may be given, and providers differ in which of them wins:
    the larger one bounds the cost whichever it is."""

    def read(request: TextRequest, raw: Raw) -> None:
        value: int | None = typed(raw, int | None, field, "a whole number")
        if value is None:
            return
        if not 1 <= value <= 10_000_000:
            raise Refused(Reason.INVALID_REQUEST, f"`{field}` must be from 1 to 10,000,000.", {"param": field})
        request.max_tokens = value if request.max_tokens is None else max(value, request.max_tokens)

    return read


def count_reader(field: str, most: int) -> Callable[[TextRequest, Raw], None]:
    """Reads how many answers are wanted."""

    def read(request: TextRequest, raw: Raw) -> None:
        value = typed(raw, int | None, field, "a whole number")
        count = 1 if value is None else value
        if not 1 <= count <= most:
            raise Refused(Reason.INVALID_REQUEST, f"`{field}` must be from 1 to {most}.", {"param": field})
        request.n = max(request.n, count)

    return read


def strings(value: Any, names: bool = False) -> Iterator[str]:
    """Every string in a JSON value, in order; names of fields too when asked. A stack in place of recursion, since callers
    may nest as they like."""
    rest = [value]
    while rest:
        value = rest.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            rest += reversed(value)
        elif isinstance(value, dict):
            rest += reversed(value.values())
            if names:
                rest += value


def _rest_tokens(value: Any, ids: bool) -> int:
    """A token of JSON is never less than a byte of it, and most things are followed by a comma."""
    rest, tokens = [value], 0
    while rest:
        value = rest.pop()
        if isinstance(value, list | dict):
            tokens += 0 if ids else 1 if value else 3
            rest += value if isinstance(value, list) else value.values()
        elif not isinstance(value, str):
            tokens += 1 if ids and type(value) is int else len(repr(value)) + 1
    return tokens
