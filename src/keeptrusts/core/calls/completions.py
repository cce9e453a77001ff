"""OpenAI's older completions, and embeddings, as a client sends them."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from msgspec import Raw

from keeptrusts.core.calls.chat import read_stream_options
from keeptrusts.core.calls.request import (
    SETTINGS,
    TextRequest,
    count_reader,
    limit_reader,
    missing,
    read_envelope,
    read_model,
    read_stream,
    refuse_look_alikes,
)
from keeptrusts.core.refusal import Reason, Refused

DEFAULT_MAX_TOKENS = 16
"""What a completion's answer is limited to when the client says nothing (OpenAI's API reference, ``max_tokens``)."""

MOST_PROMPTS = 2_048

MEANT_COMPLETION_FIELDS = frozenset(
    {"model", "prompt", "max_tokens", "stream", "stream_options", "n", "best_of", "echo", "suffix", "user"}
)
MEANT_EMBEDDING_FIELDS = frozenset({"model", "input", "dimensions", "encoding_format", "user"})


class CompletionRequest(TextRequest):
    """``POST /v1/completions``."""

    door: ClassVar[str] = "completions"
    prompt_fields: ClassVar[frozenset[str]] = frozenset({"prompt", "suffix"})
    settings: ClassVar[frozenset[str]] = SETTINGS | {"best_of", "echo"}
    beside_the_answer: ClassVar[frozenset[str]] = frozenset({"stream", "stream_options", "user"})
    takes_token_ids: ClassVar[bool] = True
    include_usage = False

    def has_media(self) -> bool:
        """See TextRequest."""
        return False


class EmbeddingRequest(TextRequest):
    """``POST /v1/embeddings``. No answer is written, so none is limited."""

    door: ClassVar[str] = "embeddings"
    prompt_fields: ClassVar[frozenset[str]] = frozenset({"input"})
    settings: ClassVar[frozenset[str]] = SETTINGS | {"dimensions", "encoding_format"}
    beside_the_answer: ClassVar[frozenset[str]] = frozenset({"user"})
    takes_token_ids: ClassVar[bool] = True
    max_tokens: int | None = 0

    def has_media(self) -> bool:
        """See TextRequest."""
        return not all(isinstance(text, str | int) for text in _leaves(self.value("input")))


def _leaves(value: Any) -> list[Any]:
    rest, found = [value], []
    while rest:
        value = rest.pop()
        if isinstance(value, list):
            rest += value
        else:
            found.append(value)
    return found


def parse_completion(body: bytes) -> CompletionRequest:
    """Reads a request body. Raises Refused(INVALID_JSON or INVALID_REQUEST), naming the field that is wrong."""
    fields = read_envelope(body)
    model = read_model(fields)
    if "prompt" not in fields:
        raise missing("prompt")
    refuse_look_alikes(fields, MEANT_COMPLETION_FIELDS)
    request = CompletionRequest(fields, model, len(body))
    for field in fields.keys() & _READERS:
        _READERS[field](request, fields[field])
    if request.max_tokens is None:
        request.max_tokens = DEFAULT_MAX_TOKENS
    request.n *= _prompts(request.value("prompt"))
    return request


def _prompts(prompt: Any) -> int:
    """How many prompts there are: each is answered. A list of numbers is one prompt, as tokens."""
    if not isinstance(prompt, list) or all(isinstance(token, int) for token in prompt):
        return 1
    if len(prompt) > MOST_PROMPTS:
        raise Refused(Reason.INVALID_REQUEST, f"`prompt` has more than {MOST_PROMPTS} prompts.", {"param": "prompt"})
    return max(1, len(prompt))


_READERS: Mapping[str, Callable[[TextRequest, Raw], None]] = {
    "stream": read_stream,
    "stream_options": read_stream_options,
    "n": count_reader("n", 128),
    "best_of": count_reader("best_of", 20),
    "max_tokens": limit_reader("max_tokens"),
}


def parse_embedding(body: bytes) -> EmbeddingRequest:
    """Reads a request body. Raises Refused(INVALID_JSON or INVALID_REQUEST), naming the field that is wrong."""
    fields = read_envelope(body)
    model = read_model(fields)
    if "input" not in fields:
        raise missing("input")
    refuse_look_alikes(fields, MEANT_EMBEDDING_FIELDS)
    return EmbeddingRequest(fields, model, len(body))
