"""Whatever nodes ask, spend, return and repeat, in whatever order: the sums hold, and all stores come to the same figures."""

import asyncio
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keeptrusts.control.context import Tools
from keeptrusts.core.ledger.records import CloseLease, Return
from keeptrusts.core.ledger.standing import PeriodKey, key_of
from keeptrusts.core.ledger.wallet import Wallet, WalletPeriod
from keeptrusts.core.periods import PeriodKind, period_at
from keeptrusts.store.contracts import LedgerStore
from tests.control.funds import fund, set_budget
from tests.hand_clock import HandClock
from tests.ledger_node import LedgerNode
from tests.store.ledgers import LEDGERS

KINDS: tuple[PeriodKind, ...] = ("monthly", "daily")
NODES = ("node_1", "node_2")

nodes = st.sampled_from(NODES)
leases = st.integers(0, 3)
amounts = st.integers(1, 400)
STEPS = st.one_of(
    st.tuples(st.just("ask"), nodes, leases, amounts),
    st.tuples(st.just("ask"), nodes, leases, amounts),
    st.tuples(st.just("settle"), nodes, leases, amounts),
    st.tuples(st.just("settle"), nodes, leases, amounts),
    st.tuples(st.just("return"), nodes, leases, amounts),
    st.tuples(st.just("close"), nodes, leases, st.integers(0, 1)),
    st.tuples(st.just("allocate"), st.sampled_from(KINDS), st.just(0), st.integers(0, 1_000)),
    st.tuples(st.just("turn"), nodes, st.just(0), st.integers(1, 40)),
    st.tuples(st.just("repeat"), nodes, st.just(0), st.just(0)),
)


@dataclass
class Purse:
    """What an honest node knows of one lease: it never spends what it does not have."""

    free: int = 0
    open: bool = True


@dataclass
class World:
    """Both nodes, one wallet, and everything that was ever opened."""

    store: LedgerStore
    clock: HandClock
    wallet: Wallet
    nodes: dict[str, LedgerNode]
    purses: dict[str, Purse] = field(default_factory=dict)
    keys: set[PeriodKey] = field(default_factory=set)
    calls: int = 0
    posted: int = 0

    @property
    def now(self) -> datetime:
        return self.nodes["node_1"].tools.now()

    async def step(self, what: str, who: str, number: int, amount: int) -> None:
        if what == "allocate":
            await set_budget(self.store, self.wallet, who, amount, self.now)  # type: ignore[arg-type]
        elif what == "turn":
            self.clock.turn(timedelta(hours=amount))
        else:
            await self._act(what, self.nodes[who], f"lse_{who}_{number}", amount)
        for kind in KINDS:
            period = period_at(kind, self.now)
            self.keys.add(PeriodKey(self.wallet.wallet_id, kind, period.start))

    async def _act(self, what: str, node: LedgerNode, lease_id: str, amount: int) -> None:
        purse = self.purses.setdefault(lease_id, Purse())
        if what == "ask":
            granted = (await node.ask(lease_id, need=amount, want=amount * 2)).granted_nanos
            assert purse.open or granted == 0
            purse.free += granted
            if granted:
                await self._never_over_the_limit()
        elif what == "settle" and purse.open and purse.free:
            cost = min(amount, purse.free)
            self.calls += 1
            purse.free -= cost
            self.posted += cost
            await node.settle(f"evt_{self.calls}", lease_id, cost)
        elif what == "return" and purse.open and purse.free:
            back = min(amount, purse.free)
            purse.free -= back
            node.write(Return(lease_id, back))
            await node.ship()
        elif what == "close" and purse.open:
            purse.open, purse.free = False, 0
            node.write(CloseLease(lease_id, "team_a", to_suspense=bool(amount)))
            await node.ship()
        elif what == "repeat" and node.groups:
            await node.ship_groups(node.groups)

    async def _never_over_the_limit(self) -> None:
        """L2: a grant that was given fits every current budget."""
        async with self.store.ledger() as ledger:
            for kind in await ledger.wallets.budgets(self.wallet.wallet_id):
                found = await ledger.wallets.period(
                    PeriodKey(self.wallet.wallet_id, kind, period_at(kind, self.now).start)
                )
                assert found is not None
                assert found.available >= 0

    async def check(self) -> list[WalletPeriod]:
        """L1 on every account; returns all of them."""
        async with self.store.ledger() as ledger:
            books = [b for name in sorted(self.purses) if (b := await ledger.leases.find(name)) is not None]
            lines = {book.lease_id: await ledger.leases.lines(book.lease_id) for book in books}
            found = [p for key in sorted(self.keys) if (p := await ledger.wallets.period(key)) is not None]
        for book in books:
            assert book.remainder == self.purses[book.lease_id].free, "store and node agree on what a lease still has"
        for account in found:
            debiting = [book for book in books if key_of(account) in lines[book.lease_id]]
            assert account.leased == sum(book.remainder for book in debiting)
            assert account.posted == sum(book.settled for book in debiting)
            assert account.overrun == account.unleased == 0
            assert account.suspense <= sum(book.returned for book in debiting)
        monthly = [account for account in found if account.kind == "monthly"]
        assert sum(account.posted for account in monthly) == self.posted, "nothing is lost and nothing is counted twice"
        return found

    async def close_everything(self) -> None:
        for lease_id, purse in self.purses.items():
            if purse.open:
                purse.open, purse.free = False, 0
                node = self.nodes[lease_id.removeprefix("lse_").rpartition("_")[0]]
                node.write(CloseLease(lease_id, "team_a"))
                await node.ship()


async def play(kind: str, steps: list[tuple[str, str, int, int]], directory: Path) -> list[WalletPeriod]:
    async with LEDGERS[kind](directory) as store:
        clock = HandClock(datetime(2026, 4, 28, 20, 0, tzinfo=UTC))
        tools = Tools(clock)
        wallet = await fund(store, monthly=800)
        world = World(store, clock, wallet, {name: LedgerNode(store, tools, name) for name in NODES})
        for step in steps:
            await world.step(*step)
        await world.check()
        await world.close_everything()
        rest = await world.check()
        assert all(account.leased == 0 for account in rest), "L12: when traffic stops, leases drain to zero"
        return rest


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEPS, max_size=30))
def test_the_sums_hold_and_all_stores_agree(steps: list[tuple[str, str, int, int]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        found = [asyncio.run(play(kind, steps, Path(directory))) for kind in LEDGERS]
    assert all(figures == found[0] for figures in found)
