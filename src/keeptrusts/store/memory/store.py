"""The ledger in memory: dictionaries, copied when a unit of work begins, kept when it ends well. For tests and simulation."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from keeptrusts.store.memory.books import (
    MemoryAlerts,
    MemoryChanges,
    MemoryEntries,
    MemoryEvents,
    MemoryJournals,
    MemoryKeyUse,
    MemoryRecovery,
)
from keeptrusts.store.memory.leases import MemoryLeases
from keeptrusts.store.memory.many import MemoryMany
from keeptrusts.store.memory.state import State
from keeptrusts.store.memory.wallets import MemoryWallets


class MemoryLedger:
    """The nouns over one state; satisfies contracts.Ledger."""

    def __init__(self, state: State) -> None:
        self.wallets = MemoryWallets(state)
        self.leases = MemoryLeases(state)
        self.journals = MemoryJournals(state)
        self.entries = MemoryEntries(state)
        self.events = MemoryEvents(state)
        self.alerts = MemoryAlerts(state)
        self.changes = MemoryChanges(state)
        self.key_use = MemoryKeyUse(state)
        self.recovery = MemoryRecovery(state)
        self.many = MemoryMany(self.wallets, self.leases)


class MemoryStore:
    """Satisfies contracts.LedgerStore; ``state`` is what is committed."""

    def __init__(self) -> None:
        self.state = State()
        self._writing = asyncio.Lock()

    @asynccontextmanager
    async def ledger(self) -> AsyncIterator[MemoryLedger]:
        """See contracts.LedgerStore."""
        async with self._writing:
            work = self.state.copy()
            yield MemoryLedger(work)
            self.state = work
