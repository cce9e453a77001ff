"""The journal's bytes: groups of length-prefixed records, one checksum and one chain link per write.

A group is ``length u32 | crc32 u32 | first_seq u64 | count u32 | chain 16 bytes | records``, little-endian; the checksum
covers everything after itself, ``length`` counts the bytes after the checksum, ``chain`` is BLAKE2b-128 of the previous
group's chain followed by this group's records. Each record is a u32 length and its bytes.
"""

import struct
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from zlib import crc32

from msgspec import Struct

GENESIS = bytes(16)
"""The chain value before a journal's first group."""

_FRAME = struct.Struct("<II")
_HEAD = struct.Struct("<QI16s")
_LENGTH = struct.Struct("<I")
_PACK_LENGTH = _LENGTH.pack

MAX_GROUP_BYTES = 64 * 1024 * 1024


class DamagedJournal(Exception):
    """Bytes in the middle of a journal are not what was written: checksum, sequence or chain do not hold."""

    def __init__(self, offset: int, what: str) -> None:
        super().__init__(f"journal damaged at byte {offset}: {what}")
        self.offset = offset
        self.what = what


class Group(Struct, frozen=True):
    """One write: how many records, the sequence number of the first, the chain value after it, and its place.

    ``body`` are the records as they stand there; whoever only passes groups on need not take them apart.
    """

    first_seq: int
    count: int
    body: bytes
    chain: bytes
    offset: int
    end_offset: int

    @property
    def last_seq(self) -> int:
        """The sequence number of the last record."""
        return self.first_seq + self.count - 1

    @property
    def records(self) -> tuple[bytes, ...]:
        """The records, in order. Raises DamagedJournal when they are not what the group announces."""
        records = tuple(_split_records(self.body, self.offset))
        if len(records) != self.count:
            raise DamagedJournal(self.offset, f"{len(records)} records where {self.count} were announced")
        return records


def encode_group(records: Sequence[bytes], first_seq: int, previous_chain: bytes) -> tuple[bytes, bytes]:
    """The group's bytes and its chain value, which the next group needs."""
    parts = []
    for record in records:
        parts.append(_PACK_LENGTH(len(record)))
        parts.append(record)
    body = b"".join(parts)
    chain = blake2b(previous_chain + body, digest_size=16).digest()
    rest = _HEAD.pack(first_seq, len(records), chain) + body
    return _FRAME.pack(len(rest), crc32(rest)) + rest, chain


def read_groups(data: bytes, first_seq: int, previous_chain: bytes) -> Iterator[Group]:
    """The whole groups of ``data``, which must begin at a group whose first record is ``first_seq``.

    An incomplete group at the very end (a torn write) ends the iteration silently: it was never acknowledged.
    Raises DamagedJournal for anything else that does not hold.
    """
    offset, seq, chain = 0, first_seq, previous_chain
    while offset + _FRAME.size <= len(data):
        length, checksum = _FRAME.unpack_from(data, offset)
        if not _HEAD.size <= length <= MAX_GROUP_BYTES:
            if _only_zeros(data, offset):
                return
            raise DamagedJournal(offset, f"a group of {length} bytes cannot be")
        end = offset + _FRAME.size + length
        if end > len(data):
            return
        rest = data[offset + _FRAME.size : end]
        if crc32(rest) != checksum:
            if end == len(data):
                return
            raise DamagedJournal(offset, "checksum does not hold")
        group_seq, count, group_chain = _HEAD.unpack_from(rest)
        body = rest[_HEAD.size :]
        if group_seq != seq:
            raise DamagedJournal(offset, f"sequence {group_seq} where {seq} was due")
        if blake2b(chain + body, digest_size=16).digest() != group_chain:
            raise DamagedJournal(offset, "chain does not hold")
        yield Group(group_seq, count, body, group_chain, offset, end)
        offset, seq, chain = end, seq + count, group_chain


def _split_records(body: bytes, offset: int) -> Iterator[bytes]:
    at = 0
    while at < len(body):
        if at + _LENGTH.size > len(body):
            raise DamagedJournal(offset, "a record's length is cut off")
        (length,) = _LENGTH.unpack_from(body, at)
        at += _LENGTH.size
        if at + length > len(body):
            raise DamagedJournal(offset, "a record is cut off")
        yield body[at : at + length]
        at += length


def _only_zeros(data: bytes, offset: int) -> bool:
    return not any(data[offset:])
