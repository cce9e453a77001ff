"""The node's money, one story at a time. ``test_treasury_properties.py`` looks for the stories that nobody thought of."""

from collections.abc import Iterator

import pytest

from keeptrusts.core.ledger.records import CloseLease, LeaseIntent, Return
from keeptrusts.core.refusal import Reason, Refused
from tests.gateway.counter import TEAM, Call, Counter, change
from tests.gateway.fake_control import FakeControl
from tests.gateway.hand_loop import HandLoop


@pytest.fixture
def loop() -> Iterator[HandLoop]:
    loop = HandLoop()
    yield loop
    loop.close()
    assert loop.broken == []


@pytest.fixture
def control() -> FakeControl:
    control = FakeControl()
    control.allocate(TEAM, 1_000)
    return control


@pytest.fixture
def counter(loop: HandLoop, control: FakeControl) -> Counter:
    return Counter(loop, control)


def answer(counter: Counter) -> None:
    """The store hears the question that is under way, and the node its answer."""
    counter.link.answer()
    counter.loop.turn()


def refused(call: Call) -> Refused:
    found = call.refusal()
    assert isinstance(found, Refused)
    return found


def funded(counter: Counter, hold: int = 10) -> Call:
    """The node's first call, served; the lease is there from then on."""
    call = counter.call(hold)
    answer(counter)
    counter.look(call)
    assert call.lease is not None
    return call


# Leases


def test_the_lease_is_journaled_before_it_is_asked_for(counter: Counter) -> None:
    counter.call(10)
    [intent] = counter.written(LeaseIntent)
    assert isinstance(intent, LeaseIntent)
    assert counter.link.questions[0].request.lease_id == intent.lease_id


def test_a_lease_that_the_journal_could_not_take_is_never_asked_for(counter: Counter) -> None:
    """Nobody could close it after a crash."""
    counter.journal.failure = "disk full"
    first = counter.call(10)
    assert refused(first).reason is Reason.JOURNAL_FAILED
    again = counter.call(10)
    assert refused(again).reason is Reason.JOURNAL_FAILED
    assert counter.link.questions == []
    assert counter.purse.open_leases() == []


def test_a_recalled_lease_returns_what_is_free_at_once_and_the_rest_call_by_call(
    counter: Counter, control: FakeControl
) -> None:
    """One long stream must not keep a whole lease from the other nodes."""
    calls = [funded(counter)] + [counter.call(10) for _ in range(2)]
    counter.do(counter.treasury.wallet_changed, change(True))
    counter.ship()
    assert control.leased(TEAM) == 30
    counter.settle(calls[0], 4)
    counter.ship()
    assert (control.leased(TEAM), control.spent(TEAM)) == (20, 4)
    counter.settle(calls[1], 10)
    counter.settle(calls[2], 0)
    counter.ship()
    assert (control.leased(TEAM), control.spent(TEAM)) == (0, 14)
    assert len(counter.written(CloseLease)) == 1


def test_money_of_a_drained_lease_is_not_spent_again(counter: Counter) -> None:
    call = funded(counter)
    old = call.lease
    counter.do(counter.treasury.wallet_changed, change(True))
    waiting = counter.call(10)
    counter.settle(call, 0)
    assert waiting.waits
    answer(counter)
    counter.look(waiting)
    assert waiting.lease is not None
    assert waiting.lease is not old


def test_a_grant_that_arrives_after_the_recall_goes_back_with_its_lease(counter: Counter, control: FakeControl) -> None:
    waiting = counter.call(10)
    counter.link.arrive()
    counter.do(counter.treasury.wallet_changed, change(True))
    counter.ship()
    assert control.leased(TEAM) == 0
    answer(counter)
    assert waiting.waits
    answer(counter)
    counter.look(waiting)
    assert waiting.lease is not None
    assert waiting.lease.granted == control.leased(TEAM)


def test_an_idle_lease_goes_back_and_a_touched_one_stays(counter: Counter, control: FakeControl) -> None:
    counter.settle(funded(counter), 3)
    counter.do(counter.treasury.return_idle)
    counter.ship()
    assert control.leased(TEAM) > 0
    counter.do(counter.treasury.return_idle)
    counter.ship()
    assert (control.leased(TEAM), control.spent(TEAM)) == (0, 3)


def test_at_its_periods_end_a_lease_is_used_no_more_and_those_who_wait_get_a_new_one(
    counter: Counter, control: FakeControl
) -> None:
    control.ends_in_s = 60.0
    control.allocate(TEAM, 40)
    holding = counter.call(40)
    answer(counter)
    counter.loop.advance(59.0)
    waiting = counter.call(40)
    answer(counter)
    control.next_period(TEAM)
    counter.loop.advance(1.0)
    assert waiting.waits
    answer(counter)
    counter.look(waiting)
    assert waiting.lease is not None, "the new period has its own budget"
    counter.settle(holding, 40)
    counter.settle(waiting, 7)
    counter.ship()
    assert control.past[0].spent == 40
    assert control.spent(TEAM) == 7


def test_a_lease_that_went_back_leaves_no_timer(counter: Counter) -> None:
    """Teams that come and go would fill the loop with timers of their periods' ends."""
    for _ in range(50):
        counter.settle(funded(counter), 1)
        counter.do(counter.treasury.wallet_changed, change(True))
        counter.ship()
    counter.loop.advance(5.0)
    alive = [timer for timer in counter.loop._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]
    assert alive == []


def test_a_cost_above_the_hold_is_made_good_by_the_next_grant(counter: Counter, control: FakeControl) -> None:
    call = funded(counter)
    assert call.lease is not None
    granted = call.lease.granted
    counter.settle(call, granted + 25)
    assert counter.account.lease is not None
    assert counter.account.lease.free == -25
    waiting = counter.call(10)
    assert counter.link.questions[0].request.need_nanos == 35
    answer(counter)
    counter.look(waiting)
    assert waiting.lease is not None
    counter.settle(waiting, 10)
    counter.do(counter.treasury.return_all)
    counter.ship()
    assert (control.leased(TEAM), control.spent(TEAM)) == (0, granted + 35)


# Asking


def test_one_question_at_a_time(counter: Counter) -> None:
    for _ in range(20):
        counter.call(10)
    assert len(counter.link.questions) == 1


def test_a_question_whose_answer_was_lost_is_asked_again_alike(counter: Counter, control: FakeControl) -> None:
    """Else what the store granted would lie in the lease, where neither this node nor another could spend it."""
    control.allocate(TEAM, 30)
    lost = counter.call(30)
    counter.link.arrive()
    counter.link.lose()
    counter.loop.turn()
    assert refused(lost).reason is Reason.BUDGET_UNVERIFIABLE
    counter.loop.advance(0.3)
    again = counter.call(30)
    answer(counter)
    counter.look(again)
    assert again.lease is not None
    assert control.leased(TEAM) == 30


def test_a_lost_answer_and_a_new_period_do_not_leave_a_lease_that_is_of_no_use(
    counter: Counter, control: FakeControl
) -> None:
    counter.call(30)
    counter.link.arrive()
    counter.link.lose()
    control.next_period(TEAM)
    counter.loop.advance(0.3)
    again = counter.call(30)
    answer(counter)
    answer(counter)
    counter.look(again)
    assert again.lease is not None


def test_an_empty_wallet_is_asked_once_a_second_at_most(counter: Counter, control: FakeControl) -> None:
    control.allocate(TEAM, 0)
    counter.link.prompt = True
    for _ in range(50):
        assert refused(counter.call(10)).reason is Reason.INSUFFICIENT_BALANCE
    assert control.asked == 1
    counter.loop.advance(1.0)
    counter.call(10)
    assert control.asked == 2


def test_a_changed_wallet_is_asked_at_once(counter: Counter, control: FakeControl) -> None:
    control.allocate(TEAM, 0)
    counter.link.prompt = True
    counter.call(10)
    control.allocate(TEAM, 50)
    counter.do(counter.treasury.wallet_changed, change(False))
    assert counter.call(10).lease is not None


def test_a_wallet_that_nobody_allocated_refuses_without_asking_on_and_on(loop: HandLoop) -> None:
    control = FakeControl()
    counter = Counter(loop, control)
    counter.link.prompt = True
    call = counter.call(10)
    assert refused(call).reason is Reason.INSUFFICIENT_BALANCE
    assert refused(call).details["estimated_cost"] > 0
    assert control.asked == 1


def test_a_hold_beyond_all_numbers_is_refused_like_any_other(counter: Counter) -> None:
    counter.link.prompt = True
    assert refused(counter.call(2**70)).reason is Reason.INSUFFICIENT_BALANCE


# Waiting


def test_a_call_waits_for_those_in_flight_and_is_served_when_one_settles(
    counter: Counter, control: FakeControl
) -> None:
    control.allocate(TEAM, 10)
    holding = funded(counter)
    waiting = counter.call(6)
    answer(counter)
    assert waiting.waits
    counter.settle(holding, 4)
    counter.look(waiting)
    assert waiting.lease is not None


def test_who_waits_is_served_in_order_and_nobody_slips_past(counter: Counter, control: FakeControl) -> None:
    control.allocate(TEAM, 10)
    holding = funded(counter)
    big, small = counter.call(9), counter.call(1)
    answer(counter)
    counter.settle(holding, 9)
    counter.look(big)
    counter.look(small)
    assert refused(big).reason is Reason.INSUFFICIENT_BALANCE
    assert small.lease is not None
    late = counter.call(1)
    assert late.lease is None


def test_a_small_call_does_not_slip_past_a_large_one_that_waits(counter: Counter, control: FakeControl) -> None:
    """Else a stream of small calls would starve it."""
    control.allocate(TEAM, 20)
    counter.link.prompt = True
    holding = counter.call(10)
    large, small = counter.call(15), counter.call(1)
    assert counter.account.lease is not None
    assert counter.account.lease.free == 10
    assert large.waits
    assert small.waits
    counter.settle(holding, 1)
    counter.look(large)
    counter.look(small)
    assert large.lease is not None
    assert small.lease is not None


def test_the_wait_ends_in_a_402_that_may_be_tried_again(counter: Counter, control: FakeControl) -> None:
    """The money is held, not spent: the caller is told when to come again."""
    control.allocate(TEAM, 10)
    funded(counter)
    counter.link.prompt = True
    waiting = counter.call(6)
    counter.loop.advance(0.5)
    if counter.link.questions:
        answer(counter)
    counter.loop.advance(1.4)
    assert waiting.waits
    counter.loop.advance(0.2)
    assert refused(waiting).reason is Reason.INSUFFICIENT_BALANCE
    assert refused(waiting).retry_after_s == 1


def test_an_exact_count_may_save_a_call_that_the_bytes_would_refuse(counter: Counter, control: FakeControl) -> None:
    control.allocate(TEAM, 10)
    counter.link.prompt = True
    call = counter.call(25, tightened=8)
    assert call.lease is not None
    assert call.hold == 8
    assert call.lease.held == 8


def test_when_the_first_in_line_gives_up_the_next_is_looked_at(counter: Counter, control: FakeControl) -> None:
    """Its exact count may fit, whatever is still in flight."""
    control.allocate(TEAM, 20)
    funded(counter)
    first = counter.call(30)
    answer(counter)
    counter.link.prompt = True
    counter.loop.advance(1.0)
    second = counter.call(30, tightened=5)
    counter.loop.advance(1.0)
    counter.look(second)
    assert not first.waits
    assert second.lease is not None
    assert second.hold == 5


def test_a_count_that_fails_hurts_its_own_call_alone(counter: Counter, control: FakeControl) -> None:
    """Another call's settling leads to it: that one must not be told of it."""

    def fails() -> int:
        raise Refused(Reason.INVALID_JSON, "`messages` is not valid JSON")

    control.allocate(TEAM, 10)
    holding = funded(counter)
    counter.call(9)
    answer(counter)
    poisoned = Call(99, 30)
    poisoned.task = counter.loop.do(counter.treasury.wait(counter.account, 30, fails, 2.0, 10, "marketing"))
    third = counter.call(1)
    counter.settle(holding, 9)
    assert refused(poisoned).reason is Reason.INVALID_JSON
    counter.look(third)
    assert third.lease is not None


def test_money_that_other_nodes_hold_is_asked_for_again_while_a_call_waits(
    loop: HandLoop, counter: Counter, control: FakeControl
) -> None:
    """The store's word that money came back can be late or lost: the one who waits must not depend on it."""
    control.allocate(TEAM, 100)
    other = Counter(loop, control, "nod_2")
    other.link.prompt = True
    taken = other.call(100)
    counter.link.prompt = True
    waiting = counter.call(50)
    assert waiting.waits
    other.settle(taken, 10)
    other.do(other.treasury.return_all)
    other.ship()
    loop.advance(1.1)
    counter.look(waiting)
    assert waiting.lease is not None


def test_a_call_that_would_not_fit_if_everything_came_back_does_not_wait(
    loop: HandLoop, counter: Counter, control: FakeControl
) -> None:
    """What others hold may come back unspent, what is spent never does."""
    control.allocate(TEAM, 100)
    other = Counter(loop, control, "nod_2")
    other.link.prompt = True
    spent = other.call(60)
    other.settle(spent, 60)
    other.ship()
    other.call(40)
    counter.link.prompt = True
    fits, beyond = counter.call(40), counter.call(41)
    assert fits.waits
    assert beyond.waits, "its turn has not come"
    loop.advance(2.1)
    assert refused(fits).retry_after_s == 1, "it waited for what is only held"
    beyond = counter.call(41)
    loop.advance(1.1)
    assert refused(beyond).retry_after_s is None, "the store was asked about it once, and that was enough"


def test_a_call_that_is_cancelled_while_it_waits_leaves_the_line(counter: Counter, control: FakeControl) -> None:
    control.allocate(TEAM, 10)
    holding = funded(counter)
    gone, behind = counter.call(10), counter.call(4)
    answer(counter)
    assert gone.task is not None
    gone.task.cancel()
    counter.loop.turn()
    counter.settle(holding, 5)
    counter.look(behind)
    assert behind.lease is not None


def test_a_call_that_is_cancelled_when_it_was_just_served_gives_its_hold_back(
    counter: Counter, control: FakeControl
) -> None:
    control.allocate(TEAM, 10)
    holding = funded(counter)
    gone = counter.call(10)
    answer(counter)

    def settle_and_cancel() -> None:
        assert holding.lease is not None
        assert gone.task is not None
        counter.purse.close(counter.account, holding.lease, 10, 0)
        gone.task.cancel()

    counter.do(settle_and_cancel)
    counter.loop.turn()
    assert gone.task is not None
    assert gone.task.cancelled()
    assert counter.account.lease is not None
    assert counter.account.lease.free == 10
    assert counter.account.in_flight == 0


def test_the_line_is_bounded(counter: Counter) -> None:
    for _ in range(3):
        counter.call(10, bound=3)
    assert refused(counter.call(10, bound=3)).reason is Reason.BUDGET_UNVERIFIABLE
    assert len(counter.account.waiters) == 3


# The store away


def test_without_the_store_a_call_waits_for_those_in_flight(counter: Counter, control: FakeControl) -> None:
    """The money will be free in a moment, and needs no store."""
    control.allocate(TEAM, 10)
    holding = funded(counter)
    control.down = True
    waiting = counter.call(6)
    counter.loop.advance(1.0)
    assert waiting.waits
    counter.settle(holding, 2)
    counter.look(waiting)
    assert waiting.lease is not None


def test_without_the_store_and_with_nothing_in_flight_a_call_is_told_at_once(
    counter: Counter, control: FakeControl
) -> None:
    control.down = True
    assert refused(counter.call(6)).reason is Reason.BUDGET_UNVERIFIABLE


def test_without_the_store_an_exact_count_may_still_fit(counter: Counter, control: FakeControl) -> None:
    call = funded(counter)
    counter.settle(call, 0)
    control.down = True
    assert counter.account.lease is not None
    free = counter.account.lease.free
    assert counter.call(free + 1, tightened=free).lease is not None


def test_a_store_that_is_silent_is_not_an_empty_wallet(counter: Counter, control: FakeControl) -> None:
    """402 is final for SDKs; a store that hangs must be a 503."""
    counter.settle(funded(counter), 1)
    counter.loop.advance(60.0)
    assert counter.account.lease is not None
    waiting = counter.call(counter.account.lease.free + 1)
    counter.loop.advance(2.1)
    assert refused(waiting).reason is Reason.BUDGET_UNVERIFIABLE


def test_an_unreachable_store_is_logged_once_and_no_client_learns_its_address(
    counter: Counter, control: FakeControl, caplog: pytest.LogCaptureFixture
) -> None:
    control.down = True
    told = []
    for _ in range(20):
        told.append(refused(counter.call(6)).message)
        counter.loop.advance(0.3)
    assert len(caplog.records) == 1
    assert "unplugged" in caplog.text
    assert not any("unplugged" in message for message in told)


def test_returns_are_never_more_than_what_is_free(counter: Counter) -> None:
    call = funded(counter)
    lease = call.lease
    assert lease is not None
    counter.do(counter.treasury.wallet_changed, change(True))
    [back] = counter.written(Return)
    assert isinstance(back, Return)
    assert back.nanos == lease.granted - 10
    assert lease.free + lease.held + lease.settled + lease.returned == lease.granted
