"""Reading a ledger through, checkpoint by checkpoint, and holding every covered row against what was signed."""

from collections.abc import AsyncIterator, Mapping, Sequence

from msgspec import Struct

from keeptrusts.core.audit.findings import OFFENCES_MAX, Report
from keeptrusts.core.audit.inspection import Inspection
from keeptrusts.core.audit.rows import TABLES, CoveredTable, Row, read_row
from keeptrusts.core.audit.spans import Span
from keeptrusts.core.audit.statement import Sealed
from keeptrusts.store.books import Books, SqlStore

PAGE_ROWS = 2_000
PAGE_CHECKPOINTS = 100


class Witness(Struct, frozen=True):
    """Somebody outside of the database saw this checkpoint with this hash; ``by`` is how a person would say who."""

    number: int
    hash: str
    by: str


async def inspect(store: SqlStore, trusted: frozenset[str] | None, witnesses: Sequence[Witness]) -> Report:
    """The whole ledger against its checkpoints, changing nothing. ``trusted`` None: no public key is held against.

    Raises StoreAway.
    """
    async with store.read() as books:
        strangers = {t.name: frozenset(await books.covered_rows.strangers(t, OFFENCES_MAX)) for t in TABLES}
    inspection = Inspection(trusted, strangers)
    async for number, sealed in _checkpoints(store):
        # A view for each: rows are never changed, and one long view would keep the engine from tidying up.
        async with store.read() as books:
            spans = inspection.open(number, sealed, await _contents(books, number))
            found: Mapping[str, Sequence[Row]] = {t.name: await _rows(books, t, spans.get(t.name, ())) for t in TABLES}
        inspection.compare(found)
    uncovered = {}
    for table in TABLES:
        async with store.read() as books:
            inspection.intruders(table, await _rows(books, table, inspection.within(table), OFFENCES_MAX))
            uncovered[table.name] = sum([await books.covered_rows.count(table, s) for s in inspection.beyond(table)])
    for witness in witnesses:
        inspection.witnessed(witness.number, witness.hash, witness.by)
    return inspection.report(uncovered)


async def _checkpoints(store: SqlStore) -> AsyncIterator[tuple[int, Sealed | None]]:
    """Every checkpoint of which there is anything, in order: its statement, or at least the list of its rows."""
    after = 0
    while True:
        async with store.read() as books:
            sealed = {each.number: each for each in await _statements(books, after)}
            listed = await books.checkpoints.numbers_with_contents(after, PAGE_CHECKPOINTS)
        # Beyond the shorter of two full pages, one kind is not known yet.
        ends = [max(numbers) for numbers in (list(sealed), listed) if len(numbers) == PAGE_CHECKPOINTS]
        numbers = sorted(n for n in {*sealed, *listed} if not ends or n <= min(ends))
        if not numbers:
            return
        for number in numbers:
            yield number, sealed.get(number)
        after = numbers[-1]


async def _statements(books: Books, after: int) -> list[Sealed]:
    """A page of them; one whose text is no text comes empty."""
    try:
        return await books.checkpoints.after(after, PAGE_CHECKPOINTS)
    except UnicodeDecodeError:
        numbers = await books.checkpoints.numbers(after, PAGE_CHECKPOINTS)
    found = []
    for number in numbers:
        try:
            found += await books.checkpoints.after(number - 1, 1)
        except UnicodeDecodeError:
            found.append(Sealed(number, "", ""))
    return found


async def _contents(books: Books, number: int) -> Mapping[str, bytes]:
    try:
        return await books.checkpoints.contents(number)
    except UnicodeDecodeError:
        return {}


async def _rows(books: Books, table: CoveredTable, spans: Sequence[Span], limit: int | None = None) -> list[Row]:
    """The rows with these numbers, in order, at most ``limit``."""
    found: list[Row] = []
    for first, last in spans:
        while first <= last and (limit is None or len(found) < limit):
            asked = PAGE_ROWS if limit is None else limit - len(found)
            page = await _page(books, table, (first, last), asked)
            if not page:
                break
            end = page[-1].number
            if len(page) == asked == PAGE_ROWS and page[0].number < end:
                # Not every engine's schema keeps a second row from taking a number: the next page begins with this one.
                page = [row for row in page if row.number < end]
                first = end
            else:
                first = end + 1
            found += page
    return found


async def _page(books: Books, table: CoveredTable, span: Span, limit: int) -> list[Row]:
    """Rows as ``page`` reads them; one whose text is no text has an empty content, which is that of no row."""
    try:
        rows = await books.covered_rows.page(table, span, limit)
        return [read_row(table, number, columns) for number, *columns in rows]
    except UnicodeDecodeError:
        numbers = await books.covered_rows.numbers(table, span, limit)
    found = []
    for number in numbers:
        try:
            ((_, *columns),) = await books.covered_rows.page(table, (number, number), 1)
            found.append(read_row(table, number, columns))
        except UnicodeDecodeError:
            found.append(Row(number, "", b""))
    return found
