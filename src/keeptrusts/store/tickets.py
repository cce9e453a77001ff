"""SQL of tickets: calls that are held, and what became of them."""

from collections.abc import Collection
from typing import Any

import msgspec

from keeptrusts.core.ledger.ticket import Ticket
from keeptrusts.store.contracts import DEFAULT_ORG, Connection

COLUMNS = ", ".join(Ticket.__struct_fields__)
PLACES = ", ".join(f"${number}" for number in range(2, len(Ticket.__struct_fields__) + 2))


class SqlTickets:
    """Tickets of one organization."""

    def __init__(self, connection: Connection, org_id: str = DEFAULT_ORG) -> None:
        self._sql = connection
        self._org = org_id

    async def find(self, ticket_id: str) -> Ticket | None:
        """The ticket; in a transaction it is kept from other writers."""
        return await self._one("ticket_id = $2", ticket_id)

    async def of_retry(self, idempotency_digest: str) -> Ticket | None:
        """The ticket that a retry with this key picks up; in a transaction it is kept from other writers."""
        return await self._one("idempotency_digest = $2", idempotency_digest)

    async def _one(self, condition: str, value: str) -> Ticket | None:
        rows = await self._sql.fetch(
            f"SELECT {COLUMNS} FROM cost_ticket WHERE org_id = $1 AND {condition}{self._sql.for_update}",
            self._org,
            value,
        )
        return Ticket(*rows[0]) if rows else None

    async def add(self, ticket: Ticket) -> None:
        """A new ticket."""
        await self._sql.execute(
            f"INSERT INTO cost_ticket (org_id, {COLUMNS}) VALUES ($1, {PLACES})",
            self._org,
            *msgspec.structs.astuple(ticket),
        )

    async def update(self, ticket: Ticket) -> None:
        """What can change of a ticket: who waits for it, and what became of it."""
        await self._sql.execute(
            """
            UPDATE cost_ticket SET status = $3, idempotency_digest = $4, node_id = $5, lease_id = $6, top_up_nanos = $7,
                expires_at_ms = $8, decided_at_ms = $9, actor = $10, note = $11, used_by = $12
            WHERE org_id = $1 AND ticket_id = $2""",
            self._org,
            ticket.ticket_id,
            ticket.status,
            ticket.idempotency_digest,
            ticket.node_id,
            ticket.lease_id,
            ticket.top_up_nanos,
            ticket.expires_at_ms,
            ticket.decided_at_ms,
            ticket.actor,
            ticket.note,
            ticket.used_by,
        )

    async def newest(
        self, statuses: Collection[str], live_at_ms: int | None, before_id: str, limit: int
    ) -> list[Ticket]:
        """The newest tickets with ids below ``before_id``, of these statuses (none given: all), and not expired by then."""
        args: list[Any] = [self._org, before_id]
        where = "org_id = $1 AND ticket_id < $2"
        if statuses:
            where += f" AND status IN ({', '.join(f'${len(args) + place}' for place in range(1, len(statuses) + 1))})"
            args += sorted(statuses)
        if live_at_ms is not None:
            args.append(live_at_ms)
            where += f" AND expires_at_ms > ${len(args)}"
        args.append(limit)
        rows = await self._sql.fetch(
            f"SELECT {COLUMNS} FROM cost_ticket WHERE {where} ORDER BY ticket_id DESC LIMIT ${len(args)}", *args
        )
        return [Ticket(*row) for row in rows]
