"""What a crashed gateway left behind: each journal whose lock is free is replayed, its open calls are posted at their
hold and flagged, its leases go back, everything is shipped; then the journal is retired."""

import logging
import math
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from keeptrusts.core.calls.usage import NO_USAGE, UsageSource
from keeptrusts.core.ledger.journal_format import GENESIS, DamagedJournal, read_groups
from keeptrusts.core.ledger.records import (
    NOT_A_RECORD,
    Attempt,
    Boot,
    Close,
    CloseLease,
    End,
    Event,
    LeaseIntent,
    Record,
    Reserve,
    decode_record,
    encode_record,
)
from keeptrusts.core.link import Lost, Registration
from keeptrusts.gateway.damage import is_damaged, mark_damaged, set_damage_aside
from keeptrusts.gateway.journal import (
    LOCK_NAME,
    Journal,
    JournalBusy,
    JournalFailed,
    machine_boot_id,
    segment_start,
    segments,
)
from keeptrusts.gateway.link import Link, LinkRefused
from keeptrusts.gateway.shipper import KEEP_S, RecordsGone, Shipper

log = logging.getLogger("keeptrusts::gateway")

RETIRED_MARK = "retired"
KEEP_RETIRED = 20


FORKED = 422
"""How the control plane refuses a journal that does not continue what it has applied."""


class EndLost(RecordsGone):
    """The store has applied more of the journal than is on this disk."""


class Replay:
    """A journal read from its first record: which attempts never ended, which leases never closed."""

    def __init__(self) -> None:
        self.node_id = ""
        self.boot_id = ""
        self.next_seq = 1
        self.chain = GENESIS
        self.open_attempts: dict[tuple[str, int], Reserve] = {}
        self.ended_attempts: dict[str, list[Attempt]] = {}
        self.latest_reserve: dict[str, Reserve] = {}
        self.open_leases: dict[str, str] = {}
        self.ended = False

    def add(self, record: Record) -> None:
        """One more record, in order."""
        match record:
            case Boot():
                self.node_id, self.boot_id = record.node_id, record.boot_id
            case LeaseIntent():
                self.open_leases[record.lease_id] = record.team_id
            case CloseLease():
                self.open_leases.pop(record.lease_id, None)
            case Reserve():
                self.open_attempts[record.call_id, record.attempt] = record
                self.latest_reserve[record.call_id] = record
            case Close():
                self.open_attempts.pop((record.call_id, record.attempt.number), None)
                self.ended_attempts.setdefault(record.call_id, []).append(record.attempt)
            case Event():
                for attempt in record.attempts:
                    self.open_attempts.pop((record.call_id, attempt.number), None)
                self.ended_attempts.pop(record.call_id, None)
                self.latest_reserve.pop(record.call_id, None)
            case End():
                self.ended = True

    def closing_records(self, until_ns: int, boot_id: str) -> list[Record]:
        """What the dead node can't write any more: a row for each call that has none, an end for each lease, and the end.

        In another boot of the machine than the journal's, its last writes may be missing: the leases go to suspense.
        """
        if self.ended:
            return []
        rebooted = self.boot_id != boot_id
        closes = [CloseLease(lease_id, team_id, rebooted) for lease_id, team_id in self.open_leases.items()]
        return [*self.rows(until_ns), *closes, End()]

    def rows(self, until_ns: int) -> list[Record]:
        """A row for each call that has none."""
        return [
            recovered_event(reserve, self.ended_attempts.get(call_id, []), (call_id, reserve.attempt), self, until_ns)
            for call_id, reserve in self.latest_reserve.items()
        ]


def recovered_event(
    reserve: Reserve, ended: list[Attempt], last: tuple[str, int], found: Replay, until_ns: int
) -> Event:
    """The row of a call whose node died. Nobody knows what its open attempt was billed: its hold is posted and flagged."""
    attempts = tuple(ended)
    open_reserve = found.open_attempts.get(last)
    if open_reserve is not None:
        attempts = (*ended, _worst_case(open_reserve))
    return Event(
        call_id=reserve.call_id,
        at_ns=reserve.at_ns,
        latency_ms=max(0, (until_ns - reserve.at_ns) // 1_000_000),
        key_id=reserve.key_id,
        group=reserve.group,
        attribution=reserve.attribution,
        provider=reserve.provider,
        model=reserve.model,
        asked_model=reserve.asked_model,
        served_model=None,
        status="recovered",
        reason="node_crashed",
        cost_nanos=sum(attempt.cost_nanos for attempt in attempts),
        usage=NO_USAGE,
        usage_source=UsageSource.WORST_CASE,
        price_version=reserve.price_version,
        unpriced=reserve.price_version is None,
        cache_hit=False,
        saved_nanos=0,
        policy_actions=(),
        attempts=attempts,
        settles=0 if open_reserve is None else 1,
        request_id=reserve.request_id,
        stream=False,
        http_status=0,
    )


def _worst_case(reserve: Reserve) -> Attempt:
    return Attempt(
        number=reserve.attempt,
        target=reserve.target,
        provider=reserve.provider,
        model=reserve.model,
        outcome="indeterminate",
        hold_nanos=reserve.hold_nanos,
        cost_nanos=reserve.hold_nanos,
        reason="the gateway stopped while the call was under way",
        lease_id=reserve.lease_id,
        usage_source=UsageSource.WORST_CASE,
        price_version=reserve.price_version,
    )


def replay(directory: Path) -> Replay:
    """Reads a journal whole, a segment at a time; a torn last write is cut off, since nothing that it announced was done.

    Raises DamagedJournal when anything before the end is not what was written.
    """
    found = Replay()
    paths = segments(directory)
    if paths:
        found.next_seq, found.chain = segment_start(paths[0])
    for path in paths:
        data = path.read_bytes()
        end = 0
        for group in read_groups(data, found.next_seq, found.chain):
            for record in group.records:
                found.add(decode_record(record))
            found.next_seq, found.chain, end = group.last_seq + 1, group.chain, group.end_offset
        if end < len(data):
            if path != paths[-1]:
                raise DamagedJournal(end, f"{path.name} ends in the middle of a write, but others follow it")
            log.warning("Cut off %d bytes of a torn write at the end of %s.", len(data) - end, path.name)
            with path.open("r+b") as file:
                file.truncate(end)
    return found


def abandoned_journals(root: Path, keep_s: float = KEEP_S) -> list[Path]:
    """The journals under ``root`` that are not retired, whoever holds them; of the retired, only the newest are kept, and
    those that were retired within ``keep_s`` seconds.

    Other gateways may be doing the same at this moment: what is gone meanwhile is none of ours.
    """
    directories = sorted(path.parent for path in root.glob(f"*/{LOCK_NAME}"))
    marks = {directory: _retired_at(directory) for directory in directories}
    retired = sorted((d for d in directories if marks[d] is not None), key=lambda d: marks[d] or 0.0)
    for directory in retired[:-KEEP_RETIRED]:
        if time.time() - (marks[directory] or 0.0) > keep_s and not is_damaged(directory):
            shutil.rmtree(directory, ignore_errors=True)
    return [directory for directory in directories if marks[directory] is None]


def _retired_at(directory: Path) -> float | None:
    try:
        return (directory / RETIRED_MARK).stat().st_mtime
    except FileNotFoundError:
        return None


def _retired_journals(root: Path) -> list[Path]:
    return sorted(path.parent for path in root.glob(f"*/{RETIRED_MARK}"))


async def adopt_journals(
    root: Path,
    registration: Registration,
    link_for: Callable[[], Link] | None,
    now_ns: Callable[[], int],
    keep_s: float = KEEP_S,
) -> int:
    """Adopts every journal under ``root`` whose node is gone; returns how many. Raises LinkDown when the store is away.

    Without a link (a gateway that runs alone) the journals are only completed: they are all the ledger there is.
    A journal that can't be adopted stays as it is, is named in the log, and does not keep the others. What is shipped stays
    on disk for ``keep_s`` seconds.
    """
    adopted = 0
    for directory in abandoned_journals(root, keep_s):
        adopted += await _adopt(directory, registration, link_for, now_ns, keep_s)
    return adopted


async def _adopt(
    directory: Path,
    registration: Registration,
    link_for: Callable[[], Link] | None,
    now_ns: Callable[[], int],
    keep_s: float,
) -> bool:
    try:
        journal = Journal(directory, directory.name)
    except (JournalBusy, FileNotFoundError):
        return False
    try:
        if _retired_at(directory) is not None:
            # Another gateway was faster.
            return False
        rebooted = False
        if not is_damaged(directory):
            try:
                rebooted = await _complete(journal, now_ns())
            except DamagedJournal as damage:
                log.error("The journal in %s is damaged: %s. The rest is kept aside.", directory, damage)
                mark_damaged(directory, str(damage))
        if is_damaged(directory):
            set_damage_aside(directory)
            await _salvage(journal, registration, link_for, now_ns(), keep_s)
        elif link_for is not None and segments(directory):
            await _ship(journal, registration, link_for(), keep_s, rebooted)
        (directory / RETIRED_MARK).touch()
    except (DamagedJournal, *NOT_A_RECORD) as error:
        log.error("The journal in %s can't be read; it stays as it is, and so do its leases: %s", directory, error)
        return False
    except (LinkRefused, RecordsGone) as error:
        log.error("The store does not take the journal in %s; its leases stay open: %s", directory, error)
        return False
    except (OSError, JournalFailed) as error:
        log.error("The journal in %s can't be completed; it stays as it is: %s", directory, error)
        return False
    finally:
        journal.close()
    return True


async def ship_retired(root: Path, registration: Registration, link_for: Callable[[], Link]) -> None:
    """Ships again what a restored store lacks of journals that had ended. Raises LinkDown when the store is away."""
    for directory in _retired_journals(root):
        try:
            journal = Journal(directory, directory.name)
        except (JournalBusy, FileNotFoundError):
            continue
        try:
            if segments(directory):
                found = replay(directory)
                journal.next_seq, journal.chain = found.next_seq, found.chain
                await _ship(journal, registration, link_for(), math.inf)
        except (DamagedJournal, LinkRefused, RecordsGone, OSError) as error:
            log.error("The store can't get the journal in %s again: %s", directory, error)
        finally:
            journal.close()


async def _complete(journal: Journal, now_ns: int) -> bool:
    """Writes what the dead node could not write any more; returns whether the machine was started anew since it died."""
    found = replay(journal.directory)
    journal.node_id = found.node_id or journal.node_id
    journal.next_seq, journal.chain = found.next_seq, found.chain
    closing = found.closing_records(now_ns, machine_boot_id())
    calls, leases = len(found.latest_reserve), len(found.open_leases)
    if calls or leases:
        log.warning("Recovering node %s: %d calls were under way, %d leases open.", journal.node_id, calls, leases)
    await _append(journal, closing)
    # Of an empty journal nobody knows: it is one that lost all it had, as far as anybody can prove.
    return found.boot_id != machine_boot_id()


async def _salvage(
    journal: Journal, registration: Registration, link_for: Callable[[], Link] | None, now_ns: int, keep_s: float
) -> None:
    """Of a damaged journal everything before the damage is truth and is shipped. What its leases paid for after it nobody
    can prove: they go to suspense."""
    found = replay(journal.directory)
    journal.node_id = found.node_id or journal.node_id
    journal.next_seq, journal.chain = found.next_seq, found.chain
    if link_for is None:
        closes = [CloseLease(lease_id, team_id, True) for lease_id, team_id in found.open_leases.items()]
        await _append(journal, [*found.rows(now_ns), *closes])
        return
    link = link_for()
    try:
        await link.register(msgspec.structs.replace(registration, node_id=journal.node_id))
        shipper = Shipper(journal, link, keep_s)
        if segments(journal.directory):
            await shipper.ship_pending()
        if shipper.shipped_seq < found.next_seq:
            # The store has no more than we: what was under way there has no row yet.
            await _append(journal, found.rows(now_ns))
            await shipper.ship_pending()
        await link.report_lost(Lost(f"a part of its journal is damaged: see {journal.directory}"))
    finally:
        link.close()
    log.error(
        "Node %s is given up: what its leases had left is in suspense until somebody resolves it.", journal.node_id
    )


async def _append(journal: Journal, records: list[Record]) -> None:
    for record in records:
        journal.append(encode_record(record))
    await journal.written()


async def _ship(
    journal: Journal, registration: Registration, link: Link, keep_s: float, rebooted: bool = False
) -> None:
    """Ships what the store lacks. A machine that was started anew may have lost its last writes, and with them the beginning
    of a lease that the store has granted: then the store looks for leases that no record ends, and they go to suspense."""
    try:
        await link.register(msgspec.structs.replace(registration, node_id=journal.node_id))
        try:
            await _ship_all(journal, link, keep_s)
        except EndLost as error:
            rebooted = True
            log.error("The journal in %s has lost its end, so its node is given up: %s", journal.directory, error)
        except LinkRefused as error:
            if not rebooted or error.status != FORKED:
                raise
            log.error("The journal in %s went on otherwise, so its node is given up: %s", journal.directory, error)
        if rebooted:
            await link.report_lost(Lost("its machine was started anew, and its last writes may be lost"))
    finally:
        link.close()


async def _ship_all(journal: Journal, link: Link, keep_s: float) -> None:
    shipper = Shipper(journal, link, keep_s)
    await shipper.ship_pending()
    applied = shipper.shipped_seq or (await link.ship(b"", 1, GENESIS)).last_seq
    if applied > journal.written_seq:
        # What was shipped was lost here, as when the power fails: no record of ours can follow what we do not know.
        raise EndLost(f"it has records up to {applied}, and on this disk the last is {journal.written_seq}")
