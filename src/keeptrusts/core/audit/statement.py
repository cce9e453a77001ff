"""What a checkpoint states about the rows that came since the one before: one JSON text, hashed, signed and chained."""

from collections.abc import Mapping
from hashlib import sha256

import msgspec
from msgspec import Struct

from keeptrusts.core.audit.spans import Span

GENESIS = "0" * 64
"""Stands for the hash of the statement before the first, and for an audit chain without a row."""


class BadStatement(ValueError):
    """A text that is no checkpoint's statement."""


class Awaited(Struct, frozen=True, array_like=True):
    """Numbers below the highest covered one that no row has had so far, and since when: a transaction that began earlier
    may still commit them."""

    first: int
    last: int
    since_ms: int


class Cover(Struct, frozen=True):
    """One table's part: how many rows, which numbers, and which are awaited. ``top``: the highest number looked at so far,
    in this checkpoint or before; rows above it are new."""

    rows: int
    top: int
    numbers: tuple[Span, ...]
    awaits: tuple[Awaited, ...] = ()


class NodeCalls(Struct, frozen=True, array_like=True):
    """A journal's part: its node, the records from ``first`` to ``last`` (both included), and how many of them are calls."""

    node_id: str
    first: int
    last: int
    calls: int


class Calls(Struct, frozen=True):
    """The calls alone, by (node, journal record): any ledger that was built from the same journals has the same root."""

    root: str
    nodes: tuple[NodeCalls, ...]


class SoFar(Struct, frozen=True):
    """Sums over this checkpoint and all before it."""

    rows: Mapping[str, int]
    cost_nanos: int


class Statement(Struct, frozen=True):
    """``previous`` is the hash of the statement before; ``root`` that of the tree over all rows of ``tables``;
    ``audit_chain`` goes on over every audit row: SHA-256 of the value before it and the row's content."""

    form: int
    number: int
    previous: str
    made_at_ms: int
    key: str
    root: str
    tables: Mapping[str, Cover]
    calls: Calls
    cost_nanos: int
    audit_chain: str
    so_far: SoFar


class Sealed(Struct, frozen=True):
    """A statement as it is kept: its exact text, and the signature over it."""

    number: int
    text: str
    signature: str

    @property
    def hash(self) -> str:
        """What the next statement says of this one, and what can be kept elsewhere as a witness."""
        return sha256(self.text.encode()).hexdigest()


def write_statement(statement: Statement) -> str:
    """The text that is signed."""
    return msgspec.json.encode(statement).decode()


def read_statement(text: str) -> Statement:
    """The statement in this text. Raises BadStatement unless writing it again gives the same text."""
    try:
        statement = msgspec.json.decode(text, type=Statement)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise BadStatement(str(error)) from None
    if write_statement(statement) != text:
        raise BadStatement("it is not written as statements are")
    return statement


def chained(audit_chain: str, content: bytes) -> str:
    """The audit chain's value after one more row."""
    return sha256(bytes.fromhex(audit_chain) + content).hexdigest()
