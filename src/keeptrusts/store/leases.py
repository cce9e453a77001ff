"""SQL of leases: slices of wallets in the hands of nodes."""

from collections.abc import Sequence
from typing import Any

from keeptrusts.clock import instant_at_ms, unix_ms
from keeptrusts.core.ledger.posting import LeaseBook
from keeptrusts.core.ledger.standing import PeriodKey
from keeptrusts.store.contracts import DEFAULT_ORG, Connection

LEASE = """
    SELECT lease_id, node_id, wallet_id, granted_nanos, settled_nanos, returned_nanos, closed, ticket_id,
        suspended_nanos, resolved_nanos, suspended_at_ms, suspended_why
    FROM lease"""
ONE_LEASE = f"{LEASE} WHERE org_id = $1 AND lease_id = $2"
LINES = """
    SELECT lease_id, wallet_id, kind, start_ms FROM lease_line WHERE org_id = $1 AND lease_id = $2
    ORDER BY wallet_id, kind, start_ms"""
UPDATE = """
    UPDATE lease SET granted_nanos = $3, settled_nanos = $4, returned_nanos = $5, closed = $6, suspended_nanos = $7,
        resolved_nanos = $8, suspended_at_ms = $9, suspended_why = $10
    WHERE org_id = $1 AND lease_id = $2"""
GRANT_MADE = "SELECT grant_id FROM lease_grant WHERE org_id = $1 AND grant_id = $2"


class SqlLeases:
    """See contracts.Leases."""

    def __init__(self, connection: Connection, org_id: str = DEFAULT_ORG) -> None:
        self._sql = connection
        self._org = org_id
        self.grants_made = 0

    async def find(self, lease_id: str) -> LeaseBook | None:
        """The lease as it stands."""
        rows = await self._sql.fetch(f"{ONE_LEASE}{self._sql.for_update}", self._org, lease_id)
        return lease_of(rows[0]) if rows else None

    async def lines(self, lease_id: str) -> list[PeriodKey]:
        """See contracts.Leases."""
        return [line_of(line) for _, *line in await self._sql.fetch(LINES, self._org, lease_id)]

    async def add(self, lease: LeaseBook, lines: Sequence[PeriodKey], at_ms: int) -> None:
        """See contracts.Leases."""
        await self._sql.execute(
            """
            INSERT INTO lease (org_id, lease_id, node_id, wallet_id, granted_nanos, settled_nanos, returned_nanos, closed,
                created_at_ms, ticket_id, suspended_nanos, resolved_nanos, suspended_at_ms, suspended_why)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)""",
            self._org,
            lease.lease_id,
            lease.node_id,
            lease.wallet_id,
            lease.granted,
            lease.settled,
            lease.returned,
            int(lease.closed),
            at_ms,
            lease.ticket_id,
            lease.suspended,
            lease.resolved,
            lease.suspended_at_ms,
            lease.suspended_why,
        )
        await self._sql.executemany(
            "INSERT INTO lease_line (org_id, lease_id, wallet_id, kind, start_ms) VALUES ($1, $2, $3, $4, $5)",
            [(self._org, lease.lease_id, line.wallet_id, line.kind, unix_ms(line.start)) for line in lines],
        )

    async def update(self, lease: LeaseBook) -> None:
        """See contracts.Leases."""
        await self._sql.execute(UPDATE, *update_args(self._org, lease))

    async def open_of(self, node_id: str) -> list[LeaseBook]:
        """See contracts.Leases."""
        rows = await self._sql.fetch(
            f"{LEASE} WHERE org_id = $1 AND node_id = $2 AND closed = 0 ORDER BY lease_id{self._sql.for_update}",
            self._org,
            node_id,
        )
        return [lease_of(row) for row in rows]

    async def in_doubt(self, after: str, limit: int) -> list[LeaseBook]:
        """The leases of which something is in suspense, by id, beyond ``after``."""
        rows = await self._sql.fetch(
            f"{LEASE} WHERE org_id = $1 AND suspended_nanos > resolved_nanos AND lease_id > $2 ORDER BY lease_id LIMIT $3",
            self._org,
            after,
            limit,
        )
        return [lease_of(row) for row in rows]

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
        # Last, and a row of its own: grants to one node meet here, and only here.
        await self._sql.execute(
            """
            INSERT INTO node_mark (org_id, node_id, grants)
            SELECT org_id, node_id, 1 FROM lease WHERE org_id = $1 AND lease_id = $2
            ON CONFLICT (org_id, node_id) DO UPDATE SET grants = node_mark.grants + 1""",
            self._org,
            lease_id,
        )
        self.grants_made += 1


def update_args(org_id: str, lease: LeaseBook) -> tuple[Any, ...]:
    """What ``UPDATE`` takes."""
    return (
        org_id,
        lease.lease_id,
        lease.granted,
        lease.settled,
        lease.returned,
        int(lease.closed),
        lease.suspended,
        lease.resolved,
        lease.suspended_at_ms,
        lease.suspended_why,
    )


def line_of(row: Sequence[Any]) -> PeriodKey:
    """A lease's line from its row, without the lease's id."""
    wallet_id, kind, start_ms = row
    return PeriodKey(wallet_id, kind, instant_at_ms(start_ms))


def lease_of(row: Sequence[Any]) -> LeaseBook:
    """A lease from its row."""
    values = dict(zip(LeaseBook.__struct_fields__, row, strict=True))
    return LeaseBook(**{**values, "closed": bool(values["closed"])})
