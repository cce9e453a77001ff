"""All nouns over one connection, and the store that opens them: what control works with."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from keeptrusts.store.alerts import SqlAlerts
from keeptrusts.store.audit import SqlAudit
from keeptrusts.store.changes import SqlChanges
from keeptrusts.store.checkpoints import SqlCheckpoints
from keeptrusts.store.contracts import Connection, Database
from keeptrusts.store.covered_rows import SqlCoveredRows
from keeptrusts.store.directory import SqlDirectory
from keeptrusts.store.entries import SqlEntries
from keeptrusts.store.events import SqlEvents
from keeptrusts.store.gateway_config import SqlGatewayConfig
from keeptrusts.store.groups import SqlGroups
from keeptrusts.store.inspection import SqlInspection
from keeptrusts.store.journals import SqlJournals
from keeptrusts.store.leases import SqlLeases
from keeptrusts.store.many import SqlMany
from keeptrusts.store.meta import SqlMeta
from keeptrusts.store.nodes import SqlNodes
from keeptrusts.store.prices import SqlPrices
from keeptrusts.store.recovery import SqlRecovery
from keeptrusts.store.repeats import SqlRepeats
from keeptrusts.store.signs import SqlSigns
from keeptrusts.store.tickets import SqlTickets
from keeptrusts.store.tokens import SqlTokens
from keeptrusts.store.wallets import SqlWallets


class Books:
    """The nouns of one organization over one connection; satisfies contracts.Ledger."""

    def __init__(self, connection: Connection) -> None:
        self.wallets = SqlWallets(connection)
        self.leases = SqlLeases(connection)
        self.journals = SqlJournals(connection)
        self.entries = SqlEntries(connection)
        self.events = SqlEvents(connection)
        self.alerts = SqlAlerts(connection)
        self.changes = SqlChanges(connection)
        self.many = SqlMany(connection)
        self.tickets = SqlTickets(connection)
        self.tokens = SqlTokens(connection)
        self.key_use = self.tokens
        self.prices = SqlPrices(connection)
        self.nodes = SqlNodes(connection)
        self.directory = SqlDirectory(connection)
        self.repeats = SqlRepeats(connection)
        self.groups = SqlGroups(connection)
        self.gateway_config = SqlGatewayConfig(connection)
        self.audit = SqlAudit(connection)
        self.inspection = SqlInspection(connection)
        self.checkpoints = SqlCheckpoints(connection)
        self.covered_rows = SqlCoveredRows(connection)
        self.meta = SqlMeta(connection)
        self.recovery = SqlRecovery(connection)
        self.signs = SqlSigns(connection)

    async def write_new(self) -> None:
        """Writes the rows that wait for their numbers: the last thing in a transaction, always in this order."""
        await self.events.write_new()
        await self.changes.write_new()


class SqlStore:
    """The store on an SQL engine; satisfies contracts.LedgerStore."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.on_change: Callable[[int], None] | None = None
        self.on_grant: Callable[[int], None] | None = None

    @property
    def one_writer(self) -> bool:
        """Whether the engine lets one transaction write at a time, so that row numbers rise in the order of commits."""
        return not self._database.alone

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Books]:
        """One transaction: everything inside happens, durably, or nothing does. Then ``on_change`` hears of its changes,
        and ``on_grant`` how many grants it made."""
        async with self._database.transaction() as connection:
            books = Books(connection)
            yield books
            await books.write_new()
        if books.changes.newest_added and self.on_change is not None:
            self.on_change(books.changes.newest_added)
        if books.leases.grants_made and self.on_grant is not None:
            self.on_grant(books.leases.grants_made)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Books]:
        """A consistent view beside the writer."""
        async with self._database.read() as connection:
            yield Books(connection)

    @asynccontextmanager
    async def ledger(self) -> AsyncIterator[Books]:
        """See contracts.LedgerStore."""
        async with self.write() as books:
            yield books

    async def close(self) -> None:
        """Closes the engine."""
        await self._database.close()
