"""The OpenAI dialect: what its answers say they cost, whole and as streams."""

import re
from collections.abc import Callable, Iterator

import msgspec
from msgspec import Struct

from keeptrusts.core.calls.replay import DONE_EVENT
from keeptrusts.core.calls.usage import Usage
from keeptrusts.core.dialects.openai_usage import UsageObject, buckets
from keeptrusts.core.dialects.sse import EVENT_END, MAX_EVENT_BYTES, event_payload
from keeptrusts.core.providers.wire import NOTHING_SAID, SAMPLE_BYTES, Bill


class _Reply(Struct, frozen=True):
    model: str | None = None
    usage: UsageObject | None = None
    service_tier: str | None = None


class _Choice(Struct, frozen=True):
    index: int = 0


class _Chunk(Struct, frozen=True):
    model: str | None = None
    usage: UsageObject | None = None
    service_tier: str | None = None
    choices: list[_Choice] | None = None


_decode_reply = msgspec.json.Decoder(_Reply).decode
_decode_chunk = msgspec.json.Decoder(_Chunk).decode


def read_reply(body: bytes) -> Bill:
    """The bill of a whole answer."""
    try:
        reply = _decode_reply(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return NOTHING_SAID
    return Bill(buckets(reply.usage, reply.service_tier) if reply.usage is not None else None, reply.model)


_USAGE_OBJECT = re.compile(rb'"usage"\s*:\s*\{')
_DONE = b"[DONE]"


class _Function(Struct, frozen=True):
    name: str | None = None
    arguments: str | None = None


class _ToolCall(Struct, frozen=True):
    function: _Function | None = None


class _Delta(Struct, frozen=True):
    content: str | None = None
    reasoning_content: str | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None

    def texts(self) -> Iterator[str | None]:
        yield from (self.reasoning_content, self.content, self.refusal)
        for call in self.tool_calls or ():
            if call.function is not None:
                yield from (call.function.name, call.function.arguments)


class _Said(Struct, frozen=True):
    delta: _Delta | None = None
    message: _Delta | None = None
    text: str | None = None


class _Speech(Struct, frozen=True):
    choices: list[_Said] | None = None


_decode_speech = msgspec.json.Decoder(_Speech).decode


def spoken_texts(payload: bytes) -> list[str]:
    """What the model says in a whole answer or in one event of a stream."""
    try:
        choices = _decode_speech(payload).choices or []
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    said = [part for choice in choices for part in (choice.delta, choice.message) if part is not None]
    return [text for part in said for text in part.texts() if text] + [c.text for c in choices if c.text]


def _delta_texts(line: bytes) -> list[str]:
    return spoken_texts(line[5:]) if line.startswith(b"data:") else []


class StreamReader:
    """Reads a stream's bytes as they pass: hands on what the client may see at once, keeps back what ends the stream.

    ``feed`` returns bytes to relay now. The usage chunk is kept from clients that did not ask for it; ``[DONE]`` is
    always kept back, so that the caller can settle before the client learns that the answer is complete.
    """

    __slots__ = ("_carry", "_relayed_bytes", "_sample", "_sample_bytes", "_show_usage", "done", "served_model", "usage")

    def __init__(self, show_usage: bool) -> None:
        self._carry = b""
        self._show_usage = show_usage
        self._sample: list[bytes] = []
        self._sample_bytes = 0
        self._relayed_bytes = 0
        self.done = False
        self.usage: Usage | None = None
        self.served_model: str | None = None

    def feed(self, data: bytes) -> bytes:
        """The part of ``data`` (and of what was carried over) that is whole events and may be relayed."""
        block = self._whole_events(data)
        self._relayed_bytes += len(block)
        if self._sample_bytes < SAMPLE_BYTES:
            self._sample.append(block)
            self._sample_bytes += len(block)
        return block

    def count_output(self, count_tokens: Callable[[str], int]) -> int:
        """The tokens of what was relayed: counted in the sample, and extended in proportion to the rest."""
        texts = [text for line in b"".join(self._sample).split(b"\n") for text in _delta_texts(line)]
        counted = count_tokens("".join(texts)) if texts else 0
        return -(-counted * self._relayed_bytes // max(1, self._sample_bytes))

    def _whole_events(self, data: bytes) -> bytes:
        if self._carry:
            data = self._carry + data
        lf, crlf = data.rfind(b"\n\n"), data.rfind(b"\r\n\r\n")
        if lf == crlf:
            self._carry = data
            return b""
        end = lf + 2 if lf > crlf else crlf + 4
        self._carry = data[end:]
        block = data[:end]
        usage = _USAGE_OBJECT.search(block)
        done = block.find(_DONE)
        if usage is None and done < 0:
            return block
        news = done if usage is None else usage.start() if done < 0 else min(done, usage.start())
        start = max(block.rfind(b"\n\n", 0, news) + 2, block.rfind(b"\r\n\r\n", 0, news) + 4)
        if start < 5:
            return b"".join(self._events(block))
        return block[:start] + b"".join(self._events(block[start:]))

    def finish(self) -> bytes:
        """The stream came to its end, and a last event that lacks only its blank line counts. Returns what may be relayed."""
        payload = event_payload(self._carry)
        if payload != _DONE and not _is_chunk(payload):
            return b""
        return self.feed(b"\n\n")

    def rest(self) -> bytes:
        """What is left when the upstream ended in the middle of an event."""
        return self._carry

    broken = None

    def end(self) -> bytes:
        """What ends the stream, kept back until now."""
        return DONE_EVENT

    @property
    def overfull(self) -> bool:
        """Whether an event has begun that is larger than any may be."""
        return len(self._carry) > MAX_EVENT_BYTES

    def _events(self, block: bytes) -> Iterator[bytes]:
        start = 0
        for end in EVENT_END.finditer(block):
            event = block[start : end.end()]
            start = end.end()
            payload = event_payload(event)
            if payload == _DONE:
                self.done = True
                continue
            if _USAGE_OBJECT.search(payload) is not None and not self._read(payload):
                continue
            yield event
        if start < len(block):
            # One newline more than ends an event.
            yield block[start:]

    def _read(self, payload: bytes) -> bool:
        """Takes note of a chunk's usage; False when the chunk is nothing but usage that the client did not ask for."""
        try:
            chunk = _decode_chunk(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return True
        if chunk.usage is None:
            return True
        self.usage = buckets(chunk.usage, chunk.service_tier)
        self.served_model = chunk.model
        return self._show_usage or bool(chunk.choices)


def _is_chunk(payload: bytes) -> bool:
    try:
        _decode_chunk(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True
