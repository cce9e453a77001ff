"""Reading on through what is only ever added to, events and statements, and holding every row against the invariants."""

from keeptrusts.core.ledger.invariants import calls
from keeptrusts.core.ledger.invariants.calls import CallRow, JournalOrder, Known
from keeptrusts.core.ledger.invariants.findings import FINDINGS_MAX, Verdicts
from keeptrusts.core.ledger.invariants.records import gaps
from keeptrusts.core.ledger.invariants.statements import Statements
from keeptrusts.core.pricing.price import Price
from keeptrusts.store.books import Books

PAGE_ROWS = 2_000

ALWAYS_NS = 2**63 - 1


class Facts:
    """One reading, from the first row on; ``read_on`` takes the next page.

    Memory grows with the number of leases, nodes and statements, not with that of events.
    """

    def __init__(self) -> None:
        self.verdicts = Verdicts()
        self.statements = Statements()
        self.order = JournalOrder()
        self.billed: dict[str, int] = {}
        self.events_to = 0
        self.entries_to = 0
        self._prices: dict[str, Price] = {}

    async def read_on(self, books: Books, entries_until_ns: int = ALWAYS_NS, limit: int = PAGE_ROWS) -> bool:
        """The next page of events, and of entries that are older than ``entries_until_ns``; False: there was nothing more."""
        more_events = await self.read_events(books, limit)
        entries = await books.inspection.entries(self.entries_to, entries_until_ns, limit)
        for entry in entries:
            self.statements.add(entry)
        if entries:
            self.entries_to = entries[-1].number
        self.verdicts.checked("L1", len(entries))
        return more_events or bool(entries)

    async def read_events(self, books: Books, limit: int = PAGE_ROWS) -> bool:
        """The next page of events; False: there was nothing more."""
        page = await books.inspection.calls(self.events_to, limit)
        if not page.rows:
            return False
        if page.last - self.events_to != page.rows:
            span = (self.events_to, page.last)
            self.verdicts.find(gaps("event", await books.inspection.gaps("event", FINDINGS_MAX, span)))
        self.events_to = page.last
        self._hold(page.calls, await self._known(books, page.calls))
        self.verdicts.checked("L8", page.rows)
        return True

    async def _known(self, books: Books, page: list[CallRow]) -> Known:
        attempts = [attempt for call in page for attempt in call.attempts or ()]
        versions = {attempt.price_version for attempt in attempts if attempt.price_version is not None}
        if unknown := versions - self._prices.keys():
            self._prices |= await books.inspection.prices(unknown)
        lease_ids = {attempt.lease_id for attempt in attempts if attempt.lease_id is not None}
        return Known(self._prices, await books.inspection.lease_holders(lease_ids))

    def _hold(self, page: list[CallRow], known: Known) -> None:
        verdicts, billed = self.verdicts, self.billed
        # Rule by rule rather than call by call: it costs fewer generators, and this is most of an examination.
        for _, rule in calls.RULES:
            verdicts.find(finding for call in page for finding in rule(call, known))
        verdicts.find(finding for call in page for finding in self.order.add(call))
        for call in page:
            for number, what, count in calls.notes(call):
                verdicts.note(number, what, count)
            for attempt in call.attempts or ():
                lease_id = attempt.lease_id
                if lease_id is not None and lease_id in known.leases and known.leases[lease_id][0] == call.node_id:
                    billed[lease_id] = billed.get(lease_id, 0) + attempt.cost_nanos
        for number, _ in calls.RULES:
            verdicts.checked(number, len(page))
        verdicts.checked("L7", len(page))
