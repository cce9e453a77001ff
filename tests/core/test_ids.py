"""Ids say what they name and sort by their time."""

from hypothesis import given
from hypothesis import strategies as st

from keeptrusts.core.ids import base36, new_id

times = st.integers(0, 36**9 - 1)


@given(times, times, st.binary(min_size=10, max_size=10), st.binary(min_size=10, max_size=10))
def test_ids_sort_by_their_time(earlier: int, later: int, a: bytes, b: bytes) -> None:
    if earlier < later:
        assert new_id("evt", earlier, a) < new_id("evt", later, b)


@given(times, st.binary(min_size=10, max_size=10), st.binary(min_size=10, max_size=10))
def test_ids_of_one_instant_differ_by_what_was_drawn_and_are_all_as_long(now: int, a: bytes, b: bytes) -> None:
    assert (new_id("tok", now, a) == new_id("tok", now, b)) == (a == b)
    assert len(new_id("tok", now, a)) == len(new_id("tok", 0, bytes(10)))


@given(st.integers(0, 10**12))
def test_base_36_is_what_python_reads(number: int) -> None:
    assert int(base36(number, 9), 36) == number
