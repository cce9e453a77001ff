"""Examining the books: reads them in pages, holds every row against the invariants, changes nothing."""

from keeptrusts.core.ledger.invariants import records
from keeptrusts.core.ledger.invariants.findings import FINDINGS_MAX, Verdicts
from keeptrusts.store.books import Books, SqlStore
from keeptrusts.store.inspection import NUMBERED


async def examine(store: SqlStore) -> Verdicts:
    """The whole ledger against every invariant. Raises StoreAway."""
    verdicts = Verdicts()
    async with store.read() as books:
        await examine_records(books, verdicts)
    return verdicts


async def examine_records(books: Books, verdicts: Verdicts) -> None:
    """L8: nothing is gone from the tables of facts, and nothing that guards them is altered."""
    differences = await books.inspection.altered_schema()
    verdicts.find(records.altered_schema((each.kind, each.name, each.what) for each in differences))
    for table in NUMBERED:
        highest, rows = await books.inspection.extent(table)
        verdicts.checked("L8", rows)
        if highest != rows:
            verdicts.find(records.gaps(table, await books.inspection.gaps(table, FINDINGS_MAX)))
    verdicts.complete("L8")
