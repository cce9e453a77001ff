"""SQL of wallets: the budget holders, what people set, and the accounts per period."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from keeptrusts.clock import instant_at_ms, unix_ms
from keeptrusts.core.ledger.posting import PeriodMovement
from keeptrusts.core.ledger.standing import Cap, PeriodKey
from keeptrusts.core.ledger.wallet import Wallet, WalletPeriod
from keeptrusts.core.periods import PeriodKind
from keeptrusts.store.contracts import DEFAULT_ORG, Claims, Connection

WALLET = """
    SELECT wallet_id, scope, scope_id, currency, zone, version, parent_id, state, overcommit, carry_over, fallback,
        on_hard_cap, fiscal_month
    FROM wallet"""
PERIOD = """
    SELECT wallet_id, kind, start_ms, end_ms, budget_nanos, posted_nanos, leased_nanos, suspense_nanos, overrun_nanos,
        unleased_nanos, carried_nanos, carried_out_nanos, approved_nanos
    FROM wallet_period"""
USED = "posted_nanos + overrun_nanos + unleased_nanos + suspense_nanos + leased_nanos"
OF_KIND = "WHERE org_id = $1 AND wallet_id = $2 AND kind = $3"
ONE_PERIOD = f"{OF_KIND} AND start_ms = $4"
BY_SCOPE = f"{WALLET} WHERE org_id = $1 AND scope = $2 AND scope_id = $3"
BY_ID = f"{WALLET} WHERE org_id = $1 AND wallet_id = $2"
BUDGETS = "SELECT wallet_id, kind, amount_nanos FROM wallet_budget WHERE org_id = $1 AND wallet_id = $2"
SHORT = "SELECT wallet_id, short_at_ms FROM wallet WHERE org_id = $1 AND wallet_id = $2"
CAPS = """
    SELECT wallet_id, node_id, kind, hard_cap_nanos, soft_cap_nanos, on_hard_cap FROM spend_control
    WHERE org_id = $1 AND wallet_id = $2 ORDER BY kind, node_id"""
POST = f"""
    UPDATE wallet_period SET leased_nanos = leased_nanos + $5, posted_nanos = posted_nanos + $6,
        overrun_nanos = overrun_nanos + $7, suspense_nanos = suspense_nanos + $8,
        unleased_nanos = unleased_nanos + $9, approved_nanos = approved_nanos + $10
    {ONE_PERIOD}"""


class SqlWallets:
    """See contracts.Wallets."""

    def __init__(self, connection: Connection, org_id: str = DEFAULT_ORG) -> None:
        self._sql = connection
        self._org = org_id

    async def find(self, scope: str, scope_id: str) -> Wallet | None:
        """The wallet of a scope (``team``) and its id."""
        rows = await self._sql.fetch(BY_SCOPE, self._org, scope, scope_id)
        return wallet_of(rows[0]) if rows else None

    async def by_id(self, wallet_id: str) -> Wallet | None:
        """The wallet of this id."""
        rows = await self._sql.fetch(BY_ID, self._org, wallet_id)
        return wallet_of(rows[0]) if rows else None

    async def every(self) -> list[Wallet]:
        """All wallets, by scope and id."""
        rows = await self._sql.fetch(f"{WALLET} WHERE org_id = $1 ORDER BY scope, scope_id", self._org)
        return [wallet_of(row) for row in rows]

    async def children(self, wallet_id: str) -> list[Wallet]:
        """See contracts.Wallets."""
        rows = await self._sql.fetch(
            f"{WALLET} WHERE org_id = $1 AND parent_id = $2 ORDER BY wallet_id", self._org, wallet_id
        )
        return [wallet_of(row) for row in rows]

    async def claims(self, wallet_id: str, kind: PeriodKind, now: datetime) -> Claims:
        """See contracts.Wallets. A child's budget stands whether its period was used yet or not."""
        funds = "p.budget_nanos + p.carried_nanos - p.carried_out_nanos + p.approved_nanos"
        used = "p.posted_nanos + p.overrun_nanos + p.unleased_nanos + p.suspense_nanos + p.leased_nanos"
        rows = await self._sql.fetch(
            f"""
            SELECT COALESCE(SUM(COALESCE(p.budget_nanos, b.amount_nanos)), 0),
                COALESCE(SUM(CASE WHEN p.budget_nanos IS NULL THEN b.amount_nanos
                    WHEN {funds} > {used} THEN {funds} - ({used}) ELSE 0 END), 0)
            FROM wallet c
            JOIN wallet_budget b ON b.org_id = c.org_id AND b.wallet_id = c.wallet_id AND b.kind = $3
            LEFT JOIN wallet_period p ON p.org_id = c.org_id AND p.wallet_id = c.wallet_id AND p.kind = $3
                AND p.start_ms <= $4 AND p.end_ms > $4
            WHERE c.org_id = $1 AND c.parent_id = $2 AND c.state <> 'closed'""",
            self._org,
            wallet_id,
            kind,
            unix_ms(now),
        )
        budgets, unused = rows[0]
        return Claims(int(budgets), int(unused))

    async def add(self, wallet: Wallet, at_ms: int) -> None:
        """See contracts.Wallets."""
        await self._sql.execute(
            """
            INSERT INTO wallet (org_id, wallet_id, scope, scope_id, currency, zone, version, short_at_ms, recalled_at_ms,
                created_at_ms, parent_id, state, overcommit, carry_over, fallback, on_hard_cap, fiscal_month)
            VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 0, $8, $9, $10, $11, $12, $13, $14, $15)""",
            self._org,
            wallet.wallet_id,
            wallet.scope,
            wallet.scope_id,
            wallet.currency,
            wallet.zone,
            wallet.version,
            at_ms,
            *_options(wallet),
        )

    async def update(self, wallet: Wallet) -> None:
        """See contracts.Wallets."""
        await self._sql.execute(
            """
            UPDATE wallet SET zone = $3, parent_id = $4, state = $5, overcommit = $6, carry_over = $7, fallback = $8,
                on_hard_cap = $9, fiscal_month = $10
            WHERE org_id = $1 AND wallet_id = $2""",
            self._org,
            wallet.wallet_id,
            wallet.zone,
            *_options(wallet),
        )

    async def budgets(self, wallet_id: str) -> dict[PeriodKind, int]:
        """See contracts.Wallets."""
        return {kind: amount for _, kind, amount in await self._sql.fetch(BUDGETS, self._org, wallet_id)}

    async def set_budget(self, wallet_id: str, kind: PeriodKind, amount_nanos: int) -> None:
        """See contracts.Wallets."""
        await self._sql.execute(
            """
            INSERT INTO wallet_budget (org_id, wallet_id, kind, amount_nanos) VALUES ($1, $2, $3, $4)
            ON CONFLICT (org_id, wallet_id, kind) DO UPDATE SET amount_nanos = excluded.amount_nanos""",
            self._org,
            wallet_id,
            kind,
            amount_nanos,
        )

    async def caps(self, wallet_id: str) -> list[tuple[str, Cap]]:
        """See contracts.Wallets."""
        return [cap_of(cap) for _, *cap in await self._sql.fetch(CAPS, self._org, wallet_id)]

    async def add_cap(self, wallet_id: str, node_id: str, cap: Cap) -> None:
        """See contracts.Wallets."""
        await self._sql.execute(
            """
            INSERT INTO spend_control (org_id, node_id, wallet_id, kind, hard_cap_nanos, soft_cap_nanos, on_hard_cap)
            VALUES ($1, $2, $3, $4, $5, $6, $7)""",
            self._org,
            node_id,
            wallet_id,
            cap.kind,
            cap.hard_nanos,
            cap.soft_nanos,
            "escalate" if cap.escalates else "block",
        )

    async def drop_caps(self, node_id: str) -> None:
        """See contracts.Wallets."""
        await self._sql.execute("DELETE FROM spend_control WHERE org_id = $1 AND node_id = $2", self._org, node_id)

    async def period(self, key: PeriodKey) -> WalletPeriod | None:
        """See contracts.Wallets."""
        return await self._one(f"{PERIOD} {ONE_PERIOD}{self._sql.for_update}", key)

    async def period_before(self, key: PeriodKey) -> WalletPeriod | None:
        """See contracts.Wallets."""
        return await self._one(
            f"{PERIOD} {OF_KIND} AND start_ms < $4 ORDER BY start_ms DESC LIMIT 1{self._sql.for_update}", key
        )

    async def period_after(self, key: PeriodKey) -> WalletPeriod | None:
        """See contracts.Wallets."""
        return await self._one(
            f"{PERIOD} {OF_KIND} AND start_ms > $4 ORDER BY start_ms LIMIT 1{self._sql.for_update}", key
        )

    async def _one(self, sql: str, key: PeriodKey) -> WalletPeriod | None:
        rows = await self._sql.fetch(sql, *self._key(key))
        return period_of(rows[0]) if rows else None

    async def add_period(self, period: WalletPeriod) -> None:
        """See contracts.Wallets."""
        await self._sql.execute(
            """
            INSERT INTO wallet_period (org_id, wallet_id, kind, start_ms, end_ms, budget_nanos, posted_nanos, leased_nanos,
                suspense_nanos, overrun_nanos, unleased_nanos, carried_nanos, carried_out_nanos, approved_nanos)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)""",
            self._org,
            period.wallet_id,
            period.kind,
            unix_ms(period.start),
            unix_ms(period.end),
            period.budget,
            period.posted,
            period.leased,
            period.suspense,
            period.overrun,
            period.unleased,
            period.carried,
            period.carried_out,
            period.approved,
        )

    async def set_period_budget(self, key: PeriodKey, budget_nanos: int) -> None:
        """See contracts.Wallets."""
        await self._sql.execute(
            f"UPDATE wallet_period SET budget_nanos = $5 {ONE_PERIOD}", *self._key(key), budget_nanos
        )

    async def carry(self, key: PeriodKey, into: PeriodKey, nanos: int) -> None:
        """See contracts.Wallets."""
        for column, period in (("carried_out_nanos", key), ("carried_nanos", into)):
            await self._sql.execute(
                f"UPDATE wallet_period SET {column} = {column} + $5 {ONE_PERIOD}", *self._key(period), nanos
            )

    async def approve(self, key: PeriodKey, nanos: int) -> None:
        """See contracts.Wallets."""
        await self._sql.execute(
            f"UPDATE wallet_period SET approved_nanos = approved_nanos + $5 {ONE_PERIOD}", *self._key(key), nanos
        )

    async def lease_out(self, key: PeriodKey, nanos: int, limit_nanos: int | None) -> bool:
        """See contracts.Wallets. One conditional UPDATE: the row decides, whatever was read before."""
        raised = f"UPDATE wallet_period SET leased_nanos = leased_nanos + $5 {ONE_PERIOD}"
        if limit_nanos is None:
            return await self._sql.execute(raised, *self._key(key), nanos) == 1
        return await self._sql.execute(f"{raised} AND {USED} + $5 <= $6", *self._key(key), nanos, limit_nanos) == 1

    async def post(self, key: PeriodKey, movement: PeriodMovement) -> None:
        """See contracts.Wallets."""
        await self._sql.execute(POST, *post_args(self._org, key, movement))

    async def next_version(self, wallet_id: str) -> int:
        """See contracts.Wallets."""
        rows = await self._sql.fetch(
            "UPDATE wallet SET version = version + 1 WHERE org_id = $1 AND wallet_id = $2 RETURNING version",
            self._org,
            wallet_id,
        )
        return int(rows[0][0])

    async def set_short(self, wallet_id: str, at_ms: int) -> None:
        """See contracts.Wallets."""
        await self._sql.execute(
            "UPDATE wallet SET short_at_ms = $3 WHERE org_id = $1 AND wallet_id = $2", self._org, wallet_id, at_ms
        )

    async def short_since(self, wallet_id: str) -> int:
        """See contracts.Wallets."""
        rows = await self._sql.fetch(SHORT, self._org, wallet_id)
        return int(rows[0][1]) if rows else 0

    async def claim_recall(self, wallet_id: str, now_ms: int, unless_since_ms: int) -> bool:
        """See contracts.Wallets."""
        claimed = await self._sql.execute(
            """
            UPDATE wallet SET recalled_at_ms = $3
            WHERE org_id = $1 AND wallet_id = $2 AND recalled_at_ms <= $4""",
            self._org,
            wallet_id,
            now_ms,
            unless_since_ms,
        )
        return claimed == 1

    def _key(self, key: PeriodKey) -> tuple[str, str, str, int]:
        return period_args(self._org, key)


def period_args(org_id: str, key: PeriodKey) -> tuple[str, str, str, int]:
    """What ``ONE_PERIOD`` takes."""
    return org_id, key.wallet_id, key.kind, unix_ms(key.start)


def post_args(org_id: str, key: PeriodKey, movement: PeriodMovement) -> tuple[Any, ...]:
    """What ``POST`` takes."""
    return (
        *period_args(org_id, key),
        movement.leased,
        movement.posted,
        movement.overrun,
        movement.suspense,
        movement.unleased,
        movement.approved,
    )


def period_of(row: Sequence[Any]) -> WalletPeriod:
    """An account from its row."""
    wallet_id, kind, start_ms, end_ms, *amounts = row
    return WalletPeriod(wallet_id, kind, instant_at_ms(start_ms), instant_at_ms(end_ms), *amounts)


def cap_of(row: Sequence[Any]) -> tuple[str, Cap]:
    """A spend control from its row without the wallet's id, and the node that registered it."""
    node_id, kind, hard, soft, on_hard_cap = row
    return node_id, Cap(kind, hard, soft, on_hard_cap == "escalate")


def wallet_of(row: Sequence[Any]) -> Wallet:
    """A wallet from its row."""
    values = dict(zip(Wallet.__struct_fields__, row, strict=True))
    return Wallet(**{**values, "overcommit": bool(values["overcommit"]), "carry_over": bool(values["carry_over"])})


def _options(wallet: Wallet) -> tuple[Any, ...]:
    return (
        wallet.parent_id,
        wallet.state,
        int(wallet.overcommit),
        int(wallet.carry_over),
        wallet.fallback,
        wallet.on_hard_cap,
        wallet.fiscal_month,
    )
