"""Wallets in memory."""

from datetime import datetime
from operator import attrgetter

import msgspec

from keeptrusts.core.ledger.posting import PeriodMovement, moved
from keeptrusts.core.ledger.standing import Cap, PeriodKey, key_of
from keeptrusts.core.ledger.wallet import Wallet, WalletPeriod
from keeptrusts.core.periods import PeriodKind
from keeptrusts.store.contracts import Claims
from keeptrusts.store.memory.state import BrokenRule, State, not_negative

AMOUNTS = attrgetter(
    "budget", "posted", "leased", "suspense", "overrun", "unleased", "carried", "carried_out", "approved"
)


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

    async def children(self, wallet_id: str) -> list[Wallet]:
        """See contracts.Wallets."""
        found = [w for w in self._state.wallets.values() if w.parent_id == wallet_id]
        return sorted(found, key=lambda wallet: wallet.wallet_id)

    async def claims(self, wallet_id: str, kind: PeriodKind, now: datetime) -> Claims:
        """See contracts.Wallets."""
        budgets = unused = 0
        for child in await self.children(wallet_id):
            standing = self._state.budgets.get((child.wallet_id, kind))
            if standing is None or child.state == "closed":
                continue
            periods = [
                p for key, p in self._state.periods.items() if (key.wallet_id, key.kind) == (child.wallet_id, kind)
            ]
            current = next((p for p in periods if p.start <= now < p.end), None)
            budgets += standing if current is None else current.budget
            unused += standing if current is None else current.left
        return Claims(budgets, unused)

    async def update(self, wallet: Wallet) -> None:
        """See contracts.Wallets."""
        self._must_exist(wallet.wallet_id)
        version = self._state.wallets[wallet.wallet_id].version
        self._state.wallets[wallet.wallet_id] = msgspec.structs.replace(wallet, version=version)

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

    async def drop_caps(self, node_id: str) -> None:
        """See contracts.Wallets."""
        for key in [key for key in self._state.caps if key[1] == node_id]:
            del self._state.caps[key]

    async def period(self, key: PeriodKey) -> WalletPeriod | None:
        """See contracts.Wallets."""
        return self._state.periods.get(key)

    async def add_period(self, period: WalletPeriod) -> None:
        """See contracts.Wallets."""
        self._must_exist(period.wallet_id)
        if key_of(period) in self._state.periods:
            raise BrokenRule(f"period {key_of(period)} is there already")
        self._put(period)

    async def period_before(self, key: PeriodKey) -> WalletPeriod | None:
        """See contracts.Wallets."""
        earlier = [other for other in self._of_kind(key) if other.start < key.start]
        return self._state.periods[max(earlier)] if earlier else None

    async def period_after(self, key: PeriodKey) -> WalletPeriod | None:
        """See contracts.Wallets."""
        later = [other for other in self._of_kind(key) if other.start > key.start]
        return self._state.periods[min(later)] if later else None

    def _of_kind(self, key: PeriodKey) -> list[PeriodKey]:
        return [o for o in self._state.periods if (o.wallet_id, o.kind) == (key.wallet_id, key.kind)]

    async def set_period_budget(self, key: PeriodKey, budget_nanos: int) -> None:
        """See contracts.Wallets."""
        self._put(msgspec.structs.replace(self._state.periods[key], budget=budget_nanos))

    async def carry(self, key: PeriodKey, into: PeriodKey, nanos: int) -> None:
        """See contracts.Wallets."""
        giving, taking = self._state.periods[key], self._state.periods[into]
        self._put(msgspec.structs.replace(giving, carried_out=giving.carried_out + nanos))
        self._put(msgspec.structs.replace(taking, carried=taking.carried + nanos))

    async def approve(self, key: PeriodKey, nanos: int) -> None:
        """See contracts.Wallets."""
        period = self._state.periods[key]
        self._put(msgspec.structs.replace(period, approved=period.approved + nanos))

    async def lease_out(self, key: PeriodKey, nanos: int, limit_nanos: int | None) -> bool:
        """See contracts.Wallets."""
        period = self._state.periods.get(key)
        if period is None:
            return False
        if limit_nanos is not None and period.used + nanos > limit_nanos:
            return False
        self._put(msgspec.structs.replace(period, leased=period.leased + nanos))
        return True

    async def post(self, key: PeriodKey, movement: PeriodMovement) -> None:
        """See contracts.Wallets."""
        self._put(moved(self._state.periods[key], movement))

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
        for amount in AMOUNTS(period):
            not_negative(amount)
        self._state.periods[key_of(period)] = period
