"""A small ledger with everything that checkpoints cover: calls of two nodes, alerts, entries, acts, in several checkpoints."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from keeptrusts.control.checkpoints import make_checkpoint
from keeptrusts.control.context import Actor, Control
from keeptrusts.control.inspecting import Witness, inspect
from keeptrusts.control.opening import open_control
from keeptrusts.control.wallets import Allocation, allocate
from keeptrusts.core.audit.findings import Report
from keeptrusts.core.ledger.alerts import Threshold
from keeptrusts.core.money import nanos_from_usd
from keeptrusts.store.books import SqlStore
from keeptrusts.store.seal import PUBLIC_KEYS, WITNESS, read_witness
from keeptrusts.store.sqlite import open_sqlite_to_read
from tests.hand_clock import HandClock
from tests.ledger_node import LedgerNode

ADMIN = Actor("admin", "admin")
BUDGET_USD = 1
CALL_NANOS = 10_000_000


@asynccontextmanager
async def audited(directory: Path) -> AsyncIterator[Control]:
    """An open, empty control plane with a clock that stands still."""
    clock = HandClock(datetime(2026, 4, 15, 9, 30, tzinfo=UTC))
    async with open_control(directory, "the-admin-token", clock) as control:
        yield control


async def fill(control: Control, checkpoints: int, calls: int) -> None:
    """So many checkpoints, each over ``calls`` calls of each of two nodes, their entries, an allocation and alerts."""
    nodes = [
        LedgerNode(control.store, control.tools, name, thresholds=(Threshold(1, "notify"),))
        for name in ("node_b", "node_a")
    ]
    for round_number in range(checkpoints):
        team = f"team_{round_number}"
        await allocate(control, ADMIN, Allocation("team", team, nanos_from_usd(BUDGET_USD)))
        for node in nodes:
            lease_id = f"lse_{node.terms.node_id}_{round_number}"
            await node.ask(lease_id, 40 * CALL_NANOS, team=team)
            for call in range(calls):
                name = f"call_{node.terms.node_id}_{round_number}_{call}"
                await node.settle(name, lease_id, CALL_NANOS + call, 2 * CALL_NANOS, team=team)
        clock = control.tools.clock
        assert isinstance(clock, HandClock)
        clock.turn(timedelta(minutes=1))
        assert await make_checkpoint(control) is not None


async def inspected(directory: Path, pinned: bool = True, witnessed: bool = True) -> Report:
    """What an inspection of the ledger in that directory finds, with the directory's own keys and witness."""
    database = await open_sqlite_to_read(directory / "ledger.db")
    try:
        trusted = frozenset((directory / PUBLIC_KEYS).read_text().split()) if pinned else None
        seen = read_witness(directory / WITNESS) if witnessed else None
        witnesses = [] if seen is None else [Witness(*seen, "the data directory")]
        return await inspect(SqlStore(database), trusted, witnesses)
    finally:
        await database.close()
