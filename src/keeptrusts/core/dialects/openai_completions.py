"""OpenAI's legacy completions, as applications speak them: one prompt, and its continuation as plain text.

Source: the ``CreateCompletionRequest`` and ``CreateCompletionResponse`` schemas of OpenAI's API description.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from keeptrusts.core.calls.conversation import (
    Begin,
    Broken,
    Choice,
    Conversation,
    Ended,
    Reply,
    Stopped,
    StopReason,
    StreamEvent,
    Text,
    TextDelta,
    Turn,
    UsageNews,
)
from keeptrusts.core.dialects.openai_chat_stream import ChunkWriter
from keeptrusts.core.dialects.openai_error import error_event, write_error
from keeptrusts.core.dialects.openai_fields import (
    SETTINGS,
    Fields,
    limit,
    read_model,
    read_settings,
    refuse_unsayable,
    refused,
)
from keeptrusts.core.dialects.openai_usage import write_usage

__all__ = ["StreamWriter", "read_request", "write_error", "write_reply"]

_encode = msgspec.json.Encoder().encode

DEFAULT_MAX_TOKENS = 16
"""What OpenAI's completions stop after when the application does not say: so they do here."""

_READ = frozenset({*SETTINGS, "model", "prompt", "stream_options", "max_tokens"})

_UNSAYABLE: Mapping[str, str] = {
    "suffix": "asks for text between two texts, which this model's provider can't write.",
    "echo": "asks for the prompt before the answer: put it there yourself.",
    "best_of": "asks for the best of several answers, which this model's provider does not choose.",
    "logprobs": "can't be told in this form by this model's provider: ask by chat completions.",
    "logit_bias": "names tokens of OpenAI's models, which this model does not know.",
}

_IDLE: Fields = {"suffix": ("",), "echo": (False,), "logit_bias": ({},)}
"""Values of those that ask for nothing; so does a ``best_of`` that is ``n``."""

_FINISH_REASONS: Mapping[StopReason, str] = {
    "stop": "stop",
    "stop_sequence": "stop",
    "tool_use": "stop",
    "length": "length",
    "pause": "length",
    "content_filter": "content_filter",
}


def read_request(fields: Fields) -> Conversation:
    """The conversation of one user's turn that a decoded request means. Raises Refused(INVALID_REQUEST) with the field's
    name."""
    settings = read_settings(fields)
    idle = {**_IDLE, "best_of": (settings.get("n", 1),)}
    refuse_unsayable(fields, _READ, _UNSAYABLE, idle)
    most = fields.get("max_tokens")
    return Conversation(
        model=read_model(fields),
        turns=(Turn("user", (Text(_read_prompt(fields.get("prompt"))),)),),
        max_tokens=DEFAULT_MAX_TOKENS if most is None else limit(most, "max_tokens"),
        **settings,
    )


def _read_prompt(prompt: Any) -> str:
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if isinstance(prompt, str):
        return prompt
    if isinstance(prompt, list) and prompt and all(isinstance(text, str) for text in prompt):
        raise refused("prompt", "must be one text with this model's provider: send a call for each.")
    raise refused("prompt", "must be a text: this model's provider can't read tokens, or none.")


def write_reply(reply: Reply, asked: Conversation) -> bytes:
    """The body of a whole answer: its text, without what was thought."""
    body: dict[str, Any] = {
        "id": reply.id,
        "object": "text_completion",
        "created": reply.created_s or 0,
        "model": reply.model or asked.model,
        "choices": [_write_choice(index, choice) for index, choice in enumerate(reply.choices)],
    }
    if reply.usage is not None:
        body["usage"] = write_usage(reply.usage)
    return _encode(body)


def _write_choice(index: int, choice: Choice) -> dict[str, Any]:
    text = "".join(part.text for part in choice.parts if isinstance(part, Text))
    return _piece(index, text, _FINISH_REASONS[choice.stop])


def _piece(index: int, text: str, finish_reason: str | None = None) -> dict[str, Any]:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": finish_reason}


class StreamWriter:
    """Writes a stream for an application, event by event. Nothing is written after its end, or after a failure."""

    def __init__(self, asked: Conversation, created_s: int) -> None:
        self._chunks = ChunkWriter(asked, created_s, "text_completion")
        self._over = False

    def write(self, event: StreamEvent) -> bytes:
        """The bytes of whole events that tell this one; none for what is no text."""
        write: Callable[[StreamWriter, Any], bytes] | None = _WRITERS.get(type(event))
        return b"" if write is None or self._over else write(self, event)

    def _begin(self, event: Begin) -> bytes:
        self._chunks.begin(event)
        return b""

    def _text(self, event: TextDelta) -> bytes:
        return self._chunks.chunk(_piece(event.choice, event.text))

    def _stopped(self, event: Stopped) -> bytes:
        return self._chunks.chunk(_piece(event.choice, "", _FINISH_REASONS[event.stop]))

    def _usage(self, event: UsageNews) -> bytes:
        self._chunks.note_usage(event)
        return b""

    def _ended(self, _: Ended) -> bytes:
        self._over = True
        return self._chunks.end()

    def _broken(self, event: Broken) -> bytes:
        self._over = True
        return error_event(event.message, event.kind)


_WRITERS: Mapping[type[Any], Any] = {
    Begin: StreamWriter._begin,
    TextDelta: StreamWriter._text,
    Stopped: StreamWriter._stopped,
    UsageNews: StreamWriter._usage,
    Ended: StreamWriter._ended,
    Broken: StreamWriter._broken,
}
