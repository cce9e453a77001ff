"""SQL of the ledger's examination: every table that an invariant speaks of, read in pages by key, changing nothing."""

from collections.abc import Collection
from itertools import takewhile

import msgspec

from keeptrusts.core.ledger.invariants.calls import CallRow, read_call
from keeptrusts.core.ledger.invariants.rows import AccountRow, JournalRow, LeaseRow, Line, NodeRow, WalletRow
from keeptrusts.core.ledger.invariants.statements import EntryRow
from keeptrusts.core.pricing.price import Price
from keeptrusts.store.contracts import DEFAULT_ORG, Connection
from keeptrusts.store.schema import Difference, differences, guards_of_postgres

EVERYWHERE = (0, 2**63 - 1)
NUMBERED = {"event": "event_no", "ledger_entry": "entry_no", "audit": "audit_no"}
"""Tables that are only ever added to, with the number that their rows get in order, from 1, without a gap."""

CALL_COLUMNS = """
    event_no, event_id, node_id, journal_seq, status, cost_nanos, input_tokens, cache_read_tokens, cache_write_tokens,
    cache_write_1h_tokens, output_tokens, reasoning_tokens, usage_source, price_version, attempts"""
CHUNK = 500
"""How many ids one statement names at most."""


class EventPage(msgspec.Struct, frozen=True):
    """The calls among some events, how many events that were, and the number of the last."""

    calls: list[CallRow]
    rows: int
    last: int


class _Terms(msgspec.Struct):
    wallet_enforcement: bool


decode_price = msgspec.json.Decoder(Price).decode
decode_terms = msgspec.json.Decoder(_Terms).decode


class SqlInspection:
    """What an examination reads of one organization."""

    def __init__(self, connection: Connection, org_id: str = DEFAULT_ORG) -> None:
        self._sql = connection
        self._org = org_id

    async def altered_schema(self, sqlite: bool) -> list[Difference]:
        """What of the schema is not as the migrations made it."""
        return await (differences(self._sql) if sqlite else guards_of_postgres(self._sql))

    async def extent(self, table: str) -> tuple[int, int]:
        """The highest number of a numbered table, and how many rows it has."""
        number = NUMBERED[table]
        rows = await self._sql.fetch(
            f"SELECT COALESCE(MAX({number}), 0), COUNT(*) FROM {table} WHERE org_id = $1", self._org
        )
        return int(rows[0][0]), int(rows[0][1])

    async def gaps(self, table: str, limit: int, span: tuple[int, int] = EVERYWHERE) -> list[tuple[int, int]]:
        """The first gaps in the numbers of a table after the first of ``span`` up to the second, each by the last number
        before it and the first after it."""
        number = NUMBERED[table]
        rows = await self._sql.fetch(
            f"""
            SELECT before, number FROM (
                SELECT {number} AS number, LAG({number}, 1, $3) OVER (ORDER BY {number}) AS before
                FROM {table} WHERE org_id = $1 AND {number} > $3 AND {number} <= $4) AS numbers
            WHERE number <> before + 1 ORDER BY number LIMIT $2""",
            self._org,
            limit,
            *span,
        )
        return [(int(before), int(after)) for before, after in rows]

    async def calls(self, after: int, limit: int) -> EventPage:
        """The next ``limit`` events after a number."""
        rows = await self._sql.fetch(
            f"""
            SELECT type, {CALL_COLUMNS} FROM event WHERE org_id = $1 AND event_no > $2 ORDER BY event_no LIMIT $3""",
            self._org,
            after,
            limit,
        )
        found = [read_call(columns) for kind, *columns in rows if kind == "call"]
        return EventPage(found, len(rows), rows[-1][1] if rows else after)

    async def doubled_events(self, limit: int) -> list[tuple[str, int]]:
        """Ids that several events have, and how many."""
        rows = await self._sql.fetch(
            """
            SELECT event_id, COUNT(*) FROM event WHERE org_id = $1 GROUP BY event_id HAVING COUNT(*) > 1
            ORDER BY event_id LIMIT $2""",
            self._org,
            limit,
        )
        return [(event_id, int(count)) for event_id, count in rows]

    async def prices(self, versions: Collection[str]) -> dict[str, Price]:
        """These price versions, by id."""
        found = await self._named("SELECT price_id, body FROM price", "price_id", versions)
        return {version: price for version, body in found if (price := _price(body)) is not None}

    async def lease_holders(self, lease_ids: Collection[str]) -> dict[str, tuple[str, int]]:
        """The node of each of these leases, and what it was granted; only of leases that debit a wallet period."""
        select = "SELECT lease_id, node_id, granted_nanos FROM lease"
        lined = "EXISTS (SELECT 1 FROM lease_line n WHERE n.org_id = lease.org_id AND n.lease_id = lease.lease_id)"
        rows = await self._named(select, f"{lined} AND lease_id", lease_ids)
        return {lease_id: (node_id, int(granted)) for lease_id, node_id, granted in rows}

    async def _named(self, select: str, condition: str, ids: Collection[str]) -> list[tuple[str, ...]]:
        found, wanted = [], sorted(ids)
        for start in range(0, len(wanted), CHUNK):
            chunk = wanted[start : start + CHUNK]
            places = ", ".join(f"${place}" for place in range(2, len(chunk) + 2))
            found += await self._sql.fetch(
                f"{select} WHERE org_id = $1 AND {condition} IN ({places})", self._org, *chunk
            )
        return found

    async def entries(self, after: int, until_ns: int, limit: int) -> list[EntryRow]:
        """The next lines of all statements after a number, in order, up to the first that is not older than ``until_ns``."""
        rows = await self._sql.fetch(
            """
            SELECT entry_no, wallet_id, type, amount_nanos, balance_nanos, period_key, at_ns FROM ledger_entry
            WHERE org_id = $1 AND entry_no > $2 ORDER BY entry_no LIMIT $3""",
            self._org,
            after,
            limit,
        )
        return list(takewhile(lambda entry: entry.at_ns < until_ns, (EntryRow(*row) for row in rows)))

    async def wallets(self) -> dict[str, WalletRow]:
        """All wallets by id, with when their place in the tree was last set, as the audit trail has it."""
        placed = await self._sql.fetch(
            """
            SELECT subject_id, MAX(at_ns), COUNT(*) FROM audit
            WHERE org_id = $1 AND action LIKE 'wallet.%' AND (after LIKE '%"parent_id"%' OR after LIKE '%"fallback"%')
            GROUP BY subject_id""",
            self._org,
        )
        times = {subject: (int(at_ns) // 1_000_000, int(count)) for subject, at_ns, count in placed}
        rows = await self._sql.fetch(
            "SELECT wallet_id, scope, zone, parent_id, fallback FROM wallet WHERE org_id = $1", self._org
        )
        return {row[0]: WalletRow(*(*row, *times.get(row[0], (0, 0)))) for row in rows}

    async def standing(self) -> dict[tuple[str, str], int]:
        """The highest budget that stands for each wallet and kind, or that one of its spend controls allows."""
        rows = await self._sql.fetch(
            """
            SELECT wallet_id, kind, MAX(nanos) FROM (
                SELECT wallet_id, kind, amount_nanos AS nanos FROM wallet_budget WHERE org_id = $1
                UNION ALL SELECT wallet_id, kind, hard_cap_nanos FROM spend_control WHERE org_id = $1) AS limits
            GROUP BY wallet_id, kind""",
            self._org,
        )
        return {(wallet_id, kind): int(nanos) for wallet_id, kind, nanos in rows}

    async def accounts(self) -> dict[Line, AccountRow]:
        """All wallet periods, by name."""
        rows = await self._sql.fetch(
            """
            SELECT wallet_id, kind, start_ms, end_ms, budget_nanos, posted_nanos, leased_nanos, suspense_nanos,
                overrun_nanos, unleased_nanos, carried_nanos, carried_out_nanos, approved_nanos
            FROM wallet_period WHERE org_id = $1""",
            self._org,
        )
        return {(row[0], row[1], row[2]): AccountRow(*row) for row in rows}

    async def leases(self, after: str, limit: int) -> list[LeaseRow]:
        """The next leases after an id, by id, with their lines."""
        rows = await self._sql.fetch(
            """
            SELECT lease_id, node_id, wallet_id, granted_nanos, settled_nanos, returned_nanos, closed, suspended_nanos,
                resolved_nanos, created_at_ms
            FROM lease WHERE org_id = $1 AND lease_id > $2 ORDER BY lease_id LIMIT $3""",
            self._org,
            after,
            limit,
        )
        if not rows:
            return []
        lines: dict[str, list[Line]] = {}
        for lease_id, *line in await self._sql.fetch(
            """
            SELECT lease_id, wallet_id, kind, start_ms FROM lease_line
            WHERE org_id = $1 AND lease_id > $2 AND lease_id <= $3""",
            self._org,
            after,
            rows[-1][0],
        ):
            lines.setdefault(lease_id, []).append((line[0], line[1], line[2]))
        return [LeaseRow(*(*row[:6], bool(row[6]), *row[7:], tuple(lines.get(row[0], ())))) for row in rows]

    async def uneven_grants(self, limit: int) -> list[tuple[str, int, int]]:
        """Leases that were not granted the sum of their grants: id, that sum, and what they were granted."""
        rows = await self._sql.fetch(
            """
            SELECT l.lease_id, COALESCE(g.nanos, 0), l.granted_nanos FROM lease l LEFT JOIN (
                SELECT lease_id, SUM(granted_nanos) AS nanos FROM lease_grant WHERE org_id = $1 GROUP BY lease_id) AS g
                ON g.lease_id = l.lease_id
            WHERE l.org_id = $1 AND l.granted_nanos <> COALESCE(g.nanos, 0) ORDER BY l.lease_id LIMIT $2""",
            self._org,
            limit,
        )
        return [(lease_id, int(by_grants), int(granted)) for lease_id, by_grants, granted in rows]

    async def nodes(self) -> dict[str, NodeRow]:
        """All nodes, by id."""
        rows = await self._sql.fetch("SELECT node_id, state, registration FROM node WHERE org_id = $1", self._org)
        return {node_id: NodeRow(node_id, state, _bound_by_wallets(terms)) for node_id, state, terms in rows}

    async def journals(self) -> list[JournalRow]:
        """How far each journal is applied."""
        rows = await self._sql.fetch(
            "SELECT node_id, last_seq FROM journal WHERE org_id = $1 ORDER BY node_id", self._org
        )
        return [JournalRow(*row) for row in rows]

    async def quarantine(self, limit: int) -> list[tuple[str, int, int | None]]:
        """Records in quarantine: node, place in its journal, and how far that is applied."""
        rows = await self._sql.fetch(
            """
            SELECT q.node_id, q.journal_seq, j.last_seq FROM quarantine q
            LEFT JOIN journal j ON j.org_id = q.org_id AND j.node_id = q.node_id
            WHERE q.org_id = $1 ORDER BY q.node_id, q.journal_seq LIMIT $2""",
            self._org,
            limit,
        )
        return [(node_id, int(seq), last_seq) for node_id, seq, last_seq in rows]

    async def current_accounts(self, now_ms: int, limit: int) -> list[tuple[str, AccountRow]]:
        """The wallet periods of this moment, each after its wallet's name (``team:team_a``), those used most first."""
        rows = await self._sql.fetch(
            """
            SELECT w.scope, w.scope_id, p.wallet_id, p.kind, p.start_ms, p.end_ms, p.budget_nanos, p.posted_nanos,
                p.leased_nanos, p.suspense_nanos, p.overrun_nanos, p.unleased_nanos, p.carried_nanos,
                p.carried_out_nanos, p.approved_nanos
            FROM wallet_period p JOIN wallet w ON w.org_id = p.org_id AND w.wallet_id = p.wallet_id
            WHERE p.org_id = $1 AND p.start_ms <= $2 AND p.end_ms > $2
            ORDER BY p.posted_nanos + p.leased_nanos DESC, p.wallet_id, p.kind LIMIT $3""",
            self._org,
            now_ms,
            limit,
        )
        return [(f"{scope}:{scope_id}", AccountRow(*row)) for scope, scope_id, *row in rows]

    async def open_leases(self) -> tuple[int, int]:
        """How many leases are open, and of how many some is in suspense."""
        rows = await self._sql.fetch(
            """
            SELECT COUNT(CASE WHEN closed = 0 THEN 1 END), COUNT(CASE WHEN suspended_nanos > resolved_nanos THEN 1 END)
            FROM lease WHERE org_id = $1 AND (closed = 0 OR suspended_nanos > resolved_nanos)""",
            self._org,
        )
        return int(rows[0][0]), int(rows[0][1])

    async def last_event(self) -> int:
        """The number of the newest event, 0 before the first: as many as there are."""
        rows = await self._sql.fetch("SELECT MAX(event_no) FROM event WHERE org_id = $1", self._org)
        return int(rows[0][0] or 0)

    async def quarantined(self) -> int:
        """How many records are in quarantine."""
        rows = await self._sql.fetch("SELECT COUNT(*) FROM quarantine WHERE org_id = $1", self._org)
        return int(rows[0][0])

    async def tickets(self, now_ms: int) -> dict[str, int]:
        """How many cost tickets whose time is not over are in each state."""
        rows = await self._sql.fetch(
            "SELECT status, COUNT(*) FROM cost_ticket WHERE org_id = $1 AND expires_at_ms > $2 GROUP BY status",
            self._org,
            now_ms,
        )
        return {status: int(count) for status, count in rows}


def _price(body: str) -> Price | None:
    """A price as it is kept; None when it can't be read, which is as good as gone."""
    try:
        return decode_price(body)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None


def _bound_by_wallets(registration: str) -> bool:
    """Whether wallets bind a node; one whose registration can't be read is not excused."""
    try:
        return decode_terms(registration).wallet_enforcement
    except (msgspec.DecodeError, msgspec.ValidationError):
        return True
