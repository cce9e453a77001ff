"""Amazon's binary event stream (``application/vnd.amazon.eventstream``): bytes cut anywhere into whole messages.

A message is its length, its headers' length and their checksum; the headers; the payload; a checksum of all. Source: the
"Event stream encoding" of Smithy's and Amazon Transcribe's documentation.
"""

from binascii import crc32
from collections.abc import Mapping
from struct import Struct as Layout
from types import MappingProxyType

from msgspec import Struct

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""No message of an answer is larger; whoever sends one is not to be read on."""

_PRELUDE = Layout(">III")
_CHECKSUM = Layout(">I")
_SHORT = Layout(">H")

_FIXED_BYTES: Mapping[int, int] = MappingProxyType({0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16})
"""A header value's length by its type: true, false, byte, short, integer, long, timestamp, UUID."""

_BYTES, _STRING = 6, 7


class Message(Struct, frozen=True):
    """One message. ``headers`` holds those that are strings, which all that say what a message is are."""

    headers: Mapping[str, str]
    payload: bytes


class EventStreamReader:
    """Reads one stream. How its bytes are cut makes no difference to the messages; no bytes make it raise.

    ``damaged``: what is wrong with its bytes; where the next message begins can't be known then, so nothing more is read.
    ``overfull``: a message has begun that is larger than MAX_MESSAGE_BYTES. Nothing after it is read.
    """

    __slots__ = ("_carry", "damaged", "overfull")

    def __init__(self) -> None:
        self._carry = bytearray()
        self.damaged: str | None = None
        self.overfull = False

    def feed(self, data: bytes) -> list[Message]:
        """The messages that ``data`` completes."""
        messages: list[Message] = []
        if self.damaged is not None or self.overfull:
            return messages
        self._carry += data
        start = 0
        try:
            while (message := self._message(start)) is not None:
                messages.append(message[0])
                start += message[1]
        except _Damaged as damage:
            self.damaged = str(damage)
        if self.damaged is not None or self.overfull:
            self._carry.clear()
        else:
            del self._carry[:start]
        return messages

    def _message(self, start: int) -> tuple[Message, int] | None:
        """The message that begins there, and its length; None while it is not complete."""
        if len(self._carry) - start < _PRELUDE.size:
            return None
        length, headers_length, prelude_checksum = _PRELUDE.unpack_from(self._carry, start)
        _check(self._carry[start : start + 8], prelude_checksum, "a message's prelude")
        headers_start, payload_end = _PRELUDE.size, length - _CHECKSUM.size
        if headers_start + headers_length > payload_end:
            raise _Damaged("a message is shorter than its headers")
        if length > MAX_MESSAGE_BYTES:
            self.overfull = True
            return None
        if len(self._carry) - start < length:
            return None
        message = bytes(self._carry[start : start + length])
        _check(message[:payload_end], _CHECKSUM.unpack_from(message, payload_end)[0], "a message")
        payload_start = headers_start + headers_length
        headers = _headers(message[headers_start:payload_start])
        return Message(headers, message[payload_start:payload_end]), length


class _Damaged(Exception):
    """The bytes are no event stream."""


def _check(data: bytes | bytearray, checksum: int, what: str) -> None:
    if crc32(data) != checksum:
        raise _Damaged(f"the checksum of {what} is wrong")


def _headers(data: bytes) -> dict[str, str]:
    headers: dict[str, str] = {}
    at = 0
    while at < len(data):
        name, at = _take(data, at + 1, data[at])
        kind, at = _take(data, at, 1)
        if kind[0] in _FIXED_BYTES:
            _, at = _take(data, at, _FIXED_BYTES[kind[0]])
            continue
        if kind[0] not in (_BYTES, _STRING):
            raise _Damaged(f"a header is of an unknown type ({kind[0]})")
        length, at = _take(data, at, _SHORT.size)
        value, at = _take(data, at, _SHORT.unpack(length)[0])
        if kind[0] == _STRING:
            headers[name.decode(errors="replace")] = value.decode(errors="replace")
    return headers


def _take(data: bytes, at: int, length: int) -> tuple[bytes, int]:
    if at + length > len(data):
        raise _Damaged("a header is cut short")
    return data[at : at + length], at + length
