"""Which rows checkpoints cover, and a row's canonical bytes: what is hashed is the same on every engine and in every year.

A row's *content* is the SHA-256 of a JSON array, compact and in UTF-8: the table's name, then the columns named here in
this order; truth values are 0 and 1. The row's number is not in it, so that a ledger that was built anew from journals, and
numbered anew, has the same contents. A new column makes a new form; old checkpoints keep theirs.
"""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Struct

from keeptrusts.core.audit.merkle import leaf_hash
from keeptrusts.core.ids import base36

FORM = 1
"""Which columns are hashed, and how; every checkpoint says its own."""

NUMBER_BYTES = 8
CONTENT_BYTES = 32
RECORD_BYTES = NUMBER_BYTES + CONTENT_BYTES
ENTRY_DIGITS = 9

encode = msgspec.json.Encoder().encode


class CoveredTable(Struct, frozen=True):
    """A table that is only added to. ``number`` is the column that counts its rows, ``columns`` all others, in order."""

    name: str
    number: str
    columns: tuple[str, ...]


EVENT = CoveredTable(
    "event",
    "event_no",
    (
        "org_id",
        "event_id",
        "type",
        "at_ns",
        "node_id",
        "journal_seq",
        "latency_ms",
        "key_id",
        "consumer_group",
        "team_id",
        "application",
        "feature",
        "environment",
        "project",
        "customer",
        "department",
        "user_id",
        "provider",
        "model",
        "asked_model",
        "served_model",
        "status",
        "reason",
        "cost_nanos",
        "input_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
        "cache_write_1h_tokens",
        "output_tokens",
        "reasoning_tokens",
        "usage_source",
        "price_version",
        "unpriced",
        "cache_hit",
        "saved_nanos",
        "policy_actions",
        "attempts",
        "request_id",
        "stream",
        "http_status",
        "period_key",
        "details",
    ),
)
ENTRY = CoveredTable(
    "ledger_entry",
    "entry_no",
    (
        "org_id",
        "wallet_id",
        "type",
        "amount_nanos",
        "balance_nanos",
        "period_key",
        "event_id",
        "actor",
        "description",
        "at_ns",
    ),
)
AUDIT = CoveredTable("audit", "audit_no", ("org_id", "at_ns", "actor", "action", "subject_id", "before", "after"))

TABLES: tuple[CoveredTable, ...] = (EVENT, ENTRY, AUDIT)
"""In the order in which their leaves stand in a checkpoint's tree."""

_EVENT_ID = EVENT.columns.index("event_id")
_NODE = EVENT.columns.index("node_id")
_SEQ = EVENT.columns.index("journal_seq")
_COST = EVENT.columns.index("cost_nanos")
_ACTION, _SUBJECT = AUDIT.columns.index("action"), AUDIT.columns.index("subject_id")


class Row(Struct, frozen=True):
    """A row as checkpoints see it. ``node_id`` and ``journal_seq`` say which record of which journal it was made from;
    0: of none. ``cost_nanos`` counts for events only."""

    number: int
    row_id: str
    content: bytes
    node_id: str = ""
    journal_seq: int = 0
    cost_nanos: int = 0


def read_row(table: CoveredTable, number: int, columns: Sequence[Any]) -> Row:
    """The row in these columns, which are the table's."""
    plain = [int(value) if value.__class__ is bool else value for value in columns]
    content = sha256(encode([table.name, *plain])).digest()
    if table is EVENT:
        return Row(number, str(plain[_EVENT_ID]), content, str(plain[_NODE]), int(plain[_SEQ]), int(plain[_COST] or 0))
    return Row(number, row_id(table, number, plain), content)


def row_id(table: CoveredTable, number: int, columns: Sequence[Any]) -> str:
    """What people know the row by, beside its number."""
    if table is ENTRY:
        return f"txn_{base36(number, ENTRY_DIGITS)}" if number >= 0 else ""
    if table is AUDIT:
        return f"{columns[_ACTION]} {columns[_SUBJECT]}"
    return str(columns[_EVENT_ID])


def row_leaf(table: str, number: int, content: bytes) -> bytes:
    """The row's leaf in its checkpoint's tree; it speaks for the row's number too."""
    return leaf_hash(table.encode() + b"\0" + number.to_bytes(NUMBER_BYTES, "big", signed=True) + content)


def pack(rows: Sequence[Row]) -> bytes:
    """What a checkpoint keeps of its rows, so that a later look can say which one differs: number and content of each."""
    return b"".join(row.number.to_bytes(NUMBER_BYTES, "big", signed=True) + row.content for row in rows)


def unpack(packed: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and content of each row. Raises ValueError when these are not the bytes of whole rows."""
    if len(packed) % RECORD_BYTES:
        raise ValueError("a list of row contents is cut off")
    for at in range(0, len(packed), RECORD_BYTES):
        number = int.from_bytes(packed[at : at + NUMBER_BYTES], "big", signed=True)
        yield number, packed[at + NUMBER_BYTES : at + RECORD_BYTES]


def rows_root_leaves(packed: Mapping[str, bytes]) -> list[bytes]:
    """The leaves of a checkpoint's tree: all tables, in their order. Raises ValueError as ``unpack``."""
    return [
        row_leaf(table.name, number, content)
        for table in TABLES
        for number, content in unpack(packed.get(table.name, b""))
    ]
