"""Wallets in memory."""

import msgspec

from keeptrusts.core.ledger.posting import PeriodMovement
from keeptrusts.core.ledger.standing import Cap, PeriodKey, key_of
from keeptrusts.core.ledger.wallet import Wallet, WalletPeriod
from keeptrusts.core.periods import PeriodKind
from keeptrusts.store.memory.state import BrokenRule, State, not_negative


class MemoryWallets:
    """See contracts.Wallets."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def find(self, scope: str, scope_id: str) -> Wallet | None:
        """The wallet of a scope and its id."""
        return next((w for w in self._state.wallets.values() if (w.scope, w.scope_id) == (scope, scope_id)), None)

    async def by_id(self, wallet_id: str) -> Wallet | None:
        """The wallet of this id."""
        return self._state.wallets.get(wallet_id)

    async def add(self, wallet: Wallet, at_ms: int) -> None:
        """See contracts.Wallets."""
        if wallet.wallet_id in self._state.wallets or await self.find(wallet.scope, wallet.scope_id):
            raise BrokenRule(f"wallet {wallet.wallet_id} or its scope is there already")
        self._state.wallets[wallet.wallet_id] = wallet

    async def budgets(self, wallet_id: str) -> dict[PeriodKind, int]:
        """See contracts.Wallets."""
        return {kind: amount for (wallet, kind), amount in self._state.budgets.items() if wallet == wallet_id}

    async def set_budget(self, wallet_id: str, kind: PeriodKind, amount_nanos: int) -> None:
        """See contracts.Wallets."""
        self._must_exist(wallet_id)
        self._state.budgets[wallet_id, kind] = not_negative(amount_nanos)

    async def caps(self, wallet_id: str) -> list[tuple[str, Cap]]:
        """See contracts.Wallets."""
        found = [(kind, node, cap) for (wallet, node, kind), cap in self._state.caps.items() if wallet == wallet_id]
        return [(node, cap) for _, node, cap in sorted(found, key=lambda each: each[:2])]

    async def add_cap(self, wallet_id: str, node_id: str, cap: Cap) -> None:
        """See contracts.Wallets."""
        self._must_exist(wallet_id)
        if (wallet_id, node_id, cap.kind) in self._state.caps:
            raise BrokenRule("a node has one spend control per wallet and period")
        self._state.caps[wallet_id, node_id, cap.kind] = cap

    async def period(self, key: PeriodKey) -> WalletPeriod | None:
        """See contracts.Wallets."""
        return self._state.periods.get(key)

    async def add_period(self, period: WalletPeriod) -> None:
        """See contracts.Wallets."""
        self._must_exist(period.wallet_id)
        if key_of(period) in self._state.periods:
            raise BrokenRule(f"period {key_of(period)} is there already")
        self._put(period)

    async def set_period_budget(self, key: PeriodKey, budget_nanos: int) -> None:
        """See contracts.Wallets."""
        self._put(msgspec.structs.replace(self._state.periods[key], budget=budget_nanos))

    async def lease_out(self, key: PeriodKey, nanos: int, limit_nanos: int | None) -> bool:
        """See contracts.Wallets."""
        period = self._state.periods.get(key)
        if period is None:
            return False
        used = period.spent + period.suspense + period.leased + nanos
        if limit_nanos is not None and used > limit_nanos:
            return False
        self._put(msgspec.structs.replace(period, leased=period.leased + nanos))
        return True

    async def post(self, key: PeriodKey, movement: PeriodMovement, unleased_nanos: int = 0) -> None:
        """See contracts.Wallets."""
        period = self._state.periods[key]
        self._put(
            msgspec.structs.replace(
                period,
                leased=period.leased + movement.leased,
                posted=period.posted + movement.posted,
                overrun=period.overrun + movement.overrun,
                suspense=period.suspense + movement.suspense,
                unleased=period.unleased + unleased_nanos,
            )
        )

    async def next_version(self, wallet_id: str) -> int:
        """See contracts.Wallets."""
        wallet = self._state.wallets[wallet_id]
        self._state.wallets[wallet_id] = msgspec.structs.replace(wallet, version=wallet.version + 1)
        return wallet.version + 1

    async def set_short(self, wallet_id: str, at_ms: int) -> None:
        """See contracts.Wallets."""
        self._state.short_at_ms[wallet_id] = at_ms

    async def short_since(self, wallet_id: str) -> int:
        """See contracts.Wallets."""
        return self._state.short_at_ms.get(wallet_id, 0)

    async def claim_recall(self, wallet_id: str, now_ms: int, unless_since_ms: int) -> bool:
        """See contracts.Wallets."""
        if self._state.recalled_at_ms.get(wallet_id, 0) > unless_since_ms:
            return False
        self._state.recalled_at_ms[wallet_id] = now_ms
        return True

    def _must_exist(self, wallet_id: str) -> None:
        if wallet_id not in self._state.wallets:
            raise BrokenRule(f"there is no wallet {wallet_id}")

    def _put(self, period: WalletPeriod) -> None:
        for amount in (period.budget, period.posted, period.leased, period.suspense, period.overrun, period.unleased):
            not_negative(amount)
        self._state.periods[key_of(period)] = period
