"""Grants and batches whose commits are lost, in any number: what is asked again must never happen twice."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime

from keeptrusts.control.context import Tools
from keeptrusts.core.ledger.wallet import WalletPeriod
from keeptrusts.store.books import SqlStore
from keeptrusts.store.contracts import StoreAway
from keeptrusts.store.postgres import open_postgres
from tests.control.funds import account, fund
from tests.hand_clock import HandClock
from tests.ledger_node import LedgerNode
from tests.store.cutting_proxy import Fate, cutting_proxy
from tests.store.real_postgres import ledger_database, server

BUDGET = 10**15
SLICE = 1_000


@dataclass
class Outcome:
    """What was asked for and what the books say in the end."""

    lost_commits: int
    grants: int
    calls: int
    leased_out: int
    events: int
    settled: int
    account: WalletPeriod


async def lose_commits(least: int, seed: int = 1) -> Outcome:
    """Runs one node until at least ``least`` commits were lost, a third of all, half of them after they were carried out."""
    dice = random.Random(seed)

    def fate() -> Fate:
        return dice.choice(("through", "through", "through", "through", "lost_before", "lost_after"))

    clock = HandClock(datetime(2026, 4, 15, tzinfo=UTC))
    async with ledger_database() as url, cutting_proxy(server().port, fate) as proxy:
        direct = await open_postgres(url)
        shaky = None
        try:
            wallet = await fund(SqlStore(direct), monthly=BUDGET)
            while shaky is None:
                try:
                    shaky = await open_postgres(url.replace(f":{server().port}/", f":{proxy.port}/"))
                except StoreAway:
                    continue
            node = LedgerNode(SqlStore(shaky), Tools(clock))
            asked = 0
            while proxy.lost < least:
                asked += 1
                await _until_answered(node, "ask", asked)
                await _until_answered(node, "settle", asked)
            async with direct.read() as sql:
                leased = await sql.fetch("SELECT SUM(granted_nanos), SUM(settled_nanos) FROM lease")
                events = await sql.fetch("SELECT COUNT(*) FROM event")
            found = await account(SqlStore(direct), wallet, "monthly", node.tools.now())
            return Outcome(proxy.lost, asked, asked, int(leased[0][0]), events[0][0], int(leased[0][1]), found)
        finally:
            for database in (direct, shaky):
                if database is not None:
                    await database.close()


async def _until_answered(node: LedgerNode, what: str, number: int) -> None:
    """As a gateway does: the same grant id, the same batch, until there is an answer."""
    first = True
    while True:
        try:
            if what == "ask":
                await node.ask("lse_1", SLICE, grant_id=f"grt_{number}")
            elif first:
                first = False
                await node.settle(f"evt_{number}", "lse_1", 1)
            else:
                await node.ship()
            return
        except StoreAway:
            continue
