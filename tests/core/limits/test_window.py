"""The sliding window against the plainest model there is: a list of everything that was ever taken."""

from hypothesis import given
from hypothesis import strategies as st

from keeptrusts.core.limits.window import SlidingWindow

LENGTH_S = 12
steps = st.lists(
    st.tuples(st.integers(0, 9), st.sampled_from(("take", "less", "more", "look")), st.integers(0, 50)), max_size=60
)


class Taken:
    """One amount, when it counts from, and what is left of it after corrections."""

    def __init__(self, at_s: int, amount: int) -> None:
        self.at_s = at_s
        self.amount = amount


@given(steps, st.sampled_from((1, 3)), st.integers(0, 10_000))
def test_the_window_counts_what_a_list_of_everything_counts(
    found: list[tuple[int, str, int]], bucket_s: int, start_s: int
) -> None:
    window, book, now = SlidingWindow(LENGTH_S, bucket_s), [], start_s
    size = LENGTH_S // bucket_s + 1
    for passed, what, amount in found:
        now += passed
        if what == "take" or not book:
            window.add(amount, now)
            book.append(Taken(now, amount))
        elif what == "less":
            charged = book[amount % len(book)]
            back = min(amount, charged.amount)
            window.correct(-back, charged.at_s, now)
            charged.amount -= back
        elif what == "more":
            window.correct(amount, book[0].at_s, now)
            book.append(Taken(now, amount))
        inside = [t for t in book if now // bucket_s - t.at_s // bucket_s < size]
        assert window.used(now) == sum(t.amount for t in inside) >= 0
        really_inside = sum(t.amount for t in book if now - t.at_s <= LENGTH_S)
        assert window.used(now) >= really_inside, "nothing leaves before its time"


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 10)), max_size=200), st.integers(5, 30))
def test_no_span_of_the_windows_length_ever_holds_more_than_the_limit(asked: list[tuple[int, int]], limit: int) -> None:
    """Whenever the span begins, and at any fraction of a second."""
    window, taken, now = SlidingWindow(60), [], 0
    for passed, amount in asked:
        now += passed
        if window.used(now) + amount <= limit:
            window.add(amount, now)
            taken.append((now, amount))
    for start, _ in taken:
        # Taken somewhere in the second [start, start + 1): the tightest span of 60 s begins at its end.
        assert sum(amount for at, amount in taken if start <= at <= start + 60) <= limit


@given(
    st.lists(st.tuples(st.integers(0, 70), st.integers(1, 20)), min_size=1, max_size=30),
    st.integers(1, 40),
    st.integers(1, 60),
)
def test_after_the_wait_it_fits_and_a_second_before_it_did_not(
    found: list[tuple[int, int]], amount: int, limit: int
) -> None:
    window, now = SlidingWindow(60), 0
    for passed, taken in found:
        now += passed
        window.add(taken, now)
    if window.used(now) + amount <= limit:
        return
    wait = window.wait_s(amount, limit, now)
    assert 1 <= wait <= 61
    if amount <= limit:
        assert window.used(now + wait - 1) + amount > limit
        assert window.used(now + wait) + amount <= limit


def test_what_is_given_back_late_does_not_open_the_window_for_more() -> None:
    """A thousand held at 0 s, a hundred used by 50 s: from 61 s on the window is empty, not in debt."""
    window = SlidingWindow(60)
    window.add(1_000, 0)
    window.correct(-900, 0, 50)
    assert window.used(50) == 100
    assert window.used(61) == 0


def test_what_is_given_back_after_the_window_has_passed_changes_nothing() -> None:
    window = SlidingWindow(60)
    window.add(1_000, 0)
    window.add(5, 100)
    window.correct(-900, 0, 100)
    assert window.used(100) == 5


def test_a_late_comer_does_not_turn_the_window_back() -> None:
    """A call that was long in arriving must not make the window forget what others took meanwhile."""
    window = SlidingWindow(60)
    for now in range(100, 131):
        window.add(1, now)
    window.add(1, 100)
    assert window.used(100) == 32
    assert window.used(131) == 32
    assert window.used(190) == 2
    assert window.used(191) == 0
