"""Whatever operators and nodes do, in whatever order: every account says what a ledger of fifty lines says."""

import asyncio
import tempfile
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from keeptrusts.clock import instant_at_ms, unix_ms
from keeptrusts.control import wallet_moves, wallet_states, wallets
from keeptrusts.control.context import Actor
from keeptrusts.control.denial import Denial
from keeptrusts.control.opening import open_control
from keeptrusts.control.wallets import Allocation
from keeptrusts.core.ledger.records import CloseLease, Return
from keeptrusts.core.ledger.standing import PeriodKey
from keeptrusts.core.ledger.wallet import WalletPeriod
from keeptrusts.core.periods import period_at
from tests.control.tiny_ledger import Account, TinyLedger
from tests.hand_clock import HandClock
from tests.ledger_node import LedgerNode
from tests.store.real_postgres import ledger_database

ADMIN = Actor("admin", "admin")
DEPARTMENT, PROJECT = "department:eng", "project:search"
TEAMS = ("team:team_a", "team:team_b")
WALLETS = (DEPARTMENT, PROJECT, *TEAMS)
KINDS: dict[str, tuple[Any, ...]] = {
    DEPARTMENT: ("monthly",),
    PROJECT: ("weekly",),
    "team:team_a": ("daily", "monthly"),
    "team:team_b": ("monthly",),
}
NODES = ("node_1", "node_2")
ALSO = {"team:team_a": (PROJECT,), "team:team_b": ()}
"""The calls of team A that are counted here are those of a project which has a budget of its own."""

T = TypeVar("T")

amounts = st.integers(1, 400)
teams, nodes, numbers = st.sampled_from(TEAMS), st.sampled_from(NODES), st.integers(0, 3)


class Ledger(RuleBasedStateMachine):
    """The control plane, two nodes of it, and the model."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.directory = tempfile.TemporaryDirectory()
        self.stack = AsyncExitStack()
        self.clock = HandClock(datetime(2026, 4, 28, 20, 0, tzinfo=UTC))
        self.model = TinyLedger()
        self.frozen: set[str] = set()
        self.calls = 0

    def do(self, work: Awaitable[T]) -> T:
        async def wait() -> T:
            return await work

        return self.runner.run(wait())

    def database_url(self) -> str | None:
        """Of the ledger's database; None: it is in the directory."""
        return None

    @initialize()
    def begin(self) -> None:
        opening = open_control(Path(self.directory.name), "token", self.clock, self.database_url())
        self.control = self.do(self.stack.enter_async_context(opening))
        self.nodes = {name: LedgerNode(self.control.store, self.control.tools, name) for name in NODES}
        for name, amount in ((DEPARTMENT, 2_000), ("team:team_a", 900), ("team:team_b", 800), (PROJECT, 1_000)):
            for kind in KINDS[name]:
                self.allocate(name, amount, kind)

    # Operators

    def allocate(self, name: str, amount: int, kind: Any) -> None:
        scope, _, scope_id = name.partition(":")
        parent = DEPARTMENT if name in TEAMS else None
        asked = Allocation(scope, scope_id, amount, kind, parent=parent)  # type: ignore[arg-type]
        try:
            self.do(wallets.allocate(self.control, ADMIN, asked))
        except Denial:
            return
        for each in KINDS[name]:
            if (name, each) in self.model.standing:
                self.model.open(self.account(name, each))
        self.model.standing[name, kind] = amount
        self.model.open(self.account(name, kind)).budget = amount

    @rule(name=st.sampled_from(WALLETS), amount=st.integers(0, 2_000), which=numbers)
    def allocates(self, name: str, amount: int, which: int) -> None:
        self.allocate(name, amount, KINDS[name][which % len(KINDS[name])])

    @rule(team=teams, amount=amounts)
    def credits(self, team: str, amount: int) -> None:
        self.moves({team: amount}, wallet_moves.credit(self.control, ADMIN, team, amount, "monthly", None))

    @rule(giving=st.sampled_from((DEPARTMENT, *TEAMS)), taking=teams, amount=amounts)
    def transfers(self, giving: str, taking: str, amount: int) -> None:
        # What a parent gives its child stays in the parent's own budget.
        by = {taking: amount} if giving == DEPARTMENT else {giving: -amount, taking: amount}
        self.moves(by, wallet_moves.transfer(self.control, ADMIN, giving, taking, amount, "monthly", None))

    @rule(team=teams, amount=amounts)
    def reclaims(self, team: str, amount: int) -> None:
        self.moves({team: -amount}, wallet_moves.reclaim(self.control, ADMIN, team, amount, "monthly", None))

    def moves(self, by: dict[str, int], work: Awaitable[object]) -> None:
        try:
            self.do(work)
        except Denial:
            return
        for name, amount in by.items():
            self.model.open(self.account(name, "monthly")).budget += amount

    @rule(name=st.sampled_from(WALLETS), frozen=st.booleans())
    def freezes(self, name: str, frozen: bool) -> None:
        self.do(wallet_states.set_state(self.control, ADMIN, name, "frozen" if frozen else "active"))
        (self.frozen.add if frozen else self.frozen.discard)(name)

    @rule(hours=st.integers(1, 60))
    def time_passes(self, hours: int) -> None:
        self.clock.turn(timedelta(hours=hours))

    # Nodes

    def lease_id(self, node: str, team: str, number: int) -> str:
        return f"lse_{node}_{team}_{number}"

    @rule(node=nodes, team=teams, number=numbers, need=amounts)
    def asks(self, node: str, team: str, number: int, need: int) -> None:
        lease_id = self.lease_id(node, team, number)
        way = [name for name in (DEPARTMENT, *ALSO[team], team) if name]
        lines = [self.account(name, kind) for name in way for kind in KINDS[name]]
        asked = self.nodes[node].ask(lease_id, need, need * 2, team.removeprefix("team:"), also=ALSO[team])
        nanos = self.do(asked).granted_nanos
        before = self.model.leases.get(lease_id)
        if not nanos:
            return
        assert not self.frozen.intersection(way), "a frozen wallet pays for nothing"
        assert before is None or (before.open and before.lines == lines), (
            "a lease stays in the periods that it began in"
        )
        for line in lines:
            self.model.open(line)
        self.model.grant(lease_id, lines, nanos)
        for line in lines:
            assert self.model.accounts[line].used <= self.model.accounts[line].budget, "L2"

    def one_of_the_open(self, which: int) -> tuple[str, LedgerNode, str, int] | None:
        """An open lease with money: its id, its node, its team, and what is left of it."""
        found = [lease_id for lease_id, lease in sorted(self.model.leases.items()) if lease.open and lease.left]
        if not found:
            return None
        lease_id = found[which % len(found)]
        node = next(name for name in NODES if lease_id.startswith(f"lse_{name}_"))
        team = next(team for team in TEAMS if f"_{team}_" in lease_id)
        return lease_id, self.nodes[node], team.removeprefix("team:"), self.model.leases[lease_id].left

    @rule(which=numbers, cost=amounts)
    def settles(self, which: int, cost: int) -> None:
        if (found := self.one_of_the_open(which)) is not None:
            lease_id, node, team, left = found
            self.calls += 1
            self.do(node.settle(f"evt_{self.calls}", lease_id, min(cost, left), team=team))
            self.model.settle(lease_id, min(cost, left))

    @rule(which=numbers, amount=amounts)
    def gives_back(self, which: int, amount: int) -> None:
        if (found := self.one_of_the_open(which)) is not None:
            lease_id, node, _, left = found
            node.write(Return(lease_id, min(amount, left)))
            self.do(node.ship())
            self.model.give_back(lease_id, min(amount, left))

    @rule(which=numbers, to_suspense=st.booleans())
    def closes(self, which: int, to_suspense: bool) -> None:
        if (found := self.one_of_the_open(which)) is not None:
            lease_id, node, team, _ = found
            node.write(CloseLease(lease_id, team, to_suspense))
            self.do(node.ship())
            self.model.close(lease_id, to_suspense)

    @rule(node=nodes, since=st.integers(0, 5))
    def ships_again(self, node: str, since: int) -> None:
        if groups := self.nodes[node].groups[-since:]:
            self.do(self.nodes[node].ship_groups(groups))

    # What always holds

    def account(self, name: str, kind: Any) -> Account:
        now = self.control.tools.now()
        return name, kind, unix_ms(period_at(kind, now).start)

    @invariant()
    def every_account_says_what_the_model_says(self) -> None:
        if not hasattr(self, "control"):
            return
        for account, found in self.do(self.stored()).items():
            sums = self.model.accounts[account]
            assert found is not None, f"{account} is not there"
            told = (found.budget, found.posted, found.leased, found.suspense)
            assert told == (sums.budget, sums.posted, sums.leased, sums.suspense), account
            assert (found.overrun, found.unleased, found.approved, found.carried, found.carried_out) == (0, 0, 0, 0, 0)

    async def stored(self) -> dict[Account, WalletPeriod | None]:
        async with self.control.store.read() as books:
            ids = {wallet.name: wallet.wallet_id for wallet in await books.wallets.every()}
            return {
                (name, kind, start): await books.wallets.period(PeriodKey(ids[name], kind, instant_at_ms(start)))  # type: ignore[arg-type]
                for name, kind, start in self.model.accounts
            }

    def teardown(self) -> None:
        if hasattr(self, "control"):
            self.do(self.stack.aclose())
        self.runner.close()
        self.directory.cleanup()


Ledger.TestCase.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestLedger = Ledger.TestCase


class LedgerOnPostgres(Ledger):
    """The same on PostgreSQL."""

    def database_url(self) -> str | None:
        return self.do(self.stack.enter_async_context(ledger_database()))


LedgerOnPostgres.TestCase.settings = settings(Ledger.TestCase.settings, max_examples=10)
TestLedgerOnPostgres = LedgerOnPostgres.TestCase
