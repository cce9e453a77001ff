"""The ``simulated`` provider: OpenAI's answers without OpenAI. The same request gets the same text, and usage is counted
with a real vocabulary, so that everything behind a provider can be tried without a key or a network."""

import re
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from keeptrusts.core.providers.simulated_text import words

CountTokens = Callable[[str], int]

SHORT_TOKENS = 18
LONG_TOKENS = 600
"""Then the sentence is finished: a short answer has about 25 tokens."""
ANSWER_TOKENS_MAX = 100_000
ASKS_FOR_LENGTH = re.compile(
    r"\b(?:long|essay|detailed|in detail|story|article|report|chapter|comprehensive)\b", re.IGNORECASE
)

TOKENS_PER_MESSAGE = 3
TOKENS_TO_BEGIN = 3
"""What OpenAI's chat format adds around each message, and before the answer (from OpenAI's guide to counting tokens)."""

DONE = b"data: [DONE]\n\n"


class Settings(Protocol):
    """How the provider behaves, as a target of the rulebook says. ``output_tokens`` None: the prompt decides."""

    @property
    def output_tokens(self) -> int | None: ...
    @property
    def fault_status(self) -> int: ...


class Wanted(Struct, frozen=True):
    """How long an answer should be: at least so many tokens, then to the end of the sentence or not a word more."""

    tokens: int
    whole_sentences: bool


class Spoken(Struct, frozen=True):
    """One choice of an answer, in the pieces in which it streams."""

    pieces: tuple[str, ...]
    finish_reason: str
    tokens: int


def simulate_reply(request: Mapping[str, Any], settings: Settings, count_tokens: CountTokens, now_s: int) -> bytes:
    """The body of a ``chat.completion``. ``now_s`` is the time that it carries."""
    seed = _seed(request)
    spoken = list(_answers(request, settings, count_tokens, seed))
    choices = [
        {
            "index": index,
            "message": {"role": "assistant", "content": "".join(choice.pieces), "refusal": None},
            "logprobs": None,
            "finish_reason": choice.finish_reason,
        }
        for index, choice in enumerate(spoken)
    ]
    usage = _usage(request, count_tokens, sum(choice.tokens for choice in spoken))
    return msgspec.json.encode(
        {**_envelope(request, "chat.completion", seed, now_s), "choices": choices, "usage": usage}
    )


def simulate_stream(
    request: Mapping[str, Any], settings: Settings, count_tokens: CountTokens, now_s: int
) -> Iterator[bytes]:
    """The server-sent events of the same answer, one by one: role, words, end of each choice, usage if asked, done."""
    seed = _seed(request)
    envelope = _envelope(request, "chat.completion.chunk", seed, now_s)
    is_told_usage = _wants_usage(request)
    # OpenAI's chunks carry `usage: null` until the last one, when it was asked for; else they do not have the field.
    unsaid: dict[str, Any] = {"usage": None} if is_told_usage else {}
    tokens = 0

    def chunk(index: int, delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return _event({**envelope, "choices": [choice], **unsaid})

    for index, spoken in enumerate(_answers(request, settings, count_tokens, seed)):
        yield chunk(index, {"role": "assistant", "content": "", "refusal": None})
        for piece in spoken.pieces:
            yield chunk(index, {"content": piece})
        yield chunk(index, {}, spoken.finish_reason)
        tokens += spoken.tokens
    if is_told_usage:
        yield _event({**envelope, "choices": [], "usage": _usage(request, count_tokens, tokens)})
    yield DONE


def simulated_fault(settings: Settings) -> bytes:
    """The error body that goes with ``fault_status``, as OpenAI words the envelope."""
    kind, code = FAULTS.get(
        settings.fault_status, ("server_error" if settings.fault_status >= 500 else "invalid_request_error", None)
    )
    message = f"This fault was asked for in the policy file (fault_status: {settings.fault_status})."
    return msgspec.json.encode({"error": {"message": message, "type": kind, "param": None, "code": code}})


FAULTS: Mapping[int, tuple[str, str | None]] = {
    401: ("invalid_request_error", "invalid_api_key"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
    503: ("server_error", "server_overloaded"),
}
"""OpenAI's type and code for the statuses that clients tell apart."""


def _answers(
    request: Mapping[str, Any], settings: Settings, count_tokens: CountTokens, seed: bytes
) -> Iterator[Spoken]:
    asked = settings.output_tokens
    wanted = _wanted(request) if asked is None else Wanted(min(asked, ANSWER_TOKENS_MAX), whole_sentences=False)
    limit = _limit(request)
    for index in range(_positive(request.get("n")) or 1):
        yield _speak(seed + index.to_bytes(2, "big"), wanted, limit, count_tokens)


def _speak(seed: bytes, wanted: Wanted, limit: int | None, count_tokens: CountTokens) -> Spoken:
    """Words until ``wanted`` is reached or ``limit`` tokens would be passed."""
    pieces: list[str] = []
    counts: dict[str, int] = {}
    tokens = 0
    finish_reason = "stop"
    for piece in words(seed):
        more = counts.get(piece) or counts.setdefault(piece, count_tokens(piece))
        if limit is not None and tokens + more > limit:
            finish_reason = "length"
            break
        pieces.append(piece)
        tokens += more
        if tokens >= wanted.tokens and (piece.endswith(".") or not wanted.whole_sentences):
            break
    # The pieces' counts add up to the text's as long as the vocabulary splits at blanks; the whole text decides.
    tokens = count_tokens("".join(pieces))
    while limit is not None and tokens > limit:
        pieces.pop()
        finish_reason = "length"
        tokens = count_tokens("".join(pieces))
    return Spoken(tuple(pieces), finish_reason, tokens)


def _usage(request: Mapping[str, Any], count_tokens: CountTokens, completion_tokens: int) -> dict[str, Any]:
    prompt_tokens = TOKENS_TO_BEGIN
    for message in _messages(request):
        prompt_tokens += TOKENS_PER_MESSAGE + sum(count_tokens(text) for text in _strings(message))
    if "tools" in request:
        prompt_tokens += sum(count_tokens(text) for text in _strings(request["tools"]))
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
    }


def _envelope(request: Mapping[str, Any], kind: str, seed: bytes, now_s: int) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-sim{seed.hex()[:26]}",
        "object": kind,
        "created": now_s,
        "model": request.get("model"),
        "system_fingerprint": "fp_simulated",
    }


def _seed(request: Mapping[str, Any]) -> bytes:
    """What was asked decides what is answered; how it is sent does not."""
    asked = [request.get("model"), request.get("messages"), request.get("seed")]
    return sha256(msgspec.json.encode(asked, order="deterministic")).digest()


def _wanted(request: Mapping[str, Any]) -> Wanted:
    asked = [text for message in _messages(request)[-1:] for text in _strings(message.get("content"))]
    is_long = any(ASKS_FOR_LENGTH.search(text) for text in asked)
    return Wanted(LONG_TOKENS if is_long else SHORT_TOKENS, whole_sentences=True)


def _limit(request: Mapping[str, Any]) -> int | None:
    return _positive(request.get("max_completion_tokens")) or _positive(request.get("max_tokens"))


def _wants_usage(request: Mapping[str, Any]) -> bool:
    options = request.get("stream_options")
    return isinstance(options, Mapping) and options.get("include_usage") is True


def _messages(request: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    messages = request.get("messages")
    return [m for m in messages if isinstance(m, Mapping)] if isinstance(messages, list) else []


def _strings(value: Any) -> Iterator[str]:
    """Every string in a JSON value, in order; a stack in place of recursion, since callers may nest as they like."""
    left = [value]
    while left:
        value = left.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, Mapping):
            left.extend(reversed(list(value.values())))
        elif isinstance(value, list):
            left.extend(reversed(value))


def _positive(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _event(chunk: Mapping[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(chunk) + b"\n\n"
