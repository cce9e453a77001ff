"""A breaker opens after failures in a row, lets a bounded number of probes through, and closes when they succeed."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from keeptrusts.core.routing.breaker import Breaker
from keeptrusts.core.routing.rules import BreakerRules

RULES = BreakerRules(failure_threshold=3, cooldown_s=10.0, half_open_probes=2)


def opened(at: float = 0.0) -> Breaker:
    breaker = Breaker(RULES)
    for _ in range(3):
        breaker.failed(breaker.began(), at)
    return breaker


def test_failures_in_a_row_open_it_and_a_success_between_them_does_not() -> None:
    breaker = Breaker(RULES)
    for _ in range(5):
        breaker.failed(0, 0.0)
        breaker.failed(0, 0.0)
        breaker.succeeded(0)
    assert breaker.state(0.0) == "closed"
    assert opened().state(9.9) == "open"
    assert not opened().admits(9.9)


def test_after_the_cooldown_as_many_probes_as_it_says_are_admitted_and_close_it() -> None:
    breaker = opened()
    assert breaker.state(10.0) == "half-open"
    probes = []
    while breaker.admits(10.0):
        probes.append(breaker.began())
    assert len(probes) == 2
    breaker.succeeded(probes[0])
    assert breaker.state(10.0) == "half-open"
    assert not breaker.admits(10.0)
    breaker.succeeded(probes[1])
    assert breaker.state(10.0) == "closed"


def test_a_probe_that_fails_opens_it_for_another_cooldown() -> None:
    breaker = opened()
    probe = breaker.began()
    breaker.failed(probe, 12.0)
    assert breaker.state(21.9) == "open"
    assert breaker.admits(22.0)


def test_a_probe_that_was_given_up_makes_room_for_another() -> None:
    breaker = opened()
    probes = [breaker.began(), breaker.began()]
    assert not breaker.admits(11.0)
    breaker.left(probes[0])
    assert breaker.admits(11.0)


def test_what_began_before_it_opened_says_nothing_about_what_came_after() -> None:
    breaker = Breaker(RULES)
    early = breaker.began()
    for _ in range(3):
        breaker.failed(0, 0.0)
    breaker.succeeded(early)
    assert breaker.state(1.0) == "open"
    breaker.failed(early, 15.0)
    assert breaker.admits(15.0)


def test_a_call_for_want_of_any_other_way_may_close_it_early_and_keeps_it_open_no_longer() -> None:
    breaker = Breaker(BreakerRules(1, 10.0, 1))
    breaker.failed(0, 0.0)
    breaker.failed(breaker.began(), 5.0)
    assert breaker.admits(10.0)
    breaker.succeeded(breaker.began())
    assert breaker.state(10.0) == "closed"


def test_without_rules_it_never_opens() -> None:
    breaker = Breaker(None)
    for _ in range(1_000):
        breaker.failed(breaker.began(), 0.0)
    assert breaker.admits(0.0)


class Used(RuleBasedStateMachine):
    """Any order of calls beginning and ending, with time between: probes are bounded, and it never stays shut."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker(RULES)
        self.now = 0.0
        self.running: list[int] = []

    @rule()
    def begin(self) -> None:
        if self.breaker.admits(self.now):
            self.running.append(self.breaker.began())

    @precondition(lambda self: self.running)
    @rule(how=st.sampled_from(["good", "bad", "left"]), which=st.integers(0, 10))
    def end(self, how: str, which: int) -> None:
        probe = self.running.pop(which % len(self.running))
        if how == "good":
            self.breaker.succeeded(probe)
        elif how == "bad":
            self.breaker.failed(probe, self.now)
        else:
            self.breaker.left(probe)

    @rule(by_s=st.floats(0, 20))
    def wait(self, by_s: float) -> None:
        self.now += by_s

    @invariant()
    def probes_are_bounded(self) -> None:
        live = [probe for probe in self.running if probe == self.breaker._round]
        assert self.breaker._probing == (len(live) if self.breaker.reopens_at is not None else 0)
        assert 0 <= self.breaker._probing <= RULES.half_open_probes

    @invariant()
    def who_waits_gets_in(self) -> None:
        if not any(probe == self.breaker._round for probe in self.running):
            assert self.breaker.admits(self.now + RULES.cooldown_s)


TestUsed = Used.TestCase


@given(st.lists(st.booleans(), max_size=50))
def test_it_is_open_exactly_when_the_last_failures_in_a_row_are_enough(outcomes: list[bool]) -> None:
    breaker, row = Breaker(RULES), 0
    for good in outcomes:
        if breaker.reopens_at is not None:
            break
        row = 0 if good else row + 1
        if good:
            breaker.succeeded(breaker.began())
        else:
            breaker.failed(breaker.began(), 0.0)
        assert (breaker.reopens_at is not None) == (row >= 3)
