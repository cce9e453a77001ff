"""What a batch asks of the store for many rows at once, in one trip each: the same as the nouns' own questions, one by one."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from keeptrusts.core.ledger.posting import LeaseBook, PeriodMovement
from keeptrusts.core.ledger.standing import Cap, PeriodKey
from keeptrusts.core.ledger.wallet import Wallet, WalletPeriod
from keeptrusts.core.periods import PeriodKind


class Many(Protocol):
    """Rows are read, locked and written in the order in which they are asked for. What is not there is not in an answer."""

    async def wallets_named(self, names: Sequence[str]) -> dict[str, Wallet]:
        """By their names, such as ``team:team_a``."""

    async def wallets(self, wallet_ids: Sequence[str]) -> dict[str, Wallet]: ...

    async def budgets(self, wallet_ids: Sequence[str]) -> dict[str, dict[PeriodKind, int]]:
        """See Wallets.budgets; of wallets that have some."""

    async def caps(self, wallet_ids: Sequence[str]) -> dict[str, list[tuple[str, Cap]]]:
        """See Wallets.caps; of wallets that have some."""

    async def waiting_since(self, wallet_ids: Sequence[str]) -> dict[str, int]:
        """See Wallets.short_since."""

    async def periods(self, keys: Sequence[PeriodKey]) -> dict[PeriodKey, WalletPeriod]:
        """See Wallets.period: ask in the order of the keys."""

    async def post(self, movements: Mapping[PeriodKey, PeriodMovement]) -> None:
        """See Wallets.post."""

    async def leases(self, lease_ids: Sequence[str]) -> dict[str, LeaseBook]:
        """See Leases.find: ask in the order of the ids."""

    async def lines(self, lease_ids: Sequence[str]) -> dict[str, list[PeriodKey]]:
        """See Leases.lines; of leases that have some."""

    async def update_leases(self, leases: Sequence[LeaseBook]) -> None: ...

    async def granted(self, grant_ids: Sequence[str]) -> set[str]:
        """Those of the grants that were made."""
