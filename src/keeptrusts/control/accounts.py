"""A wallet's accounts at an instant: loaded, and opened from its standing budgets when a period is used for the first time."""

from collections.abc import Iterable
from datetime import datetime

import msgspec
from msgspec import Struct

from keeptrusts.core.ledger.standing import Cap, key_of, leading, limit_nanos, opening_accounts, strictest
from keeptrusts.core.ledger.wallet import Wallet, WalletPeriod
from keeptrusts.core.periods import PeriodKind, period_at
from keeptrusts.store.contracts import Ledger, Wallets


class Accounts(Struct, frozen=True):
    """The periods that bound a wallet, in their fixed order, and why: ``budgets`` people set, ``caps`` of spend controls."""

    wallet: Wallet
    periods: tuple[WalletPeriod, ...]
    budgets: dict[PeriodKind, int]
    caps: dict[PeriodKind, Cap]

    def limit(self, period: WalletPeriod, enforced: bool, block_percent: int) -> int | None:
        """The most that may be spent in ``period``; None when nothing bounds it."""
        return limit_nanos(period, self.budgets, self.caps, enforced, block_percent)

    def covers(self, instant: datetime) -> bool:
        """Whether these are the accounts of ``instant`` too."""
        return all(period.start <= instant < period.end for period in self.periods)

    @property
    def period_key(self) -> str | None:
        """The name of the period that the wallet is spoken of by, for example ``monthly:2026-04-01``."""
        if not self.periods:
            return None
        period = leading(list(self.periods))
        return period_at(period.kind, period.start, self.wallet.zone).key


async def read_accounts(wallets: Wallets, wallet: Wallet, now: datetime, live_nodes: Iterable[str]) -> Accounts:
    """The accounts at ``now`` without writing anything: a period that nobody used yet is shown as it will open."""
    live = frozenset(live_nodes)
    budgets = await wallets.budgets(wallet.wallet_id)
    caps = strictest(cap for node_id, cap in await wallets.caps(wallet.wallet_id) if node_id in live)
    periods = []
    for opening in opening_accounts(wallet, budgets, caps.values(), now):
        stored = await wallets.period(key_of(opening))
        if stored is not None and opening.kind not in budgets:
            stored = msgspec.structs.replace(stored, budget=opening.budget)
        periods.append(stored or opening)
    return Accounts(wallet, tuple(periods), budgets, caps)


async def open_accounts(ledger: Ledger, wallet: Wallet, now: datetime, live_nodes: Iterable[str]) -> Accounts:
    """The accounts at ``now``, each with a row in the store from here on."""
    accounts = await read_accounts(ledger.wallets, wallet, now, live_nodes)
    for period in accounts.periods:
        if await ledger.wallets.period(key_of(period)) is None:
            await ledger.wallets.add_period(period)
    return accounts
