"""Proofs of single events, for somebody who gets to see nothing else."""

from keeptrusts.core.audit.proof import Proof, prove
from keeptrusts.core.audit.rows import EVENT
from keeptrusts.core.audit.spans import within
from keeptrusts.core.audit.statement import BadStatement, Sealed, read_statement
from keeptrusts.store.books import Books, SqlStore

PAGE_CHECKPOINTS = 500


async def prove_event(store: SqlStore, event_id: str) -> Proof | str:
    """The proof, or a sentence that says why there is none. Raises StoreAway."""
    async with store.read() as books:
        number = await books.covered_rows.number_of_event(event_id)
        if number is None:
            return f"there is no event {event_id!r}"
        sealed = await _covering(books, number)
        if sealed is None:
            return f"event {event_id} is in no checkpoint yet: the next one comes within a minute"
        ((_, *columns), *_) = await books.covered_rows.page(EVENT, (number, number), 1)
        packed = await books.checkpoints.contents(sealed.number)
    try:
        proof = prove(sealed, packed, EVENT.name, number, columns)
    except ValueError:
        proof = None
    return proof or f"checkpoint {sealed.number} does not hold what it says: run `kt audit verify`"


async def _covering(books: Books, number: int) -> Sealed | None:
    """The checkpoint that covers the event with this number; the newest are looked at first."""
    before = None
    while page := await books.checkpoints.before(before, PAGE_CHECKPOINTS):
        for sealed in page:
            try:
                cover = read_statement(sealed.text).tables.get(EVENT.name)
            except BadStatement:
                continue
            if cover is not None and within(number, cover.numbers):
                return sealed
        before = page[-1].number
    return None
