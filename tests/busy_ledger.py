"""A ledger that is used as it is meant to be: people move budgets about, nodes lease, spend and give back, calls go every way."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from hypothesis import strategies as st

from keeptrusts.control import tickets
from keeptrusts.control.context import Actor, Control
from keeptrusts.control.denial import Denial
from keeptrusts.control.nodes import register
from keeptrusts.control.opening import open_control
from keeptrusts.control.prices import post
from keeptrusts.control.wallet_moves import credit, reclaim, transfer
from keeptrusts.control.wallets import Allocation, allocate
from keeptrusts.core.calls.usage import NO_USAGE, Usage, UsageSource
from keeptrusts.core.identity.attribution import Attribution
from keeptrusts.core.ledger.records import Attempt, Close, CloseLease, Return
from keeptrusts.core.ledger.ticket import TicketRequest
from keeptrusts.core.link import Registration
from keeptrusts.core.pricing.price import Price, Rates
from tests.hand_clock import HandClock
from tests.ledger_node import LedgerNode, attempt, event

ADMIN = Actor("admin", "admin")
START = datetime(2026, 4, 27, 20, 0, tzinfo=UTC)
NODES = ("node_1", "node_2")
SPENDERS = (("team_a", ()), ("team_a", ("project:search",)), ("team_b", ("key:tok_1",)))
NAMES = ("organization:org_default", "department:eng", "team:team_a", "team:team_b", "project:search", "key:tok_1")
ENDINGS = ("settled", "settled", "settled", "counted", "indeterminate", "void", "retried", "blocked", "unheld")

amounts = st.integers(1, 400)
STEPS = st.one_of(
    *[st.tuples(st.just("ask"), st.sampled_from(NODES), st.integers(0, 2), amounts)] * 3,
    *[st.tuples(st.just("call"), st.sampled_from(NODES), st.integers(0, 2), amounts)] * 4,
    st.tuples(st.just("ticket"), st.sampled_from(NODES), st.integers(0, 2), amounts),
    st.tuples(st.just("return"), st.sampled_from(NODES), st.integers(0, 2), amounts),
    st.tuples(st.just("close"), st.sampled_from(NODES), st.integers(0, 2), st.integers(0, 1)),
    st.tuples(st.just("repeat"), st.sampled_from(NODES), st.just(0), st.just(0)),
    st.tuples(st.just("double"), st.sampled_from(NODES), st.just(0), st.just(0)),
    st.tuples(st.just("allocate"), st.sampled_from(NAMES), st.integers(0, 2), st.integers(0, 3_000)),
    st.tuples(st.just("credit"), st.sampled_from(NAMES), st.just(0), amounts),
    st.tuples(st.just("transfer"), st.sampled_from(NAMES), st.integers(0, 5), amounts),
    st.tuples(st.just("reclaim"), st.sampled_from(NAMES), st.just(0), amounts),
    st.tuples(st.just("turn"), st.just(""), st.just(0), st.integers(1, 60)),
)
Step = tuple[str, str, int, int]


@dataclass
class Purse:
    """What a node knows of one lease."""

    lease_id: str
    spender: int
    free: int = 0


@dataclass
class BusyLedger:
    """The books and everybody who works with them. Nobody cheats, and nobody is told more than in the product."""

    control: Control
    clock: HandClock
    price: Price
    nodes: dict[str, LedgerNode]
    purses: dict[tuple[str, int], Purse] = field(default_factory=dict)
    count: int = 0

    async def play(self, steps: list[Step]) -> None:
        for step in steps:
            await self.step(*step)

    async def step(self, what: str, who: str, number: int, amount: int) -> None:
        if what == "turn":
            self.clock.turn(timedelta(hours=amount))
        elif what in ("allocate", "credit", "transfer", "reclaim"):
            await self._people(what, who, number, amount)
        else:
            await self._node(what, self.nodes[who], number, amount)

    async def _people(self, what: str, who: str, number: int, amount: int) -> None:
        try:
            if what == "allocate":
                scope, _, scope_id = who.partition(":")
                kind = ("monthly", "monthly", "daily")[number]
                await allocate(self.control, ADMIN, Allocation(scope, scope_id, amount, kind))  # type: ignore[arg-type]
            elif what == "credit":
                await credit(self.control, ADMIN, who, amount, "monthly", None)
            elif what == "reclaim":
                await reclaim(self.control, ADMIN, who, amount, "monthly", None)
            else:
                await transfer(self.control, ADMIN, who, NAMES[number], amount, "monthly", None)
        except Denial:
            pass

    async def _node(self, what: str, node: LedgerNode, number: int, amount: int) -> None:
        key = (node.terms.node_id, number)
        purse = self.purses.get(key)
        if what == "ask":
            await self._ask(node, key, amount)
        elif what == "call":
            self.count += 1
            ending = ENDINGS[(amount + self.count) % len(ENDINGS)]
            if ending == "blocked" or (purse is not None and purse.free):
                await self._call(node, purse, ending, amount)
        elif what == "ticket" and purse is None:
            await self._held_call(node, key, amount)
        elif what == "return" and purse is not None and purse.free:
            back = min(amount, purse.free)
            purse.free -= back
            node.write(Return(purse.lease_id, back))
            await node.ship()
        elif what == "close" and purse is not None:
            del self.purses[key]
            node.write(CloseLease(purse.lease_id, SPENDERS[purse.spender][0], to_suspense=bool(amount)))
            await node.ship()
        elif what == "repeat" and node.groups:
            await node.ship_groups(node.groups)
        elif what == "double" and self.count:
            node.write(event(f"evt_{self.count}"), event(f"evt_{self.count}"))
            await node.ship()

    async def _ask(self, node: LedgerNode, key: tuple[str, int], amount: int) -> None:
        self.count += 1
        purse = self.purses.get(key) or Purse(f"lse_{key[0]}_{self.count}", key[1])
        team, also = SPENDERS[purse.spender]
        answer = await node.ask(purse.lease_id, need=amount, want=amount * 2, team=team, also=also)
        purse.free += answer.granted_nanos
        if answer.granted_nanos:
            self.purses[key] = purse

    async def _held_call(self, node: LedgerNode, key: tuple[str, int], amount: int) -> None:
        """A call that waits for an approver, who lets it through, with more money for the team or without."""
        self.count += 1
        purse = Purse(f"lse_{key[0]}_{self.count}", key[1])
        team, also = SPENDERS[purse.spender]
        asked = TicketRequest(
            f"tkt_{self.count}", purse.lease_id, team, also, amount, None, "a", "gpt-4o", f"evt_{self.count}", "r", None
        )
        await tickets.ask(self.control, node.terms, asked)
        more = amount if amount % 2 else 0
        with suppress(Denial):
            await tickets.decide(self.control, ADMIN, asked.ticket_id, approve=True, top_up_nanos=more, why=None)
        answer = await tickets.ask(self.control, node.terms, asked)
        if answer.status == "redeemed":
            purse.free = answer.granted_nanos
            self.purses[key] = purse

    async def _call(self, node: LedgerNode, purse: Purse | None, ending: str, amount: int) -> None:
        call_id, at_ns = f"evt_{self.count}", self.clock.unix_ns()
        if ending == "blocked" or purse is None:
            node.write(event(call_id, status="blocked", at_ns=at_ns))
            await node.ship()
            return
        team, also = SPENDERS[purse.spender]
        who = Attribution(team=team, project="search" if "project:search" in also else None)
        key_id = "tok_1" if "key:tok_1" in also else None
        lease_id = None if ending == "unheld" else purse.lease_id
        hold = min(amount, purse.free)
        tries: list[Attempt] = []
        if ending == "retried":
            tries.append(self.tried(lease_id, "void", hold, 1))
            node.write(Close(call_id, tries[0]))
            await node.ship()
            ending = "settled"
        tries.append(self.tried(lease_id, "settled" if ending == "unheld" else ending, hold, len(tries) + 1))
        purse.free -= 0 if lease_id is None else tries[-1].cost_nanos
        last = tries[-1]
        node.write(
            event(
                call_id,
                tuple(tries),
                team,
                at_ns,
                attribution=who,
                key_id=key_id,
                usage=last.usage,
                usage_source=last.usage_source,
                price_version=last.price_version,
            )
        )
        await node.ship()

    def tried(self, lease_id: str | None, ending: str, hold: int, number: int) -> Attempt:
        """An attempt that ended so; the answer has half as many tokens as were held, each costs one nano-USD."""
        usage, source, cost = Usage(input=9, output=hold // 2), UsageSource.PROVIDER, hold // 2
        if ending == "counted":
            usage, source, cost = Usage(output=hold + 5), UsageSource.COUNTED, hold
        elif ending == "indeterminate":
            usage, source, cost = NO_USAGE, UsageSource.WORST_CASE, hold
        elif ending == "void":
            usage, source, cost = NO_USAGE, UsageSource.NONE, 0
        outcome = "settled" if ending == "counted" else ending
        made = attempt(lease_id, cost, hold, outcome, number)
        held = hold if lease_id is not None else 0
        return msgspec.structs.replace(
            made, hold_nanos=held, usage=usage, usage_source=source, price_version=self.price.version
        )

    async def close_everything(self) -> None:
        """Traffic stops."""
        for (name, _), purse in self.purses.items():
            self.nodes[name].write(CloseLease(purse.lease_id, SPENDERS[purse.spender][0]))
            await self.nodes[name].ship()
        self.purses.clear()


@asynccontextmanager
async def busy_ledger(directory: Path, database_url: str | None = None) -> AsyncIterator[BusyLedger]:
    """A tree of wallets with money, two nodes, and a price of one nano-USD for each token of output."""
    clock = HandClock(START)
    async with open_control(directory, "the-admin-token", clock, database_url) as control:
        price = await post(control, ADMIN, Price("", "openai", "gpt-4o-mini", Rates(0, 1_000)), None)
        await allocate(control, ADMIN, Allocation("organization", "org_default", 20_000))
        await allocate(control, ADMIN, Allocation("department", "eng", 10_000, options={"carry_over": True}))
        await allocate(control, ADMIN, Allocation("team", "team_a", 4_000, parent="department:eng"))
        await allocate(control, ADMIN, Allocation("team", "team_b", 3_000, options={"fallback": "parent"}))
        await allocate(control, ADMIN, Allocation("project", "search", 1_000, parent="team:team_a"))
        await allocate(control, ADMIN, Allocation("key", "tok_1", 2_000))
        clock.turn(timedelta(minutes=2))
        for name in NODES:
            await register(control, Registration(name, "host", "1", ("openai",), True, (), (), ()))
        nodes = {name: LedgerNode(control.store, control.tools, name) for name in NODES}
        yield BusyLedger(control, clock, price, nodes)
