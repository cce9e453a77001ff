"""Streams that pass through in the dialect in which they come: whole events are handed on as they are, and of them only
those are read that say what the answer costs or that it has ended."""

from collections.abc import Callable

from msgspec import Struct

from keeptrusts.core.calls.sealed_ids import Seals
from keeptrusts.core.calls.usage import Usage
from keeptrusts.core.dialects.sse import MAX_EVENT_BYTES, event_payload, whole_events
from keeptrusts.core.providers.wire import SAMPLE_BYTES, CountTokens


class News(Struct, frozen=True):
    """What an event says of the answer: its usage so far, who made it, and whether it is the last one."""

    usage: Usage | None = None
    served_model: str | None = None
    is_last: bool = False


ReadNews = Callable[[bytes], News | None]
"""Reads an event's data; None for one that says nothing of this."""

ReadTexts = Callable[[bytes], list[str]]
"""What the model says in an event's data."""


class PassingStream:
    """See wire.Stream. The last event is kept back, and told when the call is settled."""

    broken = None

    def __init__(self, read_news: ReadNews, read_texts: ReadTexts, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._read_news = read_news
        self._read_texts = read_texts
        self._max_event_bytes = max_event_bytes
        self._carry = b""
        self._last = b""
        self._sample: list[bytes] = []
        self._sample_bytes = 0
        self._relayed_bytes = 0
        self.done = False
        self.usage: Usage | None = None
        self.served_model: str | None = None

    def feed(self, data: bytes) -> bytes:
        """See wire.Stream."""
        events, self._carry = whole_events(self._carry + data)
        out = b"".join([event for event in events if not self._is_last(event)])
        self._relayed_bytes += len(out)
        if self._sample_bytes < SAMPLE_BYTES:
            self._sample.append(out)
            self._sample_bytes += len(out)
        return out

    def _is_last(self, event: bytes) -> bool:
        news = self._read_news(event_payload(event))
        if news is None:
            return False
        self.usage = news.usage or self.usage
        self.served_model = news.served_model or self.served_model
        if news.is_last:
            self._last, self.done = event, True
        return news.is_last

    def finish(self) -> bytes:
        """See wire.Stream."""
        return self.feed(b"\n\n") if self._carry.strip() else b""

    def rest(self) -> bytes:
        """See wire.Stream."""
        return self._carry

    @property
    def overfull(self) -> bool:
        """See wire.Stream."""
        return len(self._carry) > self._max_event_bytes

    def count_output(self, count_tokens: CountTokens) -> int:
        """See wire.Stream: counted in a sample, and extended in proportion to the rest."""
        events, _ = whole_events(b"".join(self._sample))
        texts = [text for event in events for text in self._read_texts(event_payload(event))]
        counted = count_tokens("".join(texts)) if texts else 0
        return -(-counted * self._relayed_bytes // max(1, self._sample_bytes))

    def end(self) -> bytes:
        """See wire.Stream."""
        return self._last


class SealedStream(PassingStream):
    """The same, with sealed ids in its events."""

    def __init__(self, read_news: ReadNews, read_texts: ReadTexts, seals: Seals) -> None:
        super().__init__(read_news, read_texts)
        self._seals = seals

    def feed(self, data: bytes) -> bytes:
        """See wire.Stream."""
        return self._seals.in_answer(super().feed(data))

    def end(self) -> bytes:
        """See wire.Stream."""
        return self._seals.in_answer(super().end())
