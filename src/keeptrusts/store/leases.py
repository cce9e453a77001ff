"""SQL of leases: slices of wallets in the hands of nodes."""

from collections.abc import Sequence

from keeptrusts.clock import instant_at_ms, unix_ms
from keeptrusts.core.ledger.posting import LeaseBook
from keeptrusts.core.ledger.standing import PeriodKey
from keeptrusts.store.contracts import DEFAULT_ORG, Connection


class SqlLeases:
    """See contracts.Leases."""

    def __init__(self, connection: Connection, org_id: str = DEFAULT_ORG) -> None:
        self._sql = connection
        self._org = org_id

    async def find(self, lease_id: str) -> LeaseBook | None:
        """The lease as it stands."""
        rows = await self._sql.fetch(
            """
            SELECT lease_id, node_id, wallet_id, granted_nanos, settled_nanos, returned_nanos, closed FROM lease
            WHERE org_id = $1 AND lease_id = $2""",
            self._org,
            lease_id,
        )
        if not rows:
            return None
        found, node_id, wallet_id, granted, settled, returned, closed = rows[0]
        return LeaseBook(found, node_id, wallet_id, granted, settled, returned, bool(closed))

    async def lines(self, lease_id: str) -> list[PeriodKey]:
        """See contracts.Leases."""
        rows = await self._sql.fetch(
            """
            SELECT wallet_id, kind, start_ms FROM lease_line WHERE org_id = $1 AND lease_id = $2
            ORDER BY wallet_id, kind, start_ms""",
            self._org,
            lease_id,
        )
        return [PeriodKey(wallet_id, kind, instant_at_ms(start_ms)) for wallet_id, kind, start_ms in rows]

    async def add(self, lease: LeaseBook, lines: Sequence[PeriodKey], at_ms: int) -> None:
        """See contracts.Leases."""
        await self._sql.execute(
            """
            INSERT INTO lease (org_id, lease_id, node_id, wallet_id, granted_nanos, settled_nanos, returned_nanos, closed,
                created_at_ms)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)""",
            self._org,
            lease.lease_id,
            lease.node_id,
            lease.wallet_id,
            lease.granted,
            lease.settled,
            lease.returned,
            int(lease.closed),
            at_ms,
        )
        await self._sql.executemany(
            "INSERT INTO lease_line (org_id, lease_id, wallet_id, kind, start_ms) VALUES ($1, $2, $3, $4, $5)",
            [(self._org, lease.lease_id, line.wallet_id, line.kind, unix_ms(line.start)) for line in lines],
        )

    async def update(self, lease: LeaseBook) -> None:
        """See contracts.Leases."""
        await self._sql.execute(
            """
            UPDATE lease SET granted_nanos = $3, settled_nanos = $4, returned_nanos = $5, closed = $6
            WHERE org_id = $1 AND lease_id = $2""",
            self._org,
            lease.lease_id,
            lease.granted,
            lease.settled,
            lease.returned,
            int(lease.closed),
        )

    async def remainder_of_others(self, wallet_id: str, node_id: str) -> int:
        """See contracts.Leases."""
        rows = await self._sql.fetch(
            """
            SELECT COALESCE(SUM(granted_nanos - settled_nanos - returned_nanos), 0) FROM lease
            WHERE org_id = $1 AND wallet_id = $2 AND closed = 0 AND node_id <> $3""",
            self._org,
            wallet_id,
            node_id,
        )
        return int(rows[0][0])

    async def granted(self, grant_id: str) -> tuple[str, int] | None:
        """See contracts.Leases."""
        rows = await self._sql.fetch(
            "SELECT lease_id, granted_nanos FROM lease_grant WHERE org_id = $1 AND grant_id = $2", self._org, grant_id
        )
        return (rows[0][0], rows[0][1]) if rows else None

    async def add_grant(self, grant_id: str, lease_id: str, nanos: int, at_ms: int) -> None:
        """See contracts.Leases."""
        await self._sql.execute(
            """
            INSERT INTO lease_grant (org_id, grant_id, lease_id, granted_nanos, created_at_ms)
            VALUES ($1, $2, $3, $4, $5)""",
            self._org,
            grant_id,
            lease_id,
            nanos,
            at_ms,
        )
