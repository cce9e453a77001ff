"""The watch over the books: a reading that goes on beside the API, and what it found last."""

from msgspec import Struct

from keeptrusts.clock import NANOS_PER_S
from keeptrusts.control.examination import LATE_NS, examine_books, examine_records
from keeptrusts.control.facts import ALWAYS_NS, Facts
from keeptrusts.core.ledger.invariants.findings import Verdicts
from keeptrusts.store.books import SqlStore

PAGE_ROWS = 500
"""Facts that are held against the rules at once: few, since nothing else runs meanwhile."""

STALE_S = 900.0
"""After this time without an examination nothing is known."""


class Examined(Struct, frozen=True):
    """A finished examination: what it found, when it was done and how long it took."""

    verdicts: Verdicts
    at_ns: int
    took_s: float


class LedgerWatch:
    """Reads on through the facts in small steps; whenever it has all of them, the books are examined as they stand."""

    def __init__(self) -> None:
        self.last: Examined | None = None
        self.chain: Verdicts | None = None
        self.facts = Facts()
        self.findings_total = 0
        self._known = 0

    def begin_again(self) -> None:
        """Reads from the first row, since old rows can be altered behind the ledger's back; the last result stands meanwhile."""
        self.facts = Facts()

    async def read_on(self, store: SqlStore, now_ns: int) -> bool:
        """The next few facts; False: there was nothing more."""
        until_ns = ALWAYS_NS if store.one_writer else now_ns - LATE_NS
        async with store.read() as books:
            return await self.facts.read_on(books, until_ns, PAGE_ROWS)

    async def examine(self, store: SqlStore) -> Verdicts:
        """Wallets, leases and journals as they stand, with all facts that they rest on."""
        async with store.read() as books:
            verdicts = await examine_books(books, self.facts)
            await examine_records(books, verdicts, store.one_writer)
        if self.chain is not None:
            verdicts.include(self.chain)
        return verdicts

    def found(self, verdicts: Verdicts, at_ns: int, took_s: float) -> None:
        """Keeps the result of an examination."""
        self.findings_total += max(0, verdicts.broken - self._known)
        self._known = verdicts.broken
        self.last = Examined(verdicts, at_ns, took_s)

    def status(self, now_ns: int) -> str:
        """``ok``, ``violated``, or ``unknown``: not examined yet, or not lately."""
        if self.last is None or now_ns - self.last.at_ns > STALE_S * NANOS_PER_S:
            return "violated" if self.facts.verdicts.broken else "unknown"
        return "violated" if self.last.verdicts.broken else "ok"
