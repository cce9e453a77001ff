"""SQL of ledger entries: the lines of wallets' statements."""

from collections.abc import Sequence

from keeptrusts.core.ledger.entry import Entry, NumberedEntry
from keeptrusts.store.contracts import DEFAULT_ORG, Connection

COLUMNS = "wallet_id, type, amount_nanos, balance_nanos, period_key, event_id, actor, description, at_ns"


class SqlEntries:
    """See contracts.Entries."""

    def __init__(self, connection: Connection, org_id: str = DEFAULT_ORG) -> None:
        self._sql = connection
        self._org = org_id

    async def add_all(self, entries: Sequence[Entry]) -> None:
        """See contracts.Entries."""
        await self._sql.add_rows(
            "ledger_entry",
            ("org_id", *COLUMNS.split(", ")),
            [
                (
                    self._org,
                    entry.wallet_id,
                    entry.type,
                    entry.amount,
                    entry.balance,
                    entry.period_key,
                    entry.event_id,
                    entry.actor,
                    entry.description,
                    entry.at_ns,
                )
                for entry in entries
            ],
        )

    async def latest(
        self, wallet_id: str, before_number: int | None, since_ns: int, until_ns: int, limit: int
    ) -> list[NumberedEntry]:
        """See contracts.Entries."""
        rows = await self._sql.fetch(
            f"""
            SELECT entry_no, {COLUMNS} FROM ledger_entry
            WHERE org_id = $1 AND wallet_id = $2 AND entry_no < $3 AND at_ns >= $4 AND at_ns < $5
            ORDER BY entry_no DESC LIMIT $6""",
            self._org,
            wallet_id,
            2**63 - 1 if before_number is None else before_number,
            since_ns,
            until_ns,
            limit,
        )
        return [NumberedEntry(number, Entry(*entry)) for number, *entry in rows]
