"""A batch's questions in memory: the nouns' own, one after the other."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from keeptrusts.core.ledger.posting import LeaseBook, PeriodMovement
from keeptrusts.core.ledger.standing import Cap, PeriodKey
from keeptrusts.core.ledger.wallet import Wallet, WalletPeriod
from keeptrusts.core.periods import PeriodKind
from keeptrusts.store.contracts import Leases, Wallets

K = TypeVar("K")
V = TypeVar("V")


class MemoryMany:
    """See many_contract.Many."""

    def __init__(self, wallets: Wallets, leases: Leases) -> None:
        self._wallets = wallets
        self._leases = leases

    async def wallets_named(self, names: Sequence[str]) -> dict[str, Wallet]:
        """See Many."""
        return await _each(names, lambda name: self._wallets.find(*name.split(":", 1)))

    async def wallets(self, wallet_ids: Sequence[str]) -> dict[str, Wallet]:
        """See Many."""
        return await _each(wallet_ids, self._wallets.by_id)

    async def budgets(self, wallet_ids: Sequence[str]) -> dict[str, dict[PeriodKind, int]]:
        """See Many."""
        return await _each(wallet_ids, self._wallets.budgets)

    async def caps(self, wallet_ids: Sequence[str]) -> dict[str, list[tuple[str, Cap]]]:
        """See Many."""
        return await _each(wallet_ids, self._wallets.caps)

    async def waiting_since(self, wallet_ids: Sequence[str]) -> dict[str, int]:
        """See Many."""
        return await _each(wallet_ids, self._wallets.short_since)

    async def periods(self, keys: Sequence[PeriodKey]) -> dict[PeriodKey, WalletPeriod]:
        """See Many."""
        return await _each(keys, self._wallets.period)

    async def post(self, movements: Mapping[PeriodKey, PeriodMovement]) -> None:
        """See Many."""
        for key, movement in movements.items():
            await self._wallets.post(key, movement)

    async def leases(self, lease_ids: Sequence[str]) -> dict[str, LeaseBook]:
        """See Many."""
        return await _each(lease_ids, self._leases.find)

    async def lines(self, lease_ids: Sequence[str]) -> dict[str, list[PeriodKey]]:
        """See Many."""
        return await _each(lease_ids, self._leases.lines)

    async def update_leases(self, changed: Sequence[LeaseBook]) -> None:
        """See Many."""
        for lease in changed:
            await self._leases.update(lease)

    async def granted(self, grant_ids: Sequence[str]) -> set[str]:
        """See Many."""
        return set(await _each(grant_ids, self._leases.granted))


async def _each(keys: Sequence[K], ask: Callable[[K], Awaitable[V | None]]) -> dict[K, V]:
    """The answers that say something."""
    answers = {key: await ask(key) for key in keys}
    return {key: answer for key, answer in answers.items() if answer}
