"""Between the two forms of an answer in Anthropic's Messages: a whole message as a stream of events, and back.

Source: ``RawMessageStreamEvent`` of Anthropic's SDK, and how its reader puts a message together.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from keeptrusts.core.calls.replay import NONSENSE

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.decode

MAX_BLOCKS = 4_096

_TEXT_DELTAS: Mapping[str, str] = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}
"""Deltas that add to a text of their block, and which one."""

_BLOCKS: Mapping[str, tuple[str, ...]] = {"text": ("text_delta",), "thinking": ("thinking_delta", "signature_delta")}
"""Blocks that grow by such deltas."""


def as_stream(message: bytes, include_usage: bool) -> bytes | None:
    """A whole message as the events in which it would have come, the usage among them always; None when it does not make
    sense."""
    del include_usage
    try:
        return b"".join(_event(event) for event in _events(_decode(message, type=dict[str, Any])))
    except NONSENSE:
        return None


def _event(event: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (event["type"].encode(), _encode(event))


def _events(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    usage = message["usage"]
    begun = {
        **message,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**usage, "output_tokens": 0},
    }
    yield {"type": "message_start", "message": begun}
    for index, block in enumerate(message["content"]):
        empty, deltas = _grown(block)
        yield {"type": "content_block_start", "index": index, "content_block": empty}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    delta = {"stop_reason": message["stop_reason"], "stop_sequence": message.get("stop_sequence")}
    yield {"type": "message_delta", "delta": delta, "usage": usage}
    yield {"type": "message_stop"}


def _grown(block: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A block as it begins, and what it grows by."""
    kinds = _BLOCKS.get(block["type"], ())
    names = [(kind, _TEXT_DELTAS[kind]) for kind in kinds if block.get(_TEXT_DELTAS[kind])]
    deltas: list[dict[str, Any]] = [{"type": kind, name: block[name]} for kind, name in names]
    empty = {**block, **{name: "" for _, name in names}}
    if block.get("citations"):
        empty["citations"] = []
        deltas += [{"type": "citations_delta", "citation": citation} for citation in block["citations"]]
    if block["type"].endswith("tool_use"):
        empty["input"] = {}
        deltas.append({"type": "input_json_delta", "partial_json": _encode(block["input"]).decode()})
    return empty, deltas


def assemble(stream: bytes, usage: dict[str, Any]) -> bytes | None:
    """The whole message that a stream's events spell out; None when they don't make sense. What they say of the usage is
    told again as they said it: ``usage``, in another dialect's words, is not."""
    del usage
    try:
        return _whole(stream)
    except NONSENSE:
        return None


def _whole(stream: bytes) -> bytes | None:
    message: dict[str, Any] = {}
    blocks: list[dict[str, Any]] = []
    inputs: dict[int, list[str]] = {}
    ended = False
    for line in stream.split(b"\n"):
        if not line.startswith(b"data:"):
            continue
        event = _decode(line[5:].strip(), type=dict[str, Any])
        kind = event["type"]
        if kind == "message_start":
            message = event["message"]
        elif kind == "content_block_start":
            if event["index"] != len(blocks) or len(blocks) >= MAX_BLOCKS:
                return None
            blocks.append(event["content_block"])
        elif kind == "content_block_delta":
            _grow(blocks[event["index"]], event["delta"], inputs.setdefault(event["index"], []))
        elif kind == "message_delta":
            message.update(event["delta"])
            told = {name: value for name, value in (event.get("usage") or {}).items() if value is not None}
            message["usage"] = {**(message.get("usage") or {}), **told}
        elif kind == "message_stop":
            ended = True
        elif kind == "error":
            return None
    if not ended or not message or message.get("stop_reason") is None:
        return None
    for index, pieces in inputs.items():
        if pieces:
            blocks[index]["input"] = _decode("".join(pieces) or "{}")
    return _encode({**message, "content": blocks})


def _grow(block: dict[str, Any], delta: dict[str, Any], pieces: list[str]) -> None:
    kind = delta["type"]
    if kind in _TEXT_DELTAS:
        name = _TEXT_DELTAS[kind]
        block[name] = (block.get(name) or "") + delta[name]
    elif kind == "input_json_delta":
        pieces.append(delta["partial_json"])
    elif kind == "citations_delta":
        block["citations"] = [*(block.get("citations") or []), delta["citation"]]
    else:
        raise ValueError(f"a delta of type {kind}")
