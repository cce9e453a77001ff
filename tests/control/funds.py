"""Puts money into a ledger store and looks at it, without the rest of the control plane."""

from datetime import datetime

from keeptrusts.core.ledger.standing import key_of, opening_accounts
from keeptrusts.core.ledger.wallet import Wallet, WalletPeriod
from keeptrusts.core.periods import PeriodKind, period_at
from keeptrusts.store.contracts import LedgerStore


async def fund(store: LedgerStore, team: str = "team_a", **budgets: int) -> Wallet:
    """A wallet with standing budgets by period kind, in nano-USD."""
    wallet = Wallet(f"wal_{team}", "team", team)
    async with store.ledger() as ledger:
        await ledger.wallets.add(wallet, 1)
        for kind, amount in budgets.items():
            await ledger.wallets.set_budget(wallet.wallet_id, kind, amount)  # type: ignore[arg-type]
    return wallet


async def set_budget(store: LedgerStore, wallet: Wallet, kind: PeriodKind, amount: int, now: datetime) -> None:
    """Another budget, for the current period too."""
    async with store.ledger() as ledger:
        await ledger.wallets.set_budget(wallet.wallet_id, kind, amount)
        for period in opening_accounts(wallet, {kind: amount}, (), now):
            if await ledger.wallets.period(key_of(period)) is None:
                await ledger.wallets.add_period(period)
            await ledger.wallets.set_period_budget(key_of(period), amount)


async def account(store: LedgerStore, wallet: Wallet, kind: PeriodKind, at: datetime) -> WalletPeriod:
    """The wallet's account in the period of ``kind`` that holds ``at``."""
    period = period_at(kind, at, wallet.zone)
    async with store.ledger() as ledger:
        found = await ledger.wallets.period(key_of(WalletPeriod(wallet.wallet_id, kind, period.start, period.end, 0)))
    assert found is not None, f"{wallet.wallet_id} has no account in {period.key}"
    return found
