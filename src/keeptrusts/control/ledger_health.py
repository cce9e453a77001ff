"""What the API says of the ledger's health: the invariants as the watch last found them, and the figures to watch."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from keeptrusts.control.context import Control
from keeptrusts.core.ledger.invariants.findings import Verdicts, as_json
from keeptrusts.core.ledger.invariants.rows import AccountRow, JournalRow
from keeptrusts.core.metering.rendering import timestamp

WALLETS_MAX = 500
"""Wallet periods that are shown one by one, those used most first: each is several time series."""

NODES_MAX = 200


class Figures(Struct, frozen=True):
    """The books in numbers, as of one moment. ``accounts`` are current wallet periods with their wallets' names."""

    accounts: list[tuple[str, AccountRow]]
    journals: list[JournalRow]
    live_nodes: int
    open_leases: int
    leases_in_suspense: int
    tickets: Mapping[str, int]
    events: int
    quarantined: int
    recovering: bool


async def figures(control: Control) -> Figures:
    """Read now. Raises StoreAway."""
    alive = control.presence.alive(control.tools.clock.monotonic_s())
    async with control.store.read() as books:
        inspection = books.inspection
        open_leases, in_suspense = await inspection.open_leases()
        journals = sorted(await inspection.journals(), key=lambda journal: journal.node_id not in alive)
        return Figures(
            accounts=await inspection.current_accounts(control.tools.now_ms(), WALLETS_MAX),
            journals=journals[:NODES_MAX],
            live_nodes=len(alive),
            open_leases=open_leases,
            leases_in_suspense=in_suspense,
            tickets=await inspection.tickets(control.tools.now_ms()),
            events=await inspection.last_event(),
            quarantined=await inspection.quarantined(),
            recovering=await books.recovery.state() is not None,
        )


def health(control: Control) -> dict[str, Any]:
    """The invariants as they were found last; nothing is read for it."""
    watch = control.watch
    last = watch.last
    checked_at = None if last is None else timestamp(last.at_ns)
    verdicts = Verdicts() if last is None else last.verdicts
    return {
        "status": watch.status(control.tools.clock.unix_ns()),
        "checked_at": checked_at,
        "took_ms": None if last is None else round(last.took_s * 1000),
        "events_read": watch.facts.events_to,
        "invariants": [as_json(verdict) for verdict in verdicts.all],
    }
