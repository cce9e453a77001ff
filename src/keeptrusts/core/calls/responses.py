"""OpenAI's Responses as a client sends them."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from msgspec import Raw

from keeptrusts.core.calls.chat import refuse_server_tools
from keeptrusts.core.calls.request import (
    NOTHING,
    SETTINGS,
    TextRequest,
    encode,
    limit_reader,
    missing,
    read_envelope,
    read_model,
    read_stream,
    refuse_look_alikes,
)
from keeptrusts.core.calls.sealed_ids import Seals
from keeptrusts.core.refusal import Reason, Refused

_TEXT_ITEMS = frozenset({None, "message", "function_call", "function_call_output", "reasoning"})
_TEXT_PARTS = frozenset({"input_text", "output_text", "refusal", "summary_text", "reasoning_text"})
PREVIOUS = "previous_response_id"
_REMEMBERED = (PREVIOUS, "conversation", "prompt")
"""Fields that stand for input which only the provider knows."""

MEANT_FIELDS = frozenset(
    {
        *("model", "input", "instructions", "max_output_tokens", "stream", "tools", "tool_choice", "text", "reasoning"),
        *("temperature", "top_p", "metadata", "service_tier", "background", "include", "store", *_REMEMBERED),
    }
)


class ResponsesRequest(TextRequest):
    """``POST /v1/responses``."""

    door: ClassVar[str] = "responses"
    prompt_fields: ClassVar[frozenset[str]] = frozenset({"input", "instructions", "tools", "tool_choice", "text"})
    settings: ClassVar[frozenset[str]] = SETTINGS | {
        *(PREVIOUS, "conversation", "background", "include", "reasoning", "truncation", "max_tool_calls"),
    }
    beside_the_answer: ClassVar[frozenset[str]] = frozenset({"stream", "stream_options", "user", "metadata"})
    passing_fields: ClassVar[frozenset[str]] = frozenset({"conversation", "background"})

    seals: Seals | None = None

    def sealed_by(self, seals: Seals) -> None:
        """Takes the seals of the caller's team. Raises Refused when the call goes on from an answer that is not the team's."""
        self.seals = seals
        given = self.value(PREVIOUS) if PREVIOUS in self.fields else None
        if not isinstance(given, str | None):
            raise Refused(Reason.INVALID_REQUEST, f"`{PREVIOUS}` must be a string.", {"param": PREVIOUS})
        if given is not None:
            self.fields[PREVIOUS] = Raw(encode(seals.opened(given, PREVIOUS)))

    def has_media(self) -> bool:
        """See TextRequest."""
        if any(name in self.fields and bytes(self.fields[name]) not in NOTHING for name in _REMEMBERED):
            return True
        items = self.value("input")
        return isinstance(items, list) and any(map(_is_media, items))

    def refuse_unbounded(self) -> None:
        """See TextRequest."""
        refuse_server_tools(self, frozenset({"function", "custom"}))


def _is_media(item: Any) -> bool:
    if not isinstance(item, dict):
        return False
    kind = item.get("type")
    if not isinstance(kind, str | None) or kind not in _TEXT_ITEMS:
        return True
    content = item.get("output") if kind == "function_call_output" else item.get("content")
    return isinstance(content, list) and not all(map(_is_text, content))


def _is_text(part: Any) -> bool:
    return isinstance(part, dict) and isinstance(part.get("type"), str) and part["type"] in _TEXT_PARTS


def parse_responses(body: bytes) -> ResponsesRequest:
    """Reads a request body. Raises Refused(INVALID_JSON or INVALID_REQUEST), naming the field that is wrong."""
    fields = read_envelope(body)
    model = read_model(fields)
    if "input" not in fields:
        raise missing("input")
    refuse_look_alikes(fields, MEANT_FIELDS)
    if "background" in fields and bytes(fields["background"]) not in NOTHING:
        message = "`background` is not served here: an answer that is fetched later can't be accounted to a call."
        raise Refused(Reason.INVALID_REQUEST, message, {"param": "background"})
    request = ResponsesRequest(fields, model, len(body))
    for field in fields.keys() & _READERS:
        _READERS[field](request, fields[field])
    return request


_READERS: Mapping[str, Callable[[TextRequest, Raw], None]] = {
    "stream": read_stream,
    "max_output_tokens": limit_reader("max_output_tokens"),
}
