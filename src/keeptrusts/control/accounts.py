"""A wallet's accounts at an instant: loaded, and opened from its standing budgets when a period is used for the first time.

What carries over is carried here: when a period opens, and when money comes back to one that has ended.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime

import msgspec
from msgspec import Struct

from keeptrusts.core.ledger.standing import Cap, PeriodKey, key_of, leading, limit_nanos, opening_accounts, strictest
from keeptrusts.core.ledger.wallet import Wallet, WalletPeriod
from keeptrusts.core.periods import PeriodKind, period_at
from keeptrusts.store.contracts import Ledger, Wallets

MAX_SKIPPED = 1_000
"""How many periods that nobody used are opened after the fact, so that their budgets carry over too."""


class Accounts(Struct, frozen=True):
    """The periods that bound a wallet, in their fixed order, and why: ``budgets`` people set, ``caps`` of spend controls."""

    wallet: Wallet
    periods: tuple[WalletPeriod, ...]
    budgets: dict[PeriodKind, int]
    caps: dict[PeriodKind, Cap]

    def limit(self, period: WalletPeriod, enforced: bool, block_percent: int) -> int | None:
        """The most that may be used in ``period``; None when nothing bounds it."""
        return limit_nanos(period, self.budgets, self.caps, enforced, block_percent)

    def escalates(self, period: WalletPeriod) -> bool:
        """Whether a call that finds too little here is held for an approver."""
        cap = self.caps.get(period.kind)
        by_cap = cap is not None and (period.kind not in self.budgets or cap.hard_nanos <= period.funds)
        return cap.escalates if by_cap and cap is not None else self.wallet.on_hard_cap == "escalate"

    def covers(self, instant: datetime) -> bool:
        """Whether these are the accounts of ``instant`` too."""
        return all(period.start <= instant < period.end for period in self.periods)

    @property
    def period_key(self) -> str | None:
        """The name of the period that the wallet is spoken of by, for example ``monthly:2026-04-01``."""
        return name_of(self.wallet, leading(list(self.periods))) if self.periods else None


def name_of(wallet: Wallet, period: WalletPeriod | PeriodKey) -> str:
    """The period's name within its wallet, for example ``monthly:2026-04-01``."""
    return period_at(period.kind, period.start, wallet.zone, wallet.fiscal_month).key


async def read_accounts(wallets: Wallets, wallet: Wallet, now: datetime, live_nodes: Iterable[str]) -> Accounts:
    """The accounts at ``now`` without writing anything: a period that nobody used yet is shown as it will open."""
    accounts, unused = await _read(wallets, wallet, now, live_nodes)
    shown = []
    for period in accounts.periods:
        carries = wallet.carry_over and period.kind in accounts.budgets and period in unused
        if carries and (before := await wallets.period_before(key_of(period))):
            skipped = len(list(_between(wallet, before, period)))
            period = msgspec.structs.replace(period, carried=before.left + skipped * period.budget)
        shown.append(period)
    return msgspec.structs.replace(accounts, periods=tuple(shown))


async def open_accounts(ledger: Ledger, wallet: Wallet, now: datetime, live_nodes: Iterable[str]) -> Accounts:
    """The accounts at ``now``, each with a row in the store from here on."""
    accounts, unused = await _read(ledger.wallets, wallet, now, live_nodes)
    if not unused:
        return accounts
    opened = [await _open(ledger, accounts, p) if p in unused else p for p in accounts.periods]
    return msgspec.structs.replace(accounts, periods=tuple(opened))


async def _read(
    wallets: Wallets, wallet: Wallet, now: datetime, live_nodes: Iterable[str]
) -> tuple[Accounts, list[WalletPeriod]]:
    """The accounts, and those of them that have no row yet."""
    budgets = await wallets.budgets(wallet.wallet_id)
    opening = accounts_of(wallet, budgets, await wallets.caps(wallet.wallet_id), now, frozenset(live_nodes))
    periods, unused = [], []
    for period in opening.periods:
        stored = await wallets.period(key_of(period))
        if stored is not None and period.kind not in budgets:
            stored = msgspec.structs.replace(stored, budget=period.budget)
        if stored is None:
            unused.append(period)
        periods.append(stored or period)
    return msgspec.structs.replace(opening, periods=tuple(periods)), unused


def accounts_of(
    wallet: Wallet,
    budgets: dict[PeriodKind, int],
    caps: Iterable[tuple[str, Cap]],
    now: datetime,
    live_nodes: frozenset[str],
) -> Accounts:
    """The accounts at ``now`` as they stand before anything was spent; ``caps`` are those of all nodes, each with its node."""
    lowest = strictest(cap for node_id, cap in caps if node_id in live_nodes)
    return Accounts(wallet, tuple(opening_accounts(wallet, budgets, lowest.values(), now)), budgets, lowest)


async def _open(ledger: Ledger, accounts: Accounts, period: WalletPeriod) -> WalletPeriod:
    wallet = accounts.wallet
    if period.kind not in accounts.budgets:
        # A spend control is a limit and no money: nothing of it may ever be carried over as a budget.
        await ledger.wallets.add_period(msgspec.structs.replace(period, budget=0))
        return period
    before = await ledger.wallets.period_before(key_of(period)) if wallet.carry_over else None
    if before is not None:
        for skipped in _between(wallet, before, period):
            await ledger.wallets.add_period(skipped)
            before = await _carry(ledger, before, skipped)
    await ledger.wallets.add_period(period)
    return period if before is None else await _carry(ledger, before, period)


async def _carry(ledger: Ledger, before: WalletPeriod, into: WalletPeriod) -> WalletPeriod:
    """Moves what ``before`` has left into the period after it, which is returned as it stands then."""
    left = before.left
    if left == 0:
        return into
    await ledger.wallets.carry(key_of(before), key_of(into), left)
    return msgspec.structs.replace(into, carried=into.carried + left)


def _between(wallet: Wallet, before: WalletPeriod, period: WalletPeriod) -> Iterator[WalletPeriod]:
    """The periods between two, which nobody used."""
    start, count = before.end, 0
    while start < period.start and count < MAX_SKIPPED:
        found = period_at(period.kind, start, wallet.zone, wallet.fiscal_month)
        yield WalletPeriod(wallet.wallet_id, period.kind, found.start, found.end, period.budget)
        start, count = found.end, count + 1


async def carry_on(ledger: Ledger, wallet: Wallet, period: WalletPeriod, now: datetime) -> None:
    """Money came back to ``period``: if it has ended and its wallet carries over, the money goes on to the periods after it."""
    if not wallet.carry_over or period.kind == "once":
        return
    current: WalletPeriod | None = period
    while current is not None and current.end <= now and current.left:
        following = await ledger.wallets.period_after(key_of(current))
        current = None if following is None else await _carry(ledger, current, following)
