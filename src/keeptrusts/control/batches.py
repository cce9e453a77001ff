"""Applying a piece of a node's journal: events, leases, wallets, statements, alerts and key use, all in one transaction.

A well-formed record is never refused: whatever the budgets say, what was spent is posted.
"""

import logging

from keeptrusts.control.context import NodeTerms, Tools
from keeptrusts.control.journal_reading import NOTHING, Batch, Unfit, new_in, read_shipment
from keeptrusts.control.lost_grants import make_lost_grants
from keeptrusts.control.posting import Posting
from keeptrusts.core.ledger.records import End, Event, encode_record
from keeptrusts.store.contracts import Ledger, LedgerStore

log = logging.getLogger("keeptrusts::api")


async def apply_batch(
    store: LedgerStore, tools: Tools, terms: NodeTerms, data: bytes, first_seq: int, previous_chain: bytes
) -> int:
    """Applies what is new in ``data`` (whole journal groups) and returns the last applied sequence number.

    Raises JournalGap, JournalFork or DamagedJournal, and then nothing is changed.
    """
    shipment = await read_shipment(data, first_seq, previous_chain)
    async with store.ledger() as ledger:
        applied = await ledger.journals.position(terms.node_id) or NOTHING
        batch = new_in(shipment, applied)
        if (batch.last_seq, batch.chain) == applied:
            return batch.last_seq
        await _set_doubles_aside(ledger, batch)
        if await make_lost_grants(ledger, tools, terms, batch.records):
            await ledger.recovery.begin(tools.now_ms(), f"node {terms.node_id} has grants that the store has not")
        posting = Posting(ledger, tools, terms)
        await posting.load(batch.records)
        posting.work_out(batch.records)
        await posting.write()
        for unfit in batch.unfit:
            log.error("Record %d of node %s goes to quarantine: %s", unfit.seq, terms.node_id, unfit.reason)
            await ledger.journals.quarantine(terms.node_id, unfit.seq, unfit.data, unfit.reason, tools.now_ms())
        await ledger.journals.advance(terms.node_id, batch.last_seq, batch.chain)
        if any(isinstance(placed.record, End) for placed in batch.records):
            await ledger.journals.end(terms.node_id)
        return batch.last_seq


async def _set_doubles_aside(ledger: Ledger, batch: Batch) -> None:
    """One event per call: a second one is kept whole in quarantine, and moves no money."""
    call_ids = [placed.record.call_id for placed in batch.records if isinstance(placed.record, Event)]
    if not call_ids:
        return
    seen = await ledger.events.known(call_ids)
    if not seen and len(set(call_ids)) == len(call_ids):
        return
    kept = []
    for placed in batch.records:
        record = placed.record
        if isinstance(record, Event) and record.call_id in seen:
            reason = f"call {record.call_id} has an event already"
            batch.unfit.append(Unfit(placed.seq, encode_record(record), reason))
            continue
        if isinstance(record, Event):
            seen.add(record.call_id)
        kept.append(placed)
    batch.records = kept
