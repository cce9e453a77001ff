"""Retries are a share of calls and a small burst, whatever happens; waits grow, are drawn, and end."""

from hypothesis import given
from hypothesis import strategies as st

from keeptrusts.core.routing.retry_budget import BURST, RetryBudget, delay_s


@given(share=st.floats(0, 1), calls=st.lists(st.integers(1, 5), max_size=300))
def test_retries_are_at_most_a_share_of_calls_and_a_burst(share: float, calls: list[int]) -> None:
    """Every call wants to be retried as often as it may: an outage."""
    budget, attempts, first = RetryBudget(share), 0, 0
    for wanted in calls:
        attempts, first = attempts + 1, first + 1
        for _ in range(wanted):
            if not budget.take(attempts):
                break
            attempts += 1
    assert budget.taken <= BURST + share * first + 1e-6


def test_a_quiet_time_earns_no_more_than_the_burst() -> None:
    budget = RetryBudget(0.5)
    taken = 0
    while budget.take(1_000_000 + taken):
        taken += 1
    assert taken == BURST


@given(failures=st.integers(1, 10_000), base=st.floats(0.001, 10), cap=st.floats(0.001, 60), draw=st.floats(0, 0.999))
def test_a_wait_is_between_nothing_and_the_cap(failures: int, base: float, cap: float, draw: float) -> None:
    assert 0 <= delay_s(failures, base, cap, draw) <= cap


def test_a_wait_doubles_with_each_failure() -> None:
    assert [delay_s(n, 0.25, 5.0, 0.5) for n in (1, 2, 3, 9)] == [0.125, 0.25, 0.5, 2.5]
