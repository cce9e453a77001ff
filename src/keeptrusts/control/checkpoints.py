"""Making checkpoints: load the rows that came, state what they are, seal and keep it. The write path knows nothing of it."""

import asyncio

from msgspec import Struct

from keeptrusts.control.context import Control
from keeptrusts.core.audit.gathering import Gathering
from keeptrusts.core.audit.rows import TABLES, CoveredTable, read_row
from keeptrusts.core.audit.spans import MOST, Span
from keeptrusts.core.audit.statement import Sealed, Statement, write_statement
from keeptrusts.store.books import Books

ROWS_MAX = 20_000
"""Rows of one table in one checkpoint: what is read within one view, and held at once."""
PAGE_ROWS = 500
"""Rows that are hashed without a pause; calls wait behind them for some milliseconds."""


class Broken(Exception):
    """The chain can't be gone on with; the message says why, and what to do."""


class Made(Struct, frozen=True):
    """A checkpoint that was just made. ``full``: there may be more rows at once."""

    sealed: Sealed
    statement: Statement
    full: bool


async def make_checkpoint(control: Control) -> Made | None:
    """Covers what came since the last checkpoint; None when nothing did, or another process was faster.

    Raises Broken when the last checkpoint can't be built on, StoreAway, OSError.
    """
    async with control.store.read() as books:
        latest = await books.checkpoints.latest()
        if (lost := await _lost_witness(control, books, latest)) is not None:
            raise Broken(lost)
        try:
            gathering = Gathering(latest)
        except ValueError as error:
            number = "?" if latest is None else latest.number
            raise Broken(f"checkpoint {number} can't be read ({error}): run `kt audit verify`") from None
        full = [await _gather(books, gathering, table) for table in TABLES]
    if gathering.is_empty():
        return None
    # A full tree takes a tenth of a second of hashing: in a thread, so that calls don't wait for it.
    statement = await asyncio.to_thread(gathering.statement, control.tools.now_ms(), control.seal.public_key)
    text = write_statement(statement)
    sealed = Sealed(statement.number, text, control.seal.sign(text))
    async with control.store.write() as books:
        if not await books.checkpoints.add(sealed, gathering.packed()):
            return None
    control.seal.bear_witness(sealed.number, sealed.hash)
    return Made(sealed, statement, any(full))


async def _gather(books: Books, gathering: Gathering, table: CoveredTable) -> bool:
    """Adds the table's new rows, and late ones with lower numbers; True when there may be more than one checkpoint holds."""
    left = ROWS_MAX
    for span in [*gathering.awaited(table), (gathering.top(table) + 1, MOST)]:
        left -= await _gather_span(books, gathering, table, span, left)
    return left == 0


async def _gather_span(books: Books, gathering: Gathering, table: CoveredTable, span: Span, limit: int) -> int:
    first, last = span
    taken = 0
    while taken < limit and first <= last:
        page = await books.covered_rows.page(table, (first, last), min(PAGE_ROWS, limit - taken))
        gathering.add(table, [read_row(table, number, columns) for number, *columns in page])
        taken += len(page)
        if len(page) < PAGE_ROWS:
            break
        first = page[-1][0] + 1
    return taken


async def _lost_witness(control: Control, books: Books, latest: Sealed | None) -> str | None:
    """Why this database can't be the one that the data directory last saw; None: it is."""
    if control.seal.witness is None:
        return None
    number, seen = control.seal.witness
    kept = latest if latest is not None and latest.number == number else await books.checkpoints.find(number)
    if kept is not None and kept.hash == seen:
        return None
    what = "is not there" if kept is None else "is another one"
    return (
        f"checkpoint {number} ({seen[:16]}...), which was made here, {what}: this ledger is an older copy, was restored "
        "or changed. Run `kt audit verify`; when you restored it yourself, remove audit-witness from the data directory"
    )
