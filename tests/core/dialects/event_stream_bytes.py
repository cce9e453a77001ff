"""Writes Amazon's binary event stream, for tests of what reads it."""

from binascii import crc32
from collections.abc import Mapping
from struct import pack


def message(headers: Mapping[str, str] | bytes, payload: bytes = b"") -> bytes:
    """One message: headers that are strings, or the bytes of others."""
    block = headers if isinstance(headers, bytes) else b"".join(header(name, headers[name]) for name in headers)
    prelude = pack(">II", 16 + len(block) + len(payload), len(block))
    body = prelude + pack(">I", crc32(prelude)) + block + payload
    return body + pack(">I", crc32(body))


def header(name: str, value: str) -> bytes:
    """A header of the type that is a string."""
    return pack(">B", len(name)) + name.encode() + pack(">BH", 7, len(value.encode())) + value.encode()


def event(kind: str, payload: bytes) -> bytes:
    """An event as a service sends it."""
    return message({":event-type": kind, ":content-type": "application/json", ":message-type": "event"}, payload)


def exception(kind: str, payload: bytes) -> bytes:
    """An exception in the middle of a stream."""
    return message(
        {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}, payload
    )
