"""F9: the answer to a commit is lost. Nobody knows whether it happened, so the node asks again with the same id."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from keeptrusts.control.context import Tools
from keeptrusts.control.retrying import idempotent
from keeptrusts.core.ledger.records import CloseLease, Return
from keeptrusts.core.ledger.wallet import Wallet
from keeptrusts.store.contracts import LedgerStore, StoreAway
from tests.control.funds import account, fund
from tests.hand_clock import HandClock
from tests.ledger_node import LedgerNode
from tests.soak.checker import check, close_books
from tests.soak.fault_proxy import HEALTHY, Fault, FaultProxy
from tests.soak.ledgers import behind_a_proxy, is_commit, ledger
from tests.soak.load import Load
from tests.soak.scenario import Ground, Scenario
from tests.soak.site import Shape, running_site
from tests.soak.trial import Trial

T = TypeVar("T")

STROKES = 500
"""Ambiguous outcomes per trial."""

NODES = 4
BUDGET_NANOS = 400_000
COST_NANOS = 100
CANCEL_WITHIN_S = 0.004
COMMIT_CUT = 0.15
TRIES_MAX = 60
START = datetime(2026, 4, 15, 9, 30, tzinfo=UTC)


@dataclass
class Ambiguity:
    """The road between a node and the store: answers get lost on it, and whoever waits may go away in the middle."""

    draw: random.Random
    strokes: int = 0
    wrong: list[str] = field(default_factory=list)

    async def until_answered(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Asks until an answer is heard; what was answered unheard must be answered alike."""
        unheard: list[T] = []
        for _ in range(TRIES_MAX):
            fate = self.draw.random()
            try:
                if fate < 0.2:
                    unheard.append(await idempotent(ask))
                    self.strokes += 1
                    continue
                if fate < 0.4 and not await self._cancelled(ask):
                    continue
                return await idempotent(ask)
            except StoreAway:
                continue
        raise AssertionError(f"no answer in {TRIES_MAX} tries")

    async def _cancelled(self, ask: Callable[[], Awaitable[T]]) -> bool:
        """Breaks the question off at a random moment; True when it was over by then. It is repeated either way."""
        task = asyncio.ensure_future(idempotent(ask))
        done, _ = await asyncio.wait([task], timeout=self.draw.random() * CANCEL_WITHIN_S)
        if done:
            task.exception()
            return True
        task.cancel()
        self.strokes += 1
        await asyncio.wait([task])
        return False


@dataclass
class Spender:
    """An honest node: what it was granted it spends, returns and closes, and it counts for itself."""

    node: LedgerNode
    road: Ambiguity
    team: str
    free: int = 0
    spent: int = 0
    calls: list[str] = field(default_factory=list)
    leases: int = 0
    lease_open: bool = False

    @property
    def lease_id(self) -> str:
        return f"lse_{self.node.terms.node_id}_{self.leases}"

    async def spend(self, strokes: int) -> None:
        while self.road.strokes < strokes:
            await self.step(self.road.draw.random())
        if self.lease_open:
            await self.close()

    async def step(self, what: float) -> None:
        if not self.lease_open:
            self.leases, self.lease_open = self.leases + 1, True
        if self.free < COST_NANOS or what < 0.2:
            await self.ask()
        elif what < 0.85:
            await self.settle()
        elif what < 0.93:
            back = self.road.draw.randint(1, self.free)
            self.free -= back
            self.node.write(Return(self.lease_id, back))
            await self.ship()
        else:
            await self.close()

    async def ask(self) -> None:
        grant_id = f"grt_{self.node.terms.node_id}_{self.road.draw.getrandbits(60):x}"
        need = self.road.draw.randint(COST_NANOS, 20 * COST_NANOS)
        answer = await self.road.until_answered(
            lambda: self.node.ask(self.lease_id, need, team=self.team, grant_id=grant_id)
        )
        self.free += answer.granted_nanos
        if not answer.granted_nanos and self.free < COST_NANOS:
            await self.close()

    async def settle(self) -> None:
        cost = self.road.draw.randint(1, COST_NANOS)
        call_id = f"evt_{self.node.terms.node_id}_{len(self.calls)}"
        self.free -= cost
        self.spent += cost
        self.calls.append(call_id)
        self.node.write_call(call_id, self.lease_id, cost, team=self.team)
        await self.ship()

    async def ship(self) -> None:
        """The same groups again and again, until their arrival is confirmed."""
        groups = self.node.groups[self.node.shipped :]
        await self.road.until_answered(lambda: self.node.ship_groups(groups))
        self.node.shipped += len(groups)

    async def close(self) -> None:
        self.lease_open, self.free = False, 0
        self.node.write(CloseLease(self.lease_id, self.team))
        await self.ship()


def ambiguous_commits(ground: Ground) -> Iterator[Trial]:
    """Grants and batches in one process with the real control plane and store; on PostgreSQL COMMITs themselves are cut."""
    for number in range(-(-ground.trials // STROKES)):
        directory = ground.directory / str(number)
        directory.mkdir(parents=True)
        yield asyncio.run(_trial(ground, number, directory))


async def _trial(ground: Ground, number: int, directory: Path) -> Trial:
    async with AsyncExitStack() as stack:
        proxy: FaultProxy | None = None
        if ground.engine == "postgres":
            store, proxy = await stack.enter_async_context(behind_a_proxy(ground.draw.getrandbits(32)))
        else:
            store = await stack.enter_async_context(ledger(ground.engine, directory))
        road = Ambiguity(random.Random(ground.draw.getrandbits(32)))
        tools = Tools(HandClock(START))
        team = f"team_{number}"
        wallet = await fund(store, team, monthly=BUDGET_NANOS)
        if proxy is not None:
            proxy.set(Fault(cut_answer=COMMIT_CUT, telling=is_commit))
        spenders = [Spender(LedgerNode(store, tools, f"nod_{n}"), road, team) for n in range(NODES)]
        await asyncio.gather(*(spender.spend(min(STROKES, ground.trials)) for spender in spenders))
        if proxy is not None:
            proxy.set(HEALTHY)
        return await _books(store, wallet, spenders, road.strokes + (proxy.cuts if proxy is not None else 0))


async def _books(store: LedgerStore, wallet: Wallet, spenders: list[Spender], strokes: int) -> Trial:
    calls = [call for spender in spenders for call in spender.calls]
    spent = sum(spender.spent for spender in spenders)
    after = await account(store, wallet, "monthly", START)
    async with store.ledger() as books:
        known = await books.events.known(calls)
        entries = await books.entries.latest(wallet.wallet_id, None, 0, 2**62, 10**6)
    settled = [line.entry.event_id for line in entries if line.entry.event_id is not None]
    problems = []
    if after.posted != spent:
        problems.append(f"{after.posted} nano-USD are posted, the nodes spent {spent}")
    if after.suspense or after.overrun or after.unleased:
        problems.append(f"suspense {after.suspense}, overrun {after.overrun}, unleased {after.unleased}")
    return Trial(
        count=strokes,
        calls=len(calls),
        overspend_nanos=max(0, spent - BUDGET_NANOS),
        rows_lost=len(set(calls) - known),
        rows_doubled=len(settled) - len(set(settled)),
        holds_left_nanos=after.leased,
        problems=tuple(problems),
    )


def link_cut(ground: Ground) -> Iterator[Trial]:
    """Between real processes: requests for money and batches reach the API, their answers are cut off with a reset."""
    yield from _cut_in("link", ground, Fault(cut_answer=0.3, telling=_asks_for_money_or_ships))


def store_cut(ground: Ground) -> Iterator[Trial]:
    """Between the API and PostgreSQL: COMMITs arrive, their answers do not."""
    yield from _cut_in("store", ground, Fault(cut_answer=0.1, telling=is_commit))


def _asks_for_money_or_ships(data: bytes) -> bool:
    return data.startswith((b"POST /v1/gateway/leases", b"POST /v1/gateway/batches"))


def _cut_in(wire: str, ground: Ground, fault: Fault) -> Iterator[Trial]:
    shape = Shape(ground.engine, ground.nodes, frozenset({wire}), seed=ground.draw.getrandbits(32))
    with running_site(ground.directory, shape) as site:
        proxy = site.proxies[wire]
        done = 0
        while done < ground.trials:
            team = site.account(17_100 * ground.draw.choice((40, 150)))
            before = proxy.cuts
            proxy.set(fault)
            with Load(site, team, callers=12, calls_max=250, seed=ground.draw.getrandbits(32)) as load:
                while not load.done and proxy.cuts - before < min(8, ground.trials - done):
                    load.wait_served(0)
            proxy.set(HEALTHY)
            trial = check(site, team, count=max(1, proxy.cuts - before))
            done += trial.count
            yield trial
        yield close_books(site)


SCENARIOS = (
    Scenario("F9", "ambiguous commit", ambiguous_commits, full=10_000, small=500, nodes=(0,)),
    Scenario("F9", "answers cut between gateway and API", link_cut, full=30, small=4),
    Scenario("F9", "answers cut between API and PostgreSQL", store_cut, full=30, small=4, engines=("postgres",)),
)
