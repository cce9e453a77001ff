"""A ledger to be filled: a data directory and an engine, an organization with departments and teams, nodes with leases."""

import time
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from bench.ledger_journals import CALL_EVERY_NS, Lease, NodeJournal, make_journal
from keeptrusts.control.accounts import read_accounts
from keeptrusts.control.context import Actor, Control, NodeTerms
from keeptrusts.control.leases import grant
from keeptrusts.control.nodes import register, terms_of
from keeptrusts.control.opening import open_control
from keeptrusts.control.wallets import Allocation, allocate
from keeptrusts.core.ledger.alerts import Threshold
from keeptrusts.core.ledger.grant import GrantRequest
from keeptrusts.core.link import Registration
from keeptrusts.core.metering.selection import Selection
from tests.soak.engines import StoreServer

ADMIN_TOKEN = "kt_ak_bench_only_on_this_machine_0000000000"
_ADMIN = Actor("admin", "admin")
_THRESHOLDS = (Threshold(50, "notify"), Threshold(80, "notify"), Threshold(95, "notify"), Threshold(100, "block"))
_DEPARTMENTS, _TEAMS_EACH = 3, 4
_TEAM_NANOS = 10**15
_GRANT_NANOS = 10**11
_GRANTS = 4


class BooksWrong(Exception):
    """What the ledger shows is not what the journals said."""


@dataclass
class Node:
    """A registered node with its journal; ``token`` is what it speaks to the API with."""

    token: str
    terms: NodeTerms
    journal: NodeJournal


@dataclass(frozen=True)
class Place:
    """Where a ledger lives. ``database_url`` None: in the directory."""

    folder: Path
    database_url: str | None

    def open(self) -> AbstractAsyncContextManager[Control]:
        """The control plane in this process."""
        return open_control(self.folder, ADMIN_TOKEN, database_url=self.database_url)


async def new_database(server: StoreServer, name: str) -> str:
    """The URL of an empty database of this name."""
    url = server.url(server.port)
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()
    return url.rpartition("/")[0] + f"/{name}"


async def people(control: Control, nodes: int, calls_each: int) -> list[Node]:
    """Budgets in a tree of three, and that many nodes with leases of every team and a journal to ship."""
    teams = [(f"team_{d}{t}", f"dep_{d}") for d in range(_DEPARTMENTS) for t in range(_TEAMS_EACH)]
    scopes = [("organization", "org_default", None, len(teams))]
    scopes += [("department", f"dep_{d}", "organization:org_default", _TEAMS_EACH) for d in range(_DEPARTMENTS)]
    scopes += [("team", team, f"department:{department}", 1) for team, department in teams]
    for scope, scope_id, parent, shares in scopes:
        await allocate(control, _ADMIN, Allocation(scope, scope_id, shares * _TEAM_NANOS, parent=parent))  # type: ignore[arg-type]
    begin_ns = time.time_ns() - calls_each * CALL_EVERY_NS  # all nodes were busy at the same time, until now
    return [
        await _node(control, f"node_{number}", teams, calls_each, number, begin_ns) for number in range(1, nodes + 1)
    ]


async def _node(
    control: Control, node_id: str, teams: list[tuple[str, str]], calls: int, seed: int, begin_ns: int
) -> Node:
    registration = Registration(node_id, "bench", "1", ("openai", "azure"), True, _THRESHOLDS, (), ())
    token = (await register(control, registration)).node_token
    terms = await terms_of(control, node_id)
    leases = []
    for team, department in teams:
        lease_id, grants = f"lse_{node_id}_{team}", []
        for number in range(_GRANTS):
            grant_id = f"grt_{node_id}_{team}_{number}"
            asked = GrantRequest(grant_id, lease_id, team, _GRANT_NANOS, _GRANT_NANOS)
            grants.append((grant_id, (await grant(control.store, control.tools, terms, asked)).granted_nanos))
        leases.append(Lease(lease_id, team, department, tuple(grants)))
    return Node(token, terms, make_journal(node_id, leases, calls, seed, begin_ns))


async def check_books(control: Control, nodes: list[Node]) -> None:
    """Raises BooksWrong unless every event is there and the organization was charged for all of them, to the nano-dollar."""
    events = sum(node.journal.events for node in nodes)
    cost = sum(node.journal.cost_nanos for node in nodes)
    async with control.store.read() as books:
        (cell,) = await books.events.sums(Selection(), (), None, 1)
        wallet = await books.wallets.find("organization", "org_default")
        assert wallet is not None
        accounts = await read_accounts(books.wallets, wallet, control.tools.now(), ())
    spent = accounts.periods[0].spent
    # Calls that were blocked are counted apart.
    found = cell.totals.count + cell.totals.blocked
    if (found, cell.totals.cost_nanos, spent) != (events, cost, cost):
        raise BooksWrong(
            f"{found} events of {events}, {cell.totals.cost_nanos} nano-USD in events and {spent} in the wallet of {cost}"
        )
