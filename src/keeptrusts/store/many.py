"""SQL of a batch's questions: each noun's own statement, run once per row in one trip to the engine."""

from collections.abc import Mapping, Sequence

from keeptrusts.core.ledger.posting import LeaseBook, PeriodMovement
from keeptrusts.core.ledger.standing import Cap, PeriodKey, key_of
from keeptrusts.core.ledger.wallet import Wallet, WalletPeriod
from keeptrusts.core.periods import PeriodKind
from keeptrusts.store import leases, wallets
from keeptrusts.store.contracts import DEFAULT_ORG, Connection


class SqlMany:
    """See many_contract.Many."""

    def __init__(self, connection: Connection, org_id: str = DEFAULT_ORG) -> None:
        self._sql = connection
        self._org = org_id

    async def wallets_named(self, names: Sequence[str]) -> dict[str, Wallet]:
        """See Many."""
        args = [(self._org, *name.split(":", 1)) for name in names]
        rows = await self._sql.fetch_each(wallets.BY_SCOPE, args)
        return {wallet.name: wallet for wallet in map(wallets.wallet_of, rows)}

    async def wallets(self, wallet_ids: Sequence[str]) -> dict[str, Wallet]:
        """See Many."""
        rows = await self._sql.fetch_each(wallets.BY_ID, self._with_org(wallet_ids))
        return {wallet.wallet_id: wallet for wallet in map(wallets.wallet_of, rows)}

    async def budgets(self, wallet_ids: Sequence[str]) -> dict[str, dict[PeriodKind, int]]:
        """See Many."""
        found: dict[str, dict[PeriodKind, int]] = {}
        for wallet_id, kind, amount in await self._sql.fetch_each(wallets.BUDGETS, self._with_org(wallet_ids)):
            found.setdefault(wallet_id, {})[kind] = amount
        return found

    async def caps(self, wallet_ids: Sequence[str]) -> dict[str, list[tuple[str, Cap]]]:
        """See Many."""
        found: dict[str, list[tuple[str, Cap]]] = {}
        for wallet_id, *cap in await self._sql.fetch_each(wallets.CAPS, self._with_org(wallet_ids)):
            found.setdefault(wallet_id, []).append(wallets.cap_of(cap))
        return found

    async def waiting_since(self, wallet_ids: Sequence[str]) -> dict[str, int]:
        """See Many."""
        return dict(await self._sql.fetch_each(wallets.SHORT, self._with_org(wallet_ids)))

    async def periods(self, keys: Sequence[PeriodKey]) -> dict[PeriodKey, WalletPeriod]:
        """See Many."""
        sql = f"{wallets.PERIOD} {wallets.ONE_PERIOD}{self._sql.for_update}"
        rows = await self._sql.fetch_each(sql, [wallets.period_args(self._org, key) for key in keys])
        return {key_of(period): period for period in map(wallets.period_of, rows)}

    async def post(self, movements: Mapping[PeriodKey, PeriodMovement]) -> None:
        """See Many."""
        await self._sql.executemany(
            wallets.POST, [wallets.post_args(self._org, key, movement) for key, movement in movements.items()]
        )

    async def leases(self, lease_ids: Sequence[str]) -> dict[str, LeaseBook]:
        """See Many."""
        rows = await self._sql.fetch_each(f"{leases.ONE_LEASE}{self._sql.for_update}", self._with_org(lease_ids))
        return {lease.lease_id: lease for lease in map(leases.lease_of, rows)}

    async def lines(self, lease_ids: Sequence[str]) -> dict[str, list[PeriodKey]]:
        """See Many."""
        found: dict[str, list[PeriodKey]] = {}
        for lease_id, *line in await self._sql.fetch_each(leases.LINES, self._with_org(lease_ids)):
            found.setdefault(lease_id, []).append(leases.line_of(line))
        return found

    async def update_leases(self, changed: Sequence[LeaseBook]) -> None:
        """See Many."""
        await self._sql.executemany(leases.UPDATE, [leases.update_args(self._org, lease) for lease in changed])

    async def granted(self, grant_ids: Sequence[str]) -> set[str]:
        """See Many."""
        return {row[0] for row in await self._sql.fetch_each(leases.GRANT_MADE, self._with_org(grant_ids))}

    def _with_org(self, ids: Sequence[str]) -> list[tuple[str, str]]:
        return [(self._org, each) for each in ids]
