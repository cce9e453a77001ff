"""Applying a piece of a node's journal: events, leases, wallets, statements, alerts and key use, all in one transaction.

A well-formed record is never refused: whatever the budgets say, what was spent is posted.
"""

import logging

from keeptrusts.control.context import NodeTerms, Tools
from keeptrusts.control.journal_reading import Batch, Placed, read_batch, set_aside
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
    async with store.ledger() as ledger:
        batch = read_batch(data, first_seq, previous_chain, await ledger.journals.position(terms.node_id))
        if not batch.records and not batch.unfit:
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
    seen = await ledger.events.known([p.record.call_id for p in batch.records if isinstance(p.record, Event)])

    def double(placed: Placed) -> str | None:
        if not isinstance(placed.record, Event):
            return None
        if placed.record.call_id in seen:
            return f"call {placed.record.call_id} has an event already"
        seen.add(placed.record.call_id)
        return None

    set_aside(batch, double, encode_record)
