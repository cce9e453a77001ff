"""Brings the journal to the store: whole groups, in order, read back from the segments."""

import asyncio
import logging
import time

from keeptrusts.core.ledger.journal_format import DamagedJournal
from keeptrusts.gateway.journal import Journal
from keeptrusts.gateway.journal_reader import JournalReader
from keeptrusts.gateway.link import Link, LinkDown, LinkRefused, SequenceGap

log = logging.getLogger("keeptrusts::gateway")

GATHER_S = 0.03
"""How long a group waits for company before it is shipped."""

BATCH_BYTES = 1024 * 1024
RETRY_S = (0.1, 0.2, 0.5, 1.0, 2.0)

KEEP_SEGMENTS = 8
KEEP_S = 900.0
"""Shipped segments stay until they are both so many and so old: a store restored from a backup is completed from them,
and a replay finds in them the beginning of every call that is still under way."""


class RecordsGone(Exception):
    """The store wants records that are no longer on disk."""


class Shipper:
    """Ships one journal for as long as its node lives; everything written before ``finish`` is shipped by then."""

    def __init__(self, journal: Journal, link: Link, keep_s: float = KEEP_S) -> None:
        self._journal = journal
        self._keep_s = keep_s
        self._link = link
        self._reader = JournalReader(journal.directory)
        self._news = asyncio.Event()
        self._unsure = False
        self._task: asyncio.Task[None] | None = None
        self.shipped_seq = 0
        journal.on_written = self._news.set

    def start(self) -> None:
        """Begins to ship in the background."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    def check(self) -> None:
        """The store may have lost what it took: asks it what it has, and ships again from there."""
        self._unsure = True
        self._news.set()

    async def _run(self) -> None:
        while True:
            await self._news.wait()
            await asyncio.sleep(GATHER_S)
            self._news.clear()
            await self._persist()

    async def _persist(self) -> None:
        """Ships until nothing is left, however long that takes. A journal that is damaged stops the node's admitting."""
        failures = 0
        while True:
            try:
                await self.ship_pending()
                return
            except DamagedJournal as error:
                self._journal.fail(f"it can't be read back: {error}")
                return
            except (LinkDown, LinkRefused, RecordsGone, OSError) as error:
                if failures == 0:
                    log.warning("Can't ship the journal yet, and keep trying: %s", error)
            await asyncio.sleep(RETRY_S[min(failures, len(RETRY_S) - 1)])
            failures += 1

    async def ship_pending(self) -> None:
        """Ships until nothing is left. Raises LinkDown, LinkRefused, RecordsGone; DamagedJournal or OSError when the
        journal can't be read. What was shipped until then stays shipped."""
        asked_for = -1
        while True:
            data, first_seq, chain, next_seq = self._reader.read(BATCH_BYTES)
            if not data and not self._unsure:
                return
            try:
                shipped = await self._link.ship(data, first_seq, chain)
            except SequenceGap as gap:
                if gap.last_seq == asked_for:
                    raise LinkDown(f"the store goes on asking for record {gap.last_seq + 1}") from None
                asked_for = gap.last_seq
                self._go_back(gap.last_seq)
                continue
            self._unsure = False
            if not data:
                continue
            self.shipped_seq = max(shipped.last_seq, next_seq - 1)
            self._reader.advance()
            self._journal.unshipped_bytes -= len(data)
            if shipped.last_seq >= next_seq:
                # Whether what is passed over is what the store has is for the next shipment to show, even an empty one.
                self._reader.skip_to(shipped.last_seq)
                self._unsure = True
                self._journal.unshipped_bytes = self._reader.unread_bytes()
            self._forget_shipped_segments()

    def _go_back(self, last_seq: int) -> None:
        log.warning("The store has this journal up to record %d: shipping again from there.", last_seq)
        self._reader.rewind()
        self._reader.skip_to(last_seq)
        self._journal.unshipped_bytes = self._reader.unread_bytes()
        if self._reader.next_seq > last_seq + 1:
            first = self._reader.next_seq
            self._reader.rewind()
            raise RecordsGone(f"the store lacks record {last_seq + 1}, and the first on disk is {first}")

    def _forget_shipped_segments(self) -> None:
        for segment in self._reader.finished_segments()[:-KEEP_SEGMENTS]:
            if time.time() - segment.stat().st_mtime > self._keep_s:
                segment.unlink(missing_ok=True)

    async def finish(self, bound_s: float, stuck_s: float) -> bool:
        """Ships what is left, within ``bound_s`` seconds, and gives up when nothing moved for ``stuck_s``; False when some of
        it stays for the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        loop = asyncio.get_running_loop()
        ends = loop.time() + bound_s
        shipping = loop.create_task(self._persist())
        try:
            while not shipping.done():
                before = self.shipped_seq
                left_s = min(stuck_s, ends - loop.time())
                await asyncio.wait({shipping}, timeout=max(0.0, left_s))
                if not shipping.done() and (self.shipped_seq == before or loop.time() >= ends):
                    return False
        finally:
            shipping.cancel()
            await asyncio.wait({shipping})
        shipping.result()
        return self._journal.failure is None
