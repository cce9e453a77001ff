"""Anthropic's Messages as a client sends them."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

from msgspec import Raw

from keeptrusts.core.calls.chat import refuse_server_tools
from keeptrusts.core.calls.request import (
    SETTINGS,
    TextRequest,
    limit_reader,
    missing,
    read_envelope,
    read_model,
    read_stream,
    refuse_look_alikes,
)
from keeptrusts.core.refusal import Reason, Refused

_TEXT_TYPES = frozenset({"text", "thinking", "redacted_thinking", "tool_use", "tool_result"})
MEANT_FIELDS = frozenset(
    {
        *("model", "messages", "system", "max_tokens", "stream", "tools", "tool_choice", "stop_sequences", "thinking"),
        *("temperature", "top_p", "top_k", "metadata", "service_tier", "mcp_servers", "container", "output_config"),
    }
)


class MessagesRequest(TextRequest):
    """``POST /v1/messages``."""

    door: ClassVar[str] = "messages"
    prompt_fields: ClassVar[frozenset[str]] = frozenset({"system", "messages", "tools", "tool_choice", "output_config"})
    settings: ClassVar[frozenset[str]] = SETTINGS | {
        *("stop_sequences", "thinking", "container", "mcp_servers", "speed", "inference_geo", "context_management"),
    }
    beside_the_answer: ClassVar[frozenset[str]] = frozenset({"stream", "metadata"})
    unbounded_fields: ClassVar[Mapping[str, str]] = {
        "mcp_servers": "what its servers answer is billed as input",
        "container": "code that runs at the provider is billed by its time",
        "speed": "another speed has a price of its own",
        "inference_geo": "another region has a price of its own",
    }
    passing_fields: ClassVar[frozenset[str]] = frozenset({"mcp_servers", "container"})

    def has_media(self) -> bool:
        """See TextRequest."""
        return any(_is_media(block) for block in self._blocks())

    def refuse_unbounded(self) -> None:
        """See TextRequest."""
        super().refuse_unbounded()
        refuse_server_tools(self, frozenset({None, "custom"}))

    def _blocks(self) -> Iterator[Any]:
        messages = self.value("messages")
        rest: list[Any] = [m.get("content") for m in messages if isinstance(m, dict)]
        if "system" in self.fields:
            rest.append(self.value("system"))
        while rest:
            content = rest.pop()
            for block in content if isinstance(content, list) else ():
                yield block
                if isinstance(block, dict) and block.get("type") == "tool_result":
                    rest.append(block.get("content"))


def _is_media(block: Any) -> bool:
    kind = block.get("type") if isinstance(block, dict) else "text"
    return not (isinstance(kind, str) and kind in _TEXT_TYPES)


def parse_messages(body: bytes, counting: bool = False) -> MessagesRequest:
    """Reads a request body; ``counting``: its tokens are only to be counted, and it limits no answer.

    Raises Refused(INVALID_JSON or INVALID_REQUEST), naming the field that is wrong.
    """
    fields = read_envelope(body)
    model = read_model(fields)
    if "messages" not in fields:
        raise missing("messages")
    if bytes(fields["messages"])[:1] != b"[":
        raise Refused(Reason.INVALID_REQUEST, "`messages` must be an array of messages.", {"param": "messages"})
    refuse_look_alikes(fields, MEANT_FIELDS)
    request = MessagesRequest(fields, model, len(body))
    for field in fields.keys() & _READERS:
        _READERS[field](request, fields[field])
    if request.max_tokens is None and not counting:
        raise missing("max_tokens")
    return request


_READERS: Mapping[str, Callable[[TextRequest, Raw], None]] = {
    "stream": read_stream,
    "max_tokens": limit_reader("max_tokens"),
}
