"""A ledger made anew from a backup, or from nothing, and the journals that gateways kept: the same records by the same rules,
so that its rows are those of the ledger that was lost."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec import Struct

from keeptrusts.clock import Clock, SystemClock
from keeptrusts.control.batches import apply_batch
from keeptrusts.control.context import NodeTerms, Tools
from keeptrusts.control.journal_reading import JournalFork, JournalGap
from keeptrusts.core.ledger.journal_format import DamagedJournal
from keeptrusts.core.link import Registration
from keeptrusts.store.books import SqlStore
from keeptrusts.store.migrate import migrate, migrations
from keeptrusts.store.sqlite import open_sqlite


class Piece(Struct, frozen=True):
    """Whole groups of a journal: their bytes, the numbers of their first and last record, the chain before them."""

    data: bytes
    first_seq: int
    last_seq: int
    chain: bytes


class Applied(Struct):
    """What became of one node's journal: how far the ledger had it before, and has it now, and why no farther."""

    node_id: str
    from_seq: int
    to_seq: int
    trouble: str | None = None


class Rebuilt(Struct, frozen=True):
    """``events`` are the rows that were added; ``wallets`` (``team:team_a``) were not in the backup: their budget is 0.

    ``recovering``: some nodes may live and have more, so that the ledger begins in recovery mode.
    """

    events: int
    wallets: tuple[str, ...]
    recovering: bool


@asynccontextmanager
async def new_ledger(file: Path) -> AsyncIterator[SqlStore]:
    """The store in this SQLite file, brought to the schema of this release. Raises StoreAway, UnknownSchema."""
    database = await open_sqlite(file)
    try:
        await migrate(database, migrations())
        yield SqlStore(database)
    finally:
        await database.close()


class Rebuilding:
    """Applies journals to a store that nobody else has open. ``begin`` first, ``add`` each journal, then ``end``."""

    def __init__(self, store: SqlStore, clock: Clock | None = None) -> None:
        self._store = store
        self._tools = Tools(clock or SystemClock())
        self._events = 0
        self._wallets: set[str] = set()

    async def begin(self) -> None:
        """Looks at what is there before."""
        self._events, self._wallets = await self._standing()

    async def _standing(self) -> tuple[int, set[str]]:
        async with self._store.read() as books:
            return await books.events.count(), {wallet.name for wallet in await books.wallets.every()}

    async def add(self, node_id: str, first_seq: int, pieces: Iterable[Piece]) -> Applied:
        """Applies what is new of a journal that begins at ``first_seq`` on disk. What can't be applied ends it, with a reason."""
        async with self._store.read() as books:
            position = await books.journals.position(node_id)
        before = 0 if position is None else position[0]
        applied = Applied(node_id, before, before)
        if first_seq > before + 1:
            applied.trouble = (
                f"records {before + 1} to {first_seq - 1} are gone: the ledger has this journal up to {before}, and what is on "
                f"disk begins at {first_seq}. Rebuild from a later backup, or with a copy that reaches back so far"
            )
            return applied
        terms = await self._terms(node_id)
        try:
            for piece in pieces:
                if piece.last_seq > applied.to_seq:
                    applied.to_seq = await apply_batch(
                        self._store, self._tools, terms, piece.data, piece.first_seq, piece.chain
                    )
        except (DamagedJournal, JournalGap, JournalFork) as trouble:
            applied.trouble = f"after record {applied.to_seq}: {trouble}"
        return applied

    async def _terms(self, node_id: str) -> NodeTerms:
        """As the node registered; one that the backup does not know was bound by wallets, if it had any grants."""
        async with self._store.write() as books:
            known = await books.nodes.find(node_id)
            if known is None:
                known = Registration(node_id, "", "", (), True, (), (), ())
                # Nobody's token: if it lives, it registers again.
                await books.nodes.add(known, f"none:{node_id}", self._tools.now_ms())
        return NodeTerms(node_id, known.wallet_enforcement, known.thresholds, frozenset())

    async def end(self) -> Rebuilt:
        """What was done, all in all."""
        async with self._store.write() as books:
            state, living = await books.recovery.state(), await books.nodes.living()
            if living and state is None:
                await books.recovery.begin(self._tools.now_ms(), "the ledger was rebuilt from journals")
            elif not living and state is not None:
                await books.recovery.end()
        events, wallets = await self._standing()
        return Rebuilt(events - self._events, tuple(sorted(wallets - self._wallets)), living > 0)
