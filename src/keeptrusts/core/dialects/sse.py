"""Server-sent events, as every provider but Bedrock streams its answers: bytes cut anywhere into whole events, and back.

Source: WHATWG HTML, "Server-sent events", sections "Parsing an event stream" and "Interpreting an event stream".
"""

import re
from collections.abc import Iterator

from keeptrusts.core.calls.conversation import StreamEvent

MAX_EVENT_BYTES = 4 * 1024 * 1024
"""No event of a stream is larger; whoever sends one is not to be read on."""

EVENT_END = re.compile(rb"\r?\n\r?\n")
"""The blank line after an event, in streams that are passed on as they came."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

Event = tuple[str, bytes]
"""An event's name ("" when it has none) and its data, the lines of it joined by line feeds."""


class SseReader:
    """Reads one stream. How its bytes are cut makes no difference to the events; no bytes make it raise.

    ``overfull``: an event has begun that is larger than MAX_EVENT_BYTES. Nothing after it is read.
    """

    __slots__ = ("_after_cr", "_at_start", "_data", "_line", "_name", "overfull")

    def __init__(self) -> None:
        self._line = bytearray()
        self._data = bytearray()
        self._name = b""
        self._after_cr = False
        self._at_start = True
        self.overfull = False

    def feed(self, data: bytes) -> list[Event]:
        """The events that ``data`` completes."""
        events: list[Event] = []
        if not data or self.overfull:
            return events
        if self._after_cr and data.startswith(b"\n"):
            data = data[1:]  # the second half of a line end whose first half came before
        self._after_cr = data.endswith(b"\r")
        for piece in data.splitlines(keepends=True):
            line = piece.rstrip(b"\r\n")
            if len(self._line) + len(line) + len(self._data) + len(self._name) > MAX_EVENT_BYTES:
                self._give_up()
                break
            if len(line) == len(piece):
                self._line += piece
                break
            if self._line:
                line = bytes(self._line) + line
                self._line.clear()
            self._take(line, events)
        return events

    def finish(self) -> list[Event]:
        """The stream came to its end: a last event counts that lacks only its last line end, or its blank line."""
        events = self.feed(b"\n") if self._line else []
        self._take(b"", events)
        return events

    def _take(self, line: bytes, events: list[Event]) -> None:
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(_BYTE_ORDER_MARK)
        if not line:
            if self._data:
                events.append((self._name.decode(errors="replace"), bytes(self._data[:-1])))
                self._data.clear()
            self._name = b""
            return
        field, _, value = line.partition(b":")
        if field == b"data":
            self._data += value.removeprefix(b" ")
            self._data += b"\n"
        elif field == b"event":
            self._name = value.removeprefix(b" ")

    def _give_up(self) -> None:
        self.overfull = True
        self._line.clear()
        self._data.clear()
        self._name = b""


class EventsReader:
    """What the readers of streams have in common that come as server-sent events: a dialect says what one event tells."""

    __slots__ = ("_sse",)

    def __init__(self) -> None:
        self._sse = SseReader()

    @property
    def overfull(self) -> bool:
        """Whether an event has begun that is larger than any may be: nothing more is read."""
        return self._sse.overfull

    def feed(self, data: bytes) -> list[StreamEvent]:
        """What the bytes complete."""
        return self._read(self._sse.feed(data))

    def finish(self) -> list[StreamEvent]:
        """The stream came to its end: a last event counts that lacks only its blank line."""
        return self._read(self._sse.finish())

    def _read(self, events: list[Event]) -> list[StreamEvent]:
        return [told for name, data in events for told in self._take(name, data)]

    def _take(self, name: str, data: bytes) -> Iterator[StreamEvent]:
        raise NotImplementedError


def sse_event(data: bytes, name: str = "") -> bytes:
    """One event as bytes. ``data`` holds no line end, as no encoded JSON does."""
    head = b"event: " + name.encode() + b"\n" if name else b""
    return head + b"data: " + data + b"\n\n"


def event_payload(event: bytes) -> bytes:
    """An event's data: its lines of that name, together (WHATWG HTML, "Server-sent events")."""
    data = [line[5:] for line in event.splitlines() if line.startswith(b"data:")]
    return b"\n".join(data).strip()


def whole_events(data: bytes) -> tuple[list[bytes], bytes]:
    """The whole events of a stream's bytes, each with the blank line that ends it, and what is left."""
    events, start = [], 0
    for end in EVENT_END.finditer(data):
        events.append(data[start : end.end()])
        start = end.end()
    return events, data[start:]
