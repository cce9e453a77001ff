"""All limits of a call: never passed, charged all or none, and corrected once."""

from hypothesis import given
from hypothesis import strategies as st

from keeptrusts.core.limits.gate import Exceeded, Gate, Permit
from keeptrusts.core.limits.limit_set import LimitSet
from keeptrusts.core.limits.meter import Meter, OwnMemory
from keeptrusts.core.limits.quotas import Quota, Quotas, both, divided, quotas_of

limit = st.none() | st.integers(1, 12)
quotas = st.builds(
    LimitSet,
    requests_per_minute=limit,
    tokens_per_minute=st.none() | st.integers(1, 300),
    concurrent_requests=limit,
    requests_per_day=limit,
    tokens_per_day=st.none() | st.integers(1, 300),
).map(quotas_of)


def meter(scope: str, **limits: int) -> Meter:
    return Meter(scope, quotas_of(LimitSet(**limits)), OwnMemory())


def gate(**limits: int) -> Gate:
    return Gate([meter("key tok_1", **limits)])


def enter(gate: Gate, tokens: int, now_s: int) -> Permit:
    passed = gate.enter(tokens, now_s)
    assert isinstance(passed, Permit), passed
    return passed


def refused(gate: Gate, tokens: int, now_s: int) -> Exceeded:
    passed = gate.enter(tokens, now_s)
    assert isinstance(passed, Exceeded)
    return passed


class Run:
    """A call under way."""

    def __init__(self, at_s: int, tokens: int, permit: Permit) -> None:
        self.at_s = at_s
        self.tokens = tokens
        self.permit = permit


@given(st.lists(quotas, min_size=1, max_size=3), st.data())
def test_no_limit_of_any_scope_is_ever_passed(limits: list[Quotas], data: st.DataObject) -> None:
    """Calls that use at most their estimate, at any pace, leaving in any order."""
    meters = [Meter(f"scope {number}", each, OwnMemory()) for number, each in enumerate(limits)]
    gate, now = Gate(meters), 50
    running: list[Run] = []
    begun: list[int] = []
    used: list[tuple[int, int]] = []
    for _ in range(data.draw(st.integers(1, 40))):
        now += data.draw(st.sampled_from((0, 0, 1, 20, 61, 3_600)))
        if running and data.draw(st.booleans()):
            run = running.pop(data.draw(st.integers(0, len(running) - 1)))
            spent = data.draw(st.integers(0, run.tokens))
            run.permit.leave(spent, now)
            used.append((run.at_s, spent))
        tokens = data.draw(st.integers(0, 100))
        passed = gate.enter(tokens, now)
        if isinstance(passed, Permit):
            running.append(Run(now, tokens, passed))
            begun.append(now)
        for each in limits:
            assert each.concurrent is None or len(running) <= each.concurrent
            for quota in each.windows:
                if quota.counts == "requests":
                    assert sum(now - at <= quota.window_s for at in begun) <= quota.allowed
                else:
                    done = sum(min(quota.allowed, spent) for at, spent in used if now - at <= quota.window_s)
                    under_way = [run for run in running if now - run.at_s <= quota.window_s]
                    assert done + sum(min(quota.allowed, run.tokens) for run in under_way) <= quota.allowed
    for run in running:
        run.permit.leave(0, now)
    assert all(meter.running == 0 for meter in meters)


def test_a_refusal_names_the_limit_and_when_to_come_again() -> None:
    narrow = gate(requests_per_minute=2)
    for now in (0, 10):
        enter(narrow, 5, now)
    exceeded = refused(narrow, 5, 30)
    assert (exceeded.limit, exceeded.scope, exceeded.allowed) == ("requests_per_minute", "key tok_1", 2)
    refused(narrow, 5, 30 + exceeded.retry_after_s - 1)
    enter(narrow, 5, 30 + exceeded.retry_after_s)


def test_a_call_that_one_scope_refuses_costs_no_other_anything() -> None:
    key, group = (
        meter("key tok_1", requests_per_minute=10, concurrent_requests=10),
        meter("group g", tokens_per_minute=5),
    )
    both_hold = Gate([key, group])
    enter(both_hold, 5, 0)
    for _ in range(5):
        assert refused(both_hold, 1, 0).scope == "group g"
    assert key.running == 1
    assert enter(Gate([key]), 0, 0).least_requests == (8, Quota("requests", 10, 60))


def test_a_permit_tells_what_the_tightest_limit_has_left() -> None:
    wide, narrow = meter("key", requests_per_minute=10, tokens_per_minute=9), meter("group", requests_per_minute=3)
    permit = enter(Gate([wide, narrow]), 4, 0)
    assert permit.least_requests == (2, Quota("requests", 3, 60))
    assert permit.least_tokens == (5, Quota("tokens", 9, 60))
    told = enter(Gate([wide, narrow], shown=False), 1, 0)
    assert (told.least_requests, told.least_tokens) == (None, None)


def test_a_call_larger_than_the_limit_waits_for_an_empty_window_and_then_runs() -> None:
    narrow = gate(tokens_per_minute=100)
    small = enter(narrow, 1, 0)
    assert refused(narrow, 5_000, 30).left == 99
    small.leave(1, 30)
    large = enter(narrow, 5_000, 61)
    refused(narrow, 1, 61)
    large.leave(40, 62)
    refused(narrow, 61, 62)
    enter(narrow, 60, 62)


def test_an_estimate_stays_when_nobody_knows_what_was_used() -> None:
    """Else a provider that does not say its usage would be outside every token limit."""
    narrow = gate(tokens_per_minute=100)
    enter(narrow, 90, 0).leave(None, 5)
    refused(narrow, 20, 6)


def test_a_held_call_gives_its_place_to_another_meanwhile() -> None:
    narrow = gate(concurrent_requests=1)
    held = enter(narrow, 0, 0)
    refused(narrow, 0, 0)
    held.step_aside()
    other = enter(narrow, 0, 0)
    held.step_back()
    other.leave(0, 0)
    refused(narrow, 0, 0)
    held.leave(0, 0)
    enter(narrow, 0, 0)


def test_limits_that_change_while_a_call_runs_do_not_upset_its_correction() -> None:
    changing = meter("key", tokens_per_minute=100)
    permit = enter(Gate([changing]), 1_000, 0)
    changing = changing.with_quotas(quotas_of(LimitSet(tokens_per_minute=500)))
    permit.leave(80, 1)
    refused(Gate([changing]), 421, 1)
    enter(Gate([changing]), 420, 1)


def test_what_was_used_stays_when_a_limit_changes() -> None:
    changing = meter("key", requests_per_minute=5)
    for _ in range(3):
        enter(Gate([changing]), 1, 0)
    changing = changing.with_quotas(quotas_of(LimitSet(requests_per_minute=4)))
    assert enter(Gate([changing]), 1, 0).least_requests == (0, Quota("requests", 4, 60))
    changing = changing.with_quotas(quotas_of(LimitSet(requests_per_minute=2)))
    assert refused(Gate([changing]), 1, 0).allowed == 2


def test_without_limits_nothing_is_refused_or_shown() -> None:
    open_gate = Gate([])
    for _ in range(1_000):
        permit = enter(open_gate, 10**9, 0)
    assert (permit.least_requests, permit.least_tokens) == (None, None)


@given(quotas, quotas)
def test_where_two_hold_the_tighter_one_does(one: Quotas, other: Quotas) -> None:
    joint = both(one, other)
    for mine in (one, other):
        for quota in mine.windows:
            [same] = [q for q in joint.windows if (q.counts, q.window_s) == (quota.counts, quota.window_s)]
            assert same.allowed <= quota.allowed
        assert mine.concurrent is None or (joint.concurrent is not None and joint.concurrent <= mine.concurrent)
    assert len(joint.windows) <= len(one.windows) + len(other.windows)
    assert both(one, one) == one


@given(quotas, st.integers(1, 20))
def test_parts_are_never_more_than_the_whole_and_never_nothing(whole: Quotas, by: int) -> None:
    part = divided(whole, by)
    for quota, mine in zip(whole.windows, part.windows, strict=True):
        assert 1 <= mine.allowed <= quota.allowed
        assert mine.allowed * by <= max(quota.allowed, by)
    assert (part.concurrent is None) == (whole.concurrent is None)


def test_limits_of_other_spans_have_names_too() -> None:
    names = [Quota("requests", 1, window_s).name for window_s in (1, 60, 90, 3_600, 86_400)]
    assert names == [
        "requests_per_second", "requests_per_minute", "requests_per_90_s", "requests_per_hour", "requests_per_day",
    ]  # fmt: skip
