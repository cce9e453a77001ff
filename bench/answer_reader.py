"""One HTTP/1.1 answer as it arrives at the load generator: where it ends, what it says, whether it is the right one."""

from dataclasses import dataclass

from bench.answers import SENTINEL, SPOKEN_EVENTS

_CHUNKED_END = b"\r\n0\r\n\r\n"
_UNKNOWN = -1


@dataclass(frozen=True, slots=True)
class Unframed(Exception):
    """The answer says neither how long it is nor that it comes in chunks."""

    head: bytes


class AnswerReader:
    """Collects the bytes of one answer; `reset` makes it ready for the next one on the same connection."""

    __slots__ = ("_body_at", "_buffer", "_end", "closes")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the answer."""
        self._buffer = b""
        self._body_at = 0
        self._end = _UNKNOWN
        self.closes = False

    def feed(self, data: bytes) -> bool:
        """Take bytes from the socket; true when the answer is complete. Raises Unframed."""
        self._buffer = self._buffer + data if self._buffer else data  # most answers come in one piece
        if not self._body_at and not self._read_head():
            return False
        if self._end == _UNKNOWN:
            return self._buffer.endswith(_CHUNKED_END)
        return len(self._buffer) >= self._end

    @property
    def speaks(self) -> bool:
        """Whether a byte of the body has arrived."""
        return len(self._buffer) > self._body_at > 0

    def is_whole_answer(self) -> bool:
        """Whether this is the provider's whole answer, status 200."""
        return self._buffer.startswith(b"HTTP/1.1 200") and SENTINEL in self._buffer

    def is_stream(self) -> bool:
        """Whether this is the provider's stream to its end, status 200, no text missing."""
        if not self._buffer.startswith(b"HTTP/1.1 200"):
            return False
        if self._buffer.count(SENTINEL) == SPOKEN_EVENTS and b"[DONE]" in self._buffer:
            return True
        # A gateway may cut chunks in the middle of a word: look again without the chunks' borders.
        body = self.body()
        return body.count(SENTINEL) == SPOKEN_EVENTS and b"[DONE]" in body

    @property
    def length_bytes(self) -> int:
        """Bytes of the answer so far, head and body."""
        return len(self._buffer)

    def body(self) -> bytes:
        """The body, with chunk borders taken out."""
        raw = self._buffer[self._body_at :]
        return raw if self._end != _UNKNOWN else _unchunk(raw)

    def excerpt(self) -> str:
        """The beginning of the answer on one line, for an error message."""
        return " ".join(self._buffer[:400].decode(errors="replace").split())

    def _read_head(self) -> bool:
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return False
        head = self._buffer[: head_end + 2].lower()
        self._body_at = head_end + 4
        self.closes = b"\r\nconnection: close" in head
        length_at = head.find(b"\r\ncontent-length:")
        if length_at >= 0:
            self._end = self._body_at + int(head[length_at + 17 : head.index(b"\r", length_at + 17)])
        elif b"\r\ntransfer-encoding: chunked" not in head:
            raise Unframed(head)
        return True


def _unchunk(raw: bytes) -> bytes:
    parts = []
    at = 0
    while (line_end := raw.find(b"\r\n", at)) >= 0:
        size = int(raw[at:line_end].split(b";")[0] or b"0", 16)
        if size == 0:
            break
        parts.append(raw[line_end + 2 : line_end + 2 + size])
        at = line_end + 2 + size + 2
    return b"".join(parts)
