"""Any interleaving of calls, grants, lost answers, recalls, ended periods and outages, on two nodes of one wallet.

Nothing sleeps: time is the test's own, and questions to the store travel only when the test lets them.
"""

import math

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule

from keeptrusts.core.refusal import Reason, Refused
from tests.gateway.counter import TEAM, WAIT_S, Call, Counter, change
from tests.gateway.fake_control import FakeControl
from tests.gateway.hand_loop import HandLoop

amounts = st.integers(1, 60)
nodes = st.integers(0, 1)


class Money(RuleBasedStateMachine):
    """Two nodes spend one wallet."""

    calls: Bundle[tuple[int, Call]] = Bundle("calls")

    def __init__(self) -> None:
        super().__init__()
        self.loop = HandLoop()
        self.control = FakeControl()
        self.control.live_nodes = 2
        self.control.allocate(TEAM, 200)
        self.counters = [Counter(self.loop, self.control, f"nod_{n}") for n in (1, 2)]
        self.made: list[tuple[int, Call]] = []
        self.told_freed = 0
        self.told_called = 0
        self.overbilled = False
        self.lowered = False

    # Calls

    @rule(target=calls, node=nodes, hold=amounts, tightened=st.none() | amounts)
    def call(self, node: int, hold: int, tightened: int | None) -> tuple[int, Call]:
        made = (node, self.counters[node].call(hold, tightened))
        self.made.append(made)
        return made

    @rule(node=nodes, hold=amounts, count=st.integers(2, 6))
    def crowd(self, node: int, hold: int, count: int) -> None:
        for _ in range(count):
            self.made.append((node, self.counters[node].call(hold)))

    @rule(which=st.integers(0, 10_000), share=st.sampled_from((0.0, 0.3, 1.0)))
    def settle(self, which: int, share: float) -> None:
        holding = self.holding()
        if holding:
            node, call = holding[which % len(holding)]
            self.counters[node].settle(call, math.floor(call.hold * share))

    @rule(which=st.integers(0, 10_000), more=st.integers(1, 30))
    def settle_above_the_hold(self, which: int, more: int) -> None:
        """A provider that bills more than the bound: the ledger takes it as it is."""
        holding = self.holding()
        if holding:
            self.overbilled = True
            node, call = holding[which % len(holding)]
            self.counters[node].settle(call, call.hold + more)

    @rule(call=consumes(calls))
    def cancel(self, call: tuple[int, Call]) -> None:
        if call[1].waits:
            assert call[1].task is not None
            call[1].task.cancel()
            self.loop.turn()

    # The store

    @rule(node=nodes)
    def question_arrives(self, node: int) -> None:
        link = self.counters[node].link
        if link.questions and link.questions[0].granted is None:
            link.arrive()

    @rule(node=nodes)
    def answer_arrives(self, node: int) -> None:
        link = self.counters[node].link
        if link.questions:
            link.answer()
            self.loop.turn()

    @rule(node=nodes)
    def connection_breaks(self, node: int) -> None:
        link = self.counters[node].link
        if link.questions:
            link.lose()
            self.loop.turn()

    @rule(node=nodes)
    def ship(self, node: int) -> None:
        self.counters[node].ship()

    @rule()
    def unplug(self) -> None:
        self.control.down = not self.control.down

    @rule(budget=st.integers(0, 400))
    def allocate(self, budget: int) -> None:
        self.lowered = self.lowered or budget < self.control.periods[TEAM].budget
        lower = budget < self.control.periods[TEAM].budget
        self.control.allocate(TEAM, budget)
        for counter in self.counters:
            counter.do(counter.treasury.wallet_changed, change(lower))

    @rule()
    def news(self) -> None:
        """What the store wants the nodes to know reaches them."""
        if len(self.control.called_back) > self.told_called or len(self.control.freed) > self.told_freed:
            recall = len(self.control.called_back) > self.told_called
            self.told_called, self.told_freed = len(self.control.called_back), len(self.control.freed)
            for counter in self.counters:
                counter.do(counter.treasury.wallet_changed, change(recall))

    @rule(node=nodes)
    def idle(self, node: int) -> None:
        self.counters[node].do(self.counters[node].treasury.return_idle)

    @precondition(lambda self: len(self.control.past) < 3)
    @rule()
    def period_ends(self) -> None:
        self.control.next_period(TEAM)

    @rule(by_s=st.sampled_from((0.1, 0.3, 1.0, 2.5)))
    def time_passes(self, by_s: float) -> None:
        self.loop.advance(by_s)

    # What always holds

    def holding(self) -> list[tuple[int, Call]]:
        for node, call in self.made:
            self.counters[node].look(call)
        return [(node, call) for node, call in self.made if call.lease is not None]

    @invariant()
    def leases_balance(self) -> None:
        for counter in self.counters:
            for lease in counter.purse.open_leases():
                assert lease.free + lease.held + lease.settled + lease.returned == lease.granted
                assert lease.held >= 0
                assert lease.free >= 0 or self.overbilled

    @invariant()
    def holds_are_those_of_the_calls_in_flight(self) -> None:
        holding = self.holding()
        for node, counter in enumerate(self.counters):
            mine = [call for at, call in holding if at == node]
            assert counter.account.in_flight == len(mine)
            assert sum(counter.purse.held_nanos().values()) == sum(call.hold for call in mine)

    @invariant()
    def nobody_waits_for_money_that_is_there(self) -> None:
        for counter in self.counters:
            account = counter.account
            if account.waiters and account.lease is not None:
                assert account.waiters[0].hold_nanos > account.lease.free

    @invariant()
    def one_question_at_a_time(self) -> None:
        for counter in self.counters:
            assert len(counter.link.questions) <= 1
            assert counter.account.asking == bool(counter.link.questions)

    @invariant()
    def nothing_breaks(self) -> None:
        assert self.loop.broken == []

    @invariant()
    def the_budget_holds(self) -> None:
        for period in [*self.control.past, self.control.periods[TEAM]]:
            assert period.leased >= 0
            if not (self.lowered or self.overbilled):
                assert period.spent + period.leased <= period.budget

    def teardown(self) -> None:
        try:
            self.everything_ends()
        finally:
            self.loop.close()

    def everything_ends(self) -> None:
        """When all calls have ended and the nodes have stopped, nothing is held, and the books show every cost."""
        self.control.down = False
        for counter in self.counters:
            counter.link.prompt = True
            while counter.link.questions:
                counter.link.lose()
                self.loop.turn()
        self.loop.advance(WAIT_S + 1.0)
        for _, call in self.made:
            assert not call.waits, "a call waits for ever"
            if call.task is not None and not call.task.cancelled() and call.task.exception() is not None:
                refused = call.task.exception()
                assert isinstance(refused, Refused)
                assert refused.reason in (Reason.INSUFFICIENT_BALANCE, Reason.BUDGET_UNVERIFIABLE)
        for node, call in self.holding():
            self.counters[node].settle(call, call.hold)
        self.loop.advance(5.0)
        for counter in self.counters:
            counter.do(counter.treasury.return_all)
            counter.ship()
            assert counter.purse.open_leases() == []
            assert not counter.account.waiters
            assert counter.account.in_flight == 0
        periods = [*self.control.past, self.control.periods[TEAM]]
        assert sum(period.leased for period in periods) == 0
        assert sum(period.spent for period in periods) == sum(counter.costs for counter in self.counters)
        if not (self.lowered or self.overbilled):
            assert all(period.spent <= period.budget for period in periods)


Money.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestMoney = Money.TestCase
