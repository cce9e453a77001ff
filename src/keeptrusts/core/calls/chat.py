"""OpenAI's chat completions as a client sends them."""

import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from msgspec import Raw

from keeptrusts.core.calls.request import (
    SETTINGS,
    TextRequest,
    count_reader,
    encode,
    limit_reader,
    missing,
    read_envelope,
    read_model,
    read_stream,
    refuse_look_alikes,
    typed,
    unbounded,
)
from keeptrusts.core.refusal import Reason, Refused

INCLUDE_USAGE = Raw(b'{"include_usage":true}')
_MEDIA_PARTS = (b'"image_url"', b'"input_audio"', b'"file"', b'"file_id"', b'"video_url"')
_MEDIA_NAME = re.compile(rb'"(?:audio"|image|file|video|input_audio")')
_TYPE_OR_MEDIA_NAME = re.compile(rb'"(?:type"|audio"|image|file|video|input_audio")')
"""Patterns that begin with one certain byte, and ``_holds``, find that byte at the speed of memory: a search for a word takes a
hundred times longer, which a long prompt feels."""

_TEXT_TYPES = frozenset({"text", "refusal"})
_TEXT_PART_KEYS = frozenset({"type", "text", "refusal", "cache_control", "annotations", "thinking", "signature"})

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


class ChatRequest(TextRequest):
    """``POST /v1/chat/completions``."""

    door: ClassVar[str] = "chat"
    prompt_fields: ClassVar[frozenset[str]] = frozenset(
        {"messages", "tools", "tool_choice", "functions", "function_call", "response_format"}
    )
    settings: ClassVar[frozenset[str]] = SETTINGS | {"audio", "web_search_options"}
    beside_the_answer: ClassVar[frozenset[str]] = frozenset({"stream", "stream_options", "user", "metadata"})
    unbounded_fields: ClassVar[Mapping[str, str]] = {
        "web_search_options": "a web search is billed by what it finds",
    }
    passing_fields: ClassVar[frozenset[str]] = frozenset({"web_search_options"})
    include_usage = False

    def has_media(self) -> bool:
        """See TextRequest."""
        raw = bytes(self.fields["messages"])
        if not _holds(raw, b"\\u"):
            says_types = b'"type"' in raw
            if not says_types and _MEDIA_NAME.search(raw) is None and not _holds(raw, b'_url"'):
                return False
            # A repeated key can hide a part from the decoded messages, but not from whoever reads the first of the two.
            if says_types and any(part in raw for part in _MEDIA_PARTS):
                return True
        messages = self._messages()
        parts = [part for m in messages if isinstance(m.get("content"), list) for part in m["content"]]
        return any(m.get("audio") is not None for m in messages) or not all(map(_is_text, parts))

    def brings_sound(self) -> bool:
        """Whether a message holds sound."""
        raw = bytes(self.fields["messages"])
        return b'"input_audio"' in (encode(self.value("messages")) if b"\\u" in raw else raw)

    def _messages(self) -> list[dict[str, Any]]:
        return [message for message in self.value("messages") if isinstance(message, dict)]


def parse_chat(body: bytes) -> ChatRequest:
    """Reads a request body. Raises Refused(INVALID_JSON or INVALID_REQUEST), naming the field that is wrong."""
    fields = read_envelope(body)
    model = read_model(fields)
    if "messages" not in fields:
        raise missing("messages")
    messages = bytes(fields["messages"])
    if messages[:1] != b"[":
        raise Refused(Reason.INVALID_REQUEST, "`messages` must be an array of messages.", {"param": "messages"})
    known = fields.keys() <= PLAIN_FIELDS
    if not known:
        refuse_look_alikes(fields, MEANT_FIELDS)
    # A part of a message says its type, or is named for its medium; without either there is only text. An escape could
    # hide a letter of the word.
    plain = (
        known
        and _TYPE_OR_MEDIA_NAME.search(messages) is None
        and not _holds(messages, b"\\u")
        and not _holds(messages, b'_url"')
    )
    request = ChatRequest(fields, model, len(body), plain)
    for field in fields.keys() & _READERS:
        _READERS[field](request, fields[field])
    return request


def _holds(text: bytes, word: bytes) -> bool:
    # Not `in`: for bytes it makes an exception, and drops it, before it looks.
    return text.find(word[0]) >= 0 and text.find(word) >= 0


def read_stream_options(request: TextRequest, raw: Raw) -> None:
    """``stream_options``: whether the client wants to be told a stream's usage."""
    options = typed(raw, dict[str, Any] | None, "stream_options", "an object")
    request.include_usage = bool(options and options.get("include_usage") is True)


_READERS: Mapping[str, Callable[[TextRequest, Raw], None]] = {
    "stream": read_stream,
    "stream_options": read_stream_options,
    "n": count_reader("n", 128),
    "max_tokens": limit_reader("max_tokens"),
    "max_completion_tokens": limit_reader("max_completion_tokens"),
}


def body_for(request: TextRequest, model: str, max_tokens: int | None) -> bytes:
    """The body to send to a provider of the same dialect: the client's fields, but for the model's name there, an output
    limit that we set (None: nothing extra is sent), and the usage chunk that every stream is asked for."""
    fields = request.fields
    if request.stream and not request.include_usage:
        fields = {**fields, "stream_options": _with_usage(request)}
    if model != request.model:
        fields = {**fields, "model": Raw(encode(model))}
    if max_tokens is not None:
        fields = {**fields, limit_field(model): Raw(encode(max_tokens))}
    return encode(fields)


_REASONING_FAMILIES = ("o1", "o3", "o4", "gpt-5", "gpt-6")


def limit_field(model: str) -> str:
    """The parameter that limits the answer's length: OpenAI's reasoning models know only the newer one."""
    return "max_completion_tokens" if thinks_unseen(model) else "max_tokens"


def thinks_unseen(model: str) -> bool:
    """Whether the model bills tokens that its answer does not show."""
    return model.startswith(_REASONING_FAMILIES)


def _with_usage(request: TextRequest) -> Raw:
    options = request.fields.get("stream_options")
    if options is None:
        return INCLUDE_USAGE
    kept = typed(options, dict[str, Raw] | None, "stream_options", "an object") or {}
    return Raw(encode({**kept, "include_usage": True}))


def refuse_server_tools(request: TextRequest, own: frozenset[str | None]) -> None:
    """Raises Refused(UNBOUNDED_COST) for a tool that runs at the provider; ``own`` are the types that run at the client's."""
    tools = request.value("tools") if "tools" in request.fields else None
    for tool in tools if isinstance(tools, list) else ():
        kind = tool.get("type") if isinstance(tool, dict) else None
        if not isinstance(kind, str | None) or kind not in own:
            raise unbounded("tools", f"a tool of type {kind!r} runs at the provider and is billed by what it does")


def _is_text(part: Any) -> bool:
    kind = part.get("type", "text") if isinstance(part, dict) else "text"
    if isinstance(part, dict) and not part.keys() <= _TEXT_PART_KEYS:
        return False
    return isinstance(kind, str) and kind in _TEXT_TYPES
