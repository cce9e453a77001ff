"""A shipped piece of a journal: which of its records are new, which can be applied, and which go to quarantine."""

from collections.abc import Callable

import msgspec
from msgspec import Struct

from keeptrusts.control.event_rows import misfit
from keeptrusts.core.ledger.journal_format import GENESIS, Group, read_groups
from keeptrusts.core.ledger.records import Close, Event, Granted, Record, Return, decode_record
from keeptrusts.core.money import MAX_NANOS


class JournalGap(Exception):
    """Records between what is applied and what came are missing: ship again from ``last_seq`` on."""

    def __init__(self, last_seq: int) -> None:
        super().__init__(f"records are missing: the journal is applied up to {last_seq}")
        self.last_seq = last_seq


class JournalFork(Exception):
    """What came is not the continuation of what is applied: the journal's history was changed."""


class Placed(Struct, frozen=True):
    """A record and its place in the journal."""

    seq: int
    record: Record


class Unfit(Struct, frozen=True):
    """A record that can't be applied, whole, and why."""

    seq: int
    data: bytes
    reason: str


class Batch(Struct):
    """The new records of a shipment, sorted out, and the journal's position after them."""

    records: list[Placed]
    unfit: list[Unfit]
    last_seq: int
    chain: bytes


def read_batch(data: bytes, first_seq: int, previous_chain: bytes, applied: tuple[int, bytes] | None) -> Batch:
    """What is new in ``data``, given the position ``applied`` so far (None: nothing).

    Raises JournalGap, JournalFork, and DamagedJournal when the bytes are not whole groups of a journal.
    """
    last_seq, chain = applied or (0, GENESIS)
    if first_seq > last_seq + 1:
        raise JournalGap(last_seq)
    if first_seq == last_seq + 1 and previous_chain != chain:
        raise JournalFork(f"the chain value before record {first_seq} is not the one that is applied")
    batch = Batch([], [], last_seq, chain)
    for group in read_groups(data, first_seq, previous_chain):
        if group.last_seq == last_seq and group.chain != chain:
            raise JournalFork(f"record {last_seq} is applied with another content")
        if group.last_seq <= last_seq:
            continue
        if group.first_seq <= last_seq:
            raise JournalFork(f"record {last_seq} is applied as the end of a group, and is not one here")
        _sort_out(group, batch)
    return batch


def _sort_out(group: Group, batch: Batch) -> None:
    for seq, data in enumerate(group.records, group.first_seq):
        try:
            record = decode_record(data)
        except (msgspec.DecodeError, msgspec.ValidationError, RecursionError) as error:
            batch.unfit.append(Unfit(seq, data, f"not a record: {error}"))
            continue
        reason = _unfit(record)
        if reason is None:
            batch.records.append(Placed(seq, record))
        else:
            batch.unfit.append(Unfit(seq, data, reason))
    batch.last_seq, batch.chain = group.last_seq, group.chain


def _unfit(record: Record) -> str | None:
    if isinstance(record, Event):
        return misfit(record)
    if isinstance(record, Close) and not 0 <= record.attempt.cost_nanos <= MAX_NANOS:
        return "the attempt's cost is negative or too large"
    if isinstance(record, Granted) and not 0 < record.nanos <= MAX_NANOS:
        return "the granted amount is not positive or too large"
    if isinstance(record, Return) and not 0 <= record.nanos <= MAX_NANOS:
        return "the returned amount is negative or too large"
    return None


def set_aside(batch: Batch, bad: Callable[[Placed], str | None], encode: Callable[[Record], bytes]) -> None:
    """Moves the records for which ``bad`` gives a reason to quarantine."""
    kept = []
    for placed in batch.records:
        reason = bad(placed)
        if reason is None:
            kept.append(placed)
        else:
            batch.unfit.append(Unfit(placed.seq, encode(placed.record), reason))
    batch.records = kept
