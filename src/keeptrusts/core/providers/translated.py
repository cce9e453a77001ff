"""A call that is translated on its way: read from the client's dialect, written in the provider's, and its answer back."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from keeptrusts.core.calls.conversation import (
    Begin,
    Broken,
    Conversation,
    Ended,
    Reply,
    Stopped,
    StreamEvent,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ToolBegin,
    ToolDelta,
    ToolUse,
    UsageNews,
)
from keeptrusts.core.calls.request import TextRequest
from keeptrusts.core.calls.usage import Usage
from keeptrusts.core.providers.wire import KEY_STATUSES, SAMPLE_BYTES, Bill, CountTokens, NoAnswer, Whole


class Writer(Protocol):
    """A dialect's writer of streams."""

    def write(self, event: StreamEvent) -> bytes: ...


class Reader(Protocol):
    """A dialect's reader of streams."""

    def feed(self, data: bytes) -> list[StreamEvent]: ...

    def finish(self) -> list[StreamEvent]: ...

    @property
    def overfull(self) -> bool: ...


class ClientDialect(Protocol):
    """A module of ``core/dialects`` that applications speak."""

    read_request: Callable[[Mapping[str, Any]], Conversation]
    write_reply: Callable[[Reply, Conversation], bytes]
    StreamWriter: Callable[[Conversation, int], Writer]
    write_error: Callable[[int, str, str, str, Mapping[str, Any]], bytes]


class ProviderDialect(Protocol):
    """A module of ``core/dialects`` that providers speak."""

    write_request: Callable[[Conversation, str], bytes]
    read_reply: Callable[[bytes], Reply]
    StreamReader: Callable[[], Reader]
    read_error: Callable[[bytes], tuple[str | None, str | None]]


class Translated:
    """See wire.Wire. ``limited``: the provider wants to be told the longest answer, whether the client limits it or not.

    ``key_error``: a word by which the provider's error tells that it does not take our key, whatever its status.
    """

    passed: tuple[bytes, ...] = ()

    def __init__(
        self,
        client: Any,
        provider: Any,
        path: Callable[[str, bool], str],
        *,
        limited: bool = False,
        key_error: bytes | None = None,
    ) -> None:
        self._client: ClientDialect = client
        self._provider: ProviderDialect = provider
        self._path = path
        self._limited = limited
        self._key_error = key_error

    def path(self, model: str, stream: bool) -> str:
        """See Wire."""
        return self._path(model, stream)

    def body(self, request: TextRequest, model: str, sent_limit: int | None, longest: int | None) -> bytes:
        """See Wire."""
        asked = self._client.read_request(request.decoded())
        limit = request.max_tokens or sent_limit or (longest if self._limited else None)
        request.asked = msgspec.structs.replace(asked, max_tokens=limit)
        return self._provider.write_request(request.asked, model)

    def whole(self, request: TextRequest, content: bytes, now_s: int) -> Whole:
        """See Wire."""
        try:
            reply = self._provider.read_reply(content)
        except ValueError as error:
            raise NoAnswer(str(error)) from None
        if reply.created_s is None:
            reply = msgspec.structs.replace(reply, created_s=now_s)
        return Whole(Bill(reply.usage, reply.model), self._client.write_reply(reply, _asked(request)))

    def spoken(self, content: bytes) -> list[str]:
        """See Wire."""
        try:
            reply = self._provider.read_reply(content)
        except ValueError:
            return []
        return [text for choice in reply.choices for part in choice.parts for text in _words(part)]

    def stream(self, request: TextRequest, now_s: int) -> "TranslatedStream":
        """See Wire."""
        return TranslatedStream(self._provider.StreamReader(), self._client.StreamWriter(_asked(request), now_s))

    def of_bytes(self, request: TextRequest) -> Bill:
        """See Wire: what is translated is never binary."""
        raise AssertionError("no answer in words is binary")

    def rejects_key(self, status: int, content: bytes) -> bool:
        """See Wire."""
        return status in KEY_STATUSES or (self._key_error is not None and self._key_error in content)

    def error(self, request: TextRequest, status: int, content: bytes) -> bytes:
        """See Wire."""
        kind, message = self._provider.read_error(content)
        told = message or f"The provider answered {status}."
        return self._client.write_error(status, kind or "invalid_request_error", told, f"upstream_{status}", {})


def _words(part: Text | ToolUse | Thinking) -> tuple[str, ...]:
    return (part.name, part.arguments) if isinstance(part, ToolUse) else (part.text,)


def _asked(request: TextRequest) -> Conversation:
    assert request.asked is not None, "its body was written"
    return request.asked


class TranslatedStream:
    """See wire.Stream."""

    def __init__(self, reader: Reader, writer: Writer) -> None:
        self._reader = reader
        self._writer = writer
        self._sample: list[str] = []
        self._sample_chars = 0
        self._all_chars = 0
        self._stopped = False
        self._told: Usage | None = None
        self.done = False
        self.served_model: str | None = None
        self.broken: str | None = None

    @property
    def usage(self) -> Usage | None:
        """See wire.Stream. What is told before the model has stopped is not what it will be."""
        return self._told if self._stopped or self.done else None

    def feed(self, data: bytes) -> bytes:
        """See wire.Stream."""
        return b"".join(map(self._pass, self._reader.feed(data)))

    def finish(self) -> bytes:
        """See wire.Stream."""
        return b"".join(map(self._pass, self._reader.finish()))

    def _pass(self, event: StreamEvent) -> bytes:
        if self.done or self.broken is not None:
            return b""
        if isinstance(event, Ended):
            self.done = True
            return b""
        if isinstance(event, Broken):
            self.broken = event.message
            return b""
        if isinstance(event, UsageNews):
            self._told = event.usage
        elif isinstance(event, Begin):
            self.served_model = event.model
        elif isinstance(event, Stopped):
            self._stopped = True
        else:
            self._note(event)
        return self._writer.write(event)

    def _note(self, event: StreamEvent) -> None:
        text = ""
        if isinstance(event, TextDelta | ThinkingDelta):
            text = event.text
        elif isinstance(event, ToolDelta):
            text = event.arguments
        elif isinstance(event, ToolBegin):
            text = event.name
        self._all_chars += len(text)
        if self._sample_chars < SAMPLE_BYTES:
            self._sample.append(text)
            self._sample_chars += len(text)

    def rest(self) -> bytes:
        """See wire.Stream: only whole events are written."""
        return b""

    @property
    def overfull(self) -> bool:
        """See wire.Stream."""
        return self._reader.overfull

    def count_output(self, count_tokens: CountTokens) -> int:
        """See wire.Stream: counted in a sample, and extended in proportion to the rest."""
        counted = count_tokens("".join(self._sample)) if self._all_chars else 0
        return -(-counted * self._all_chars // max(1, self._sample_chars))

    def end(self) -> bytes:
        """See wire.Stream."""
        return self._writer.write(Ended())
