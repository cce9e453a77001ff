"""Between the two forms of an answer in OpenAI's chat and completions: a whole reply as a stream of events, and a
stream's events as a whole reply. ``replays.py`` has the other dialects."""

from collections.abc import Iterator
from typing import Any

import msgspec

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.decode

DONE_EVENT = b"data: [DONE]\n\n"
MAX_TOOL_CALLS = 1_024
HEAD = ("id", "created", "model", "system_fingerprint", "service_tier")
"""What every chunk says of the whole answer."""

NONSENSE = (
    msgspec.DecodeError,
    UnicodeDecodeError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    OverflowError,
    RecursionError,
)
"""What reading an answer can meet whose maker does not keep to the dialect."""


def as_stream(reply: bytes, include_usage: bool) -> bytes | None:
    """A whole reply as the events in which it would have come; None when it does not make sense."""
    try:
        return b"".join(map(_event, _chunks(_decode(reply, type=dict[str, Any]), include_usage))) + DONE_EVENT
    except NONSENSE:
        return None


def _chunks(reply: dict[str, Any], include_usage: bool) -> Iterator[dict[str, Any]]:
    head: dict[str, Any] = {name: reply[name] for name in HEAD if name in reply}
    head["object"] = "text_completion" if reply.get("object") == "text_completion" else "chat.completion.chunk"
    for choice in reply["choices"]:
        index = choice.get("index", 0)
        probabilities = {"logprobs": choice["logprobs"]} if choice.get("logprobs") is not None else {}
        if "text" in choice:
            yield {
                **head,
                "choices": [{"index": index, "text": choice["text"], **probabilities, "finish_reason": None}],
            }
            end: dict[str, Any] = {"text": ""}
        else:
            delta = {name: value for name, value in choice["message"].items() if value is not None}
            if "tool_calls" in delta:
                delta["tool_calls"] = [{"index": at, **call} for at, call in enumerate(delta["tool_calls"])]
            yield {**head, "choices": [{"index": index, "delta": delta, **probabilities, "finish_reason": None}]}
            end = {"delta": {}}
        yield {**head, "choices": [{"index": index, **end, "finish_reason": choice.get("finish_reason")}]}
    if include_usage:
        yield {**head, "choices": [], "usage": reply.get("usage")}


def _event(chunk: dict[str, Any]) -> bytes:
    return b"data: " + _encode(chunk) + b"\n\n"


def assemble(stream: bytes, usage: dict[str, Any]) -> bytes | None:
    """The whole reply that a stream's events spell out, with ``usage`` as its usage; None when they don't make sense."""
    try:
        return _whole(stream, usage)
    except NONSENSE:
        return None


def _whole(stream: bytes, usage: dict[str, Any]) -> bytes | None:
    head: dict[str, Any] = {}
    choices: dict[int, dict[str, Any]] = {}
    for line in stream.split(b"\n"):
        payload = line.removeprefix(b"data:").strip() if line.startswith(b"data:") else b""
        if not payload or payload == b"[DONE]":
            continue
        chunk = _decode(payload, type=dict[str, Any])
        head = head or chunk
        for part in chunk.get("choices") or []:
            _add(choices.setdefault(part["index"], {"logprobs": None, "finish_reason": None}), part)
    if not choices or any(choice["finish_reason"] is None for choice in choices.values()):
        return None
    reply: dict[str, Any] = {name: head[name] for name in HEAD if name in head}
    reply["object"] = "text_completion" if head.get("object") == "text_completion" else "chat.completion"
    reply["choices"] = [{"index": index, **choices[index]} for index in sorted(choices)]
    reply["usage"] = usage
    return _encode(reply)


def _add(choice: dict[str, Any], part: dict[str, Any]) -> None:
    if part.get("finish_reason") is not None:
        choice["finish_reason"] = part["finish_reason"]
    if part.get("logprobs") is not None:
        choice["logprobs"] = _longer(choice["logprobs"], part["logprobs"])
    if "text" in part:
        choice["text"] = choice.get("text", "") + part["text"]
        return
    message = choice.setdefault("message", {})
    for name, value in (part.get("delta") or {}).items():
        if name == "tool_calls":
            for call in value:
                _add_tool_call(message.setdefault("tool_calls", []), call)
        elif isinstance(value, str) and name != "role":
            message[name] = (message.get(name) or "") + value
        elif value is not None and isinstance(message.get(name), list):
            message[name] = message[name] + value
        elif isinstance(value, dict) and name in message:
            raise ValueError(f"{name} in pieces")
        elif value is not None or name not in message:
            message[name] = value


def _longer(known: dict[str, Any] | None, more: dict[str, Any]) -> dict[str, Any]:
    """Probabilities stand in lists, one entry for each token."""
    if known is None:
        return more
    return {**known, **{name: (known.get(name) or []) + value for name, value in more.items() if value is not None}}


def _add_tool_call(calls: list[dict[str, Any]], part: dict[str, Any]) -> None:
    at = part["index"]
    if not 0 <= at < MAX_TOOL_CALLS:
        raise ValueError(f"tool call {at}")
    while len(calls) <= at:
        calls.append({"id": "", "type": "function", "function": {"name": "", "arguments": ""}})
    call = calls[at]
    call["id"] = part.get("id") or call["id"]
    if part.get("type", "function") != "function":
        raise ValueError(f"a tool call of type {part['type']}")
    function = part.get("function") or {}
    call["function"]["name"] += function.get("name") or ""
    call["function"]["arguments"] += function.get("arguments") or ""
