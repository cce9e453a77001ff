"""The ways of a batch's calls that no lease held: looked up once for the whole batch, and opened where nobody used them yet."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from keeptrusts.control.accounts import Accounts, accounts_of, open_accounts
from keeptrusts.control.ways import Way, climb
from keeptrusts.core.ledger.standing import Cap, PeriodKey, key_of
from keeptrusts.core.ledger.wallet import Wallet, scope_name
from keeptrusts.core.periods import PeriodKind
from keeptrusts.store.contracts import Ledger, StoreConflict

Spender = tuple[str | None, tuple[str, ...]]
"""A team, and the further scopes that a call belongs to."""

Standing = tuple[dict[str, dict[PeriodKind, int]], dict[str, list[tuple[str, Cap]]]]
"""Budgets and spend controls by wallet."""


class UnheldWays:
    """``load`` first; ``at`` then finds the way of every call that was named. What it leads over exists after ``open``."""

    def __init__(self, ledger: Ledger, live_nodes: frozenset[str]) -> None:
        self._ledger = ledger
        self._live = live_nodes
        self._spenders: dict[Spender, list[Wallet]] = {}
        self._accounts: dict[str, list[Accounts]] = {}
        self._ways: dict[Spender, list[Way]] = {}
        self._named: list[tuple[Accounts, datetime]] = []
        self._loaded: Standing = ({}, {})

    @property
    def wallets(self) -> dict[str, Wallet]:
        """All wallets of all ways, by id."""
        return {wallet.wallet_id: wallet for wallets in self._spenders.values() for wallet in wallets}

    @property
    def ways(self) -> Iterable[Way]:
        """All ways."""
        return [way for ways in self._ways.values() for way in ways]

    async def load(self, calls: Sequence[tuple[Spender, datetime]]) -> None:
        """Finds the ways of these calls."""
        if not calls:
            return
        await self._load_wallets({spender for spender, _ in calls})
        await self._load_accounts(calls)
        for spender, at in calls:
            if self.at(spender, at) is None:
                accounts = [self._accounts_at(wallet, at) for wallet in self._spenders[spender]]
                self._ways.setdefault(spender, []).append(Way(tuple(accounts)))

    async def open(self, beside: Iterable[PeriodKey]) -> None:
        """Opens the ways' accounts that nobody used yet. ``beside`` are periods that the batch touches as well: all are kept
        from other writers in their one order. Raises StoreConflict when people changed a budget since ``load``."""
        if not self._named:
            return
        if await self._standing() != self._loaded:
            raise StoreConflict("a budget was changed while a batch was read")
        keys = {key_of(period) for accounts, _ in self._named for period in accounts.periods}
        stored = await self._ledger.many.periods(sorted(keys.union(beside)))
        for accounts, at in self._named:
            # Only which periods there are is taken from here: their amounts are read when all of them are there.
            if any(key_of(period) not in stored for period in accounts.periods):
                await open_accounts(self._ledger, accounts.wallet, at, self._live)

    def at(self, spender: Spender, instant: datetime) -> Way | None:
        """The way of a call; None for one that was not named."""
        return next((way for way in self._ways.get(spender, ()) if way.covers(instant)), None)

    async def _load_wallets(self, spenders: set[Spender]) -> None:
        names = {spender: _names(spender) for spender in spenders}
        named = await self._ledger.many.wallets_named(sorted({name for each in names.values() for name in each}))
        known = {wallet.wallet_id: wallet for wallet in named.values()}
        while above := {w.parent_id for w in known.values() if w.parent_id is not None} - known.keys():
            known |= await self._ledger.many.wallets(sorted(above))
        for spender in spenders:
            self._spenders[spender] = climb([named[name] for name in names[spender] if name in named], known)

    async def _load_accounts(self, calls: Iterable[tuple[Spender, datetime]]) -> None:
        budgets, caps = self._loaded = await self._standing()
        for spender, at in calls:
            for wallet in self._spenders[spender]:
                known = self._accounts.setdefault(wallet.wallet_id, [])
                if not any(accounts.covers(at) for accounts in known):
                    standing = budgets.get(wallet.wallet_id, {}), caps.get(wallet.wallet_id, ())
                    known.append(accounts_of(wallet, *standing, at, self._live))
                    self._named.append((known[-1], at))

    async def _standing(self) -> Standing:
        wallet_ids = sorted(self.wallets)
        return await self._ledger.many.budgets(wallet_ids), await self._ledger.many.caps(wallet_ids)

    def _accounts_at(self, wallet: Wallet, at: datetime) -> Accounts:
        return next(accounts for accounts in self._accounts[wallet.wallet_id] if accounts.covers(at))


def _names(spender: Spender) -> list[str]:
    team_id, also = spender
    return [*(() if team_id is None else (scope_name("team", team_id),)), *also]
