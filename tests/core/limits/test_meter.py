"""A scope's limits: never passed, charged all or none, and corrected once."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from keeptrusts.core.limits.limit_set import LimitSet
from keeptrusts.core.limits.meter import Charges, Meter

limit = st.none() | st.integers(1, 12)
limit_sets = st.builds(
    LimitSet,
    requests_per_minute=limit,
    tokens_per_minute=st.none() | st.integers(1, 300),
    concurrent_requests=limit,
    requests_per_day=limit,
    tokens_per_day=st.none() | st.integers(1, 300),
)
DAY_S = 86_400


class Run:
    """A call under way."""

    def __init__(self, at_s: int, tokens: int, charges: Charges) -> None:
        self.at_s = at_s
        self.tokens = tokens
        self.charges = charges


@given(limit_sets, st.data())
def test_no_limit_is_ever_passed(limits: LimitSet, data: st.DataObject) -> None:
    """Calls that use at most their estimate, at any pace, leaving in any order."""
    meter, running, now = Meter("key", limits), [], 50
    begun: list[int] = []
    used: list[tuple[int, int]] = []
    for _ in range(data.draw(st.integers(1, 40))):
        now += data.draw(st.sampled_from((0, 0, 1, 20, 61, 3_600)))
        if running and data.draw(st.booleans()):
            run: Run = running.pop(data.draw(st.integers(0, len(running) - 1)))
            spent = data.draw(st.integers(0, run.tokens))
            meter.leave(run.charges, spent, run.at_s, now)
            used.append((run.at_s, spent))
        tokens = data.draw(st.integers(0, 100))
        if meter.peek(tokens, now) is None:
            running.append(Run(now, tokens, meter.take(tokens, now)))
            begun.append(now)
        assert meter.running == len(running)
        assert limits.concurrent_requests is None or len(running) <= limits.concurrent_requests
        for allowed, span in ((limits.requests_per_minute, 60), (limits.requests_per_day, DAY_S)):
            assert allowed is None or sum(now - at <= span for at in begun) <= allowed
        for most, span in ((limits.tokens_per_minute, 60), (limits.tokens_per_day, DAY_S)):
            if most is not None:
                done = sum(min(most, spent) for at, spent in used if now - at <= span)
                open_ = sum(min(most, run.tokens) for run in running if now - run.at_s <= span)
                assert done + open_ <= most


def test_a_refusal_names_the_limit_and_when_to_come_again() -> None:
    meter = Meter("key tok_1", LimitSet(requests_per_minute=2))
    for now in (0, 10):
        assert meter.peek(5, now) is None
        meter.take(5, now)
    exceeded = meter.peek(5, 30)
    assert exceeded is not None
    assert (exceeded.limit, exceeded.scope, exceeded.allowed) == ("requests_per_minute", "key tok_1", 2)
    assert meter.peek(5, 30 + exceeded.retry_after_s - 1) is not None
    assert meter.peek(5, 30 + exceeded.retry_after_s) is None


def test_looking_charges_nothing() -> None:
    meter = Meter("key", LimitSet(requests_per_minute=1, tokens_per_minute=10, concurrent_requests=1))
    for _ in range(5):
        assert meter.peek(10, 0) is None


def test_a_call_larger_than_the_limit_waits_for_an_empty_window_and_then_runs() -> None:
    meter = Meter("key", LimitSet(tokens_per_minute=100))
    small = meter.take(1, 0)
    assert meter.peek(5_000, 30) is not None
    meter.leave(small, 1, 0, 30)
    assert meter.peek(5_000, 61) is None
    charges = meter.take(5_000, 61)
    assert meter.peek(1, 61) is not None
    meter.leave(charges, 40, 61, 62)
    assert meter.peek(60, 62) is None
    assert meter.peek(61, 62) is not None


def test_an_estimate_stays_when_nobody_knows_what_was_used() -> None:
    """Else a provider that does not say its usage would be outside every token limit."""
    meter = Meter("key", LimitSet(tokens_per_minute=100))
    meter.leave(meter.take(90, 0), None, 0, 5)
    assert meter.peek(20, 6) is not None
    assert meter.running == 0


def test_limits_that_change_while_a_call_runs_do_not_upset_its_correction() -> None:
    meter = Meter("key", LimitSet(tokens_per_minute=100))
    charges = meter.take(1_000, 0)
    meter.set_limits(LimitSet(tokens_per_minute=500))
    meter.leave(charges, 80, 0, 1)
    assert meter.peek(420, 1) is None
    assert meter.peek(421, 1) is not None
    meter = Meter("key", LimitSet())
    charges = meter.take(50, 0)
    meter.set_limits(LimitSet(tokens_per_minute=100))
    meter.leave(charges, 10, 0, 1)
    assert meter.peek(101, 1) is None, "larger than the limit, window empty"
    assert meter.left(1)[1] == (100, 100)


def test_what_was_used_stays_when_a_limit_changes() -> None:
    meter = Meter("key", LimitSet(requests_per_minute=5))
    for _ in range(3):
        meter.take(1, 0)
    meter.set_limits(LimitSet(requests_per_minute=4))
    assert meter.left(0)[0] == (4, 1)
    meter.set_limits(LimitSet(requests_per_minute=2))
    assert meter.left(0)[0] == (2, 0)
    assert meter.peek(1, 0) is not None


def test_without_limits_nothing_is_refused_or_shown() -> None:
    meter: Any = Meter("key", LimitSet())
    for _ in range(1_000):
        assert meter.peek(10**9, 0) is None
        meter.take(10**9, 0)
    assert meter.left(0) == (None, None)
