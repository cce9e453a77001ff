"""A shipped piece of a journal: which of its records can be applied, which go to quarantine, and which are new."""

import asyncio

from msgspec import Struct

from keeptrusts.control.event_rows import misfit, unfit_ids
from keeptrusts.core.ledger.journal_format import GENESIS, Group, read_groups
from keeptrusts.core.ledger.records import (
    NOT_A_RECORD,
    Close,
    CloseLease,
    Event,
    Granted,
    ReserveMark,
    Return,
    StoredRecord,
    decode_stored,
)
from keeptrusts.core.money import MAX_NANOS

TURN_BYTES = 32 * 1024

NOTHING = (0, GENESIS)
"""The position of a journal of which nothing is applied."""


class JournalGap(Exception):
    """Records between what is applied and what came are missing: ship again from ``last_seq`` on."""

    def __init__(self, last_seq: int) -> None:
        super().__init__(f"records are missing: the journal is applied up to {last_seq}")
        self.last_seq = last_seq


class JournalFork(Exception):
    """What came is not the continuation of what is applied: the journal's history was changed."""


class Placed(Struct, frozen=True, gc=False):
    """A record and its place in the journal."""

    seq: int
    record: StoredRecord


class Unfit(Struct, frozen=True):
    """A record that can't be applied, whole, and why."""

    seq: int
    data: bytes
    reason: str


class ReadGroup(Struct, frozen=True):
    """A group of the journal, read: its records but for the reserves, and those that can't be applied."""

    first_seq: int
    last_seq: int
    chain: bytes
    records: list[Placed]
    unfit: list[Unfit]


class Shipment(Struct, frozen=True):
    """A piece of a journal as it came, read; ``first_seq`` and ``previous_chain`` are its node's word for where it begins."""

    first_seq: int
    previous_chain: bytes
    groups: list[ReadGroup]


class Batch(Struct):
    """What is new in a shipment, and the journal's position after it."""

    records: list[Placed]
    unfit: list[Unfit]
    last_seq: int
    chain: bytes


async def read_shipment(data: bytes, first_seq: int, previous_chain: bytes) -> Shipment:
    """Takes ``data`` apart, and lets others run now and then: whoever asks for money must not wait for a backlog to be read.

    Raises DamagedJournal when the bytes are not whole groups of a journal.
    """
    groups: list[ReadGroup] = []
    turn_bytes = 0
    for group in read_groups(data, first_seq, previous_chain):
        groups.append(_read(group))
        turn_bytes += len(group.body)
        if turn_bytes > TURN_BYTES:
            turn_bytes = 0
            await asyncio.sleep(0)
    return Shipment(first_seq, previous_chain, groups)


def new_in(shipment: Shipment, applied: tuple[int, bytes]) -> Batch:
    """What is new, given the journal's position so far. Raises JournalGap or JournalFork."""
    last_seq, chain = applied
    if shipment.first_seq > last_seq + 1:
        raise JournalGap(last_seq)
    if shipment.first_seq == last_seq + 1 and shipment.previous_chain != chain:
        raise JournalFork(f"the chain value before record {shipment.first_seq} is not the one that is applied")
    batch = Batch([], [], last_seq, chain)
    for group in shipment.groups:
        if group.last_seq == last_seq and group.chain != chain:
            raise JournalFork(f"record {last_seq} is applied with another content")
        if group.last_seq <= last_seq:
            continue
        if group.first_seq <= last_seq:
            raise JournalFork(f"record {last_seq} is applied as the end of a group, and is not one here")
        batch.records += group.records
        batch.unfit += group.unfit
        batch.last_seq, batch.chain = group.last_seq, group.chain
    return batch


def _read(group: Group) -> ReadGroup:
    records: list[Placed] = []
    unfit: list[Unfit] = []
    for seq, data in enumerate(group.records, group.first_seq):
        try:
            record = decode_stored(data)
        except NOT_A_RECORD as error:
            unfit.append(Unfit(seq, data, f"not a record: {error}"))
            continue
        if isinstance(record, ReserveMark):
            continue
        reason = _unfit(record)
        if reason is None:
            records.append(Placed(seq, record))
        else:
            unfit.append(Unfit(seq, data, reason))
    return ReadGroup(group.first_seq, group.last_seq, group.chain, records, unfit)


def _unfit(record: StoredRecord) -> str | None:
    if isinstance(record, Event):
        return misfit(record)
    if isinstance(record, Close):
        attempt = record.attempt
        if (
            not 0
            <= min(attempt.cost_nanos, attempt.hold_nanos)
            <= max(attempt.cost_nanos, attempt.hold_nanos)
            <= MAX_NANOS
        ):
            return "the attempt's cost or hold is negative or too large"
        return unfit_ids(record.call_id, attempt.lease_id)
    if isinstance(record, Granted):
        if not 0 < record.nanos <= MAX_NANOS:
            return "the granted amount is not positive or too large"
        return unfit_ids(record.grant_id, record.lease_id, record.team_id, *record.also)
    if isinstance(record, Return):
        if not 0 <= record.nanos <= MAX_NANOS:
            return "the returned amount is negative or too large"
        return unfit_ids(record.lease_id)
    if isinstance(record, CloseLease):
        return unfit_ids(record.lease_id, record.team_id)
    return None
