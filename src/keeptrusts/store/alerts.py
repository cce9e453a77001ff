"""SQL of budget alerts: which thresholds have fired."""

from keeptrusts.clock import unix_ms
from keeptrusts.core.ledger.standing import PeriodKey
from keeptrusts.store.contracts import DEFAULT_ORG, Connection


class SqlAlerts:
    """See contracts.Alerts."""

    def __init__(self, connection: Connection, org_id: str = DEFAULT_ORG) -> None:
        self._sql = connection
        self._org = org_id

    async def fired(self, key: PeriodKey) -> frozenset[str]:
        """See contracts.Alerts."""
        rows = await self._sql.fetch(
            "SELECT threshold FROM alert WHERE org_id = $1 AND wallet_id = $2 AND kind = $3 AND start_ms = $4",
            self._org,
            key.wallet_id,
            key.kind,
            unix_ms(key.start),
        )
        return frozenset(row[0] for row in rows)

    async def add(self, key: PeriodKey, threshold: str, event_id: str, at_ns: int) -> None:
        """See contracts.Alerts."""
        await self._sql.execute(
            """
            INSERT INTO alert (org_id, wallet_id, kind, start_ms, threshold, event_id, at_ns)
            VALUES ($1, $2, $3, $4, $5, $6, $7)""",
            self._org,
            key.wallet_id,
            key.kind,
            unix_ms(key.start),
            threshold,
            event_id,
            at_ns,
        )
