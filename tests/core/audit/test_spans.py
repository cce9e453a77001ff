"""Spans say the same as the sets of numbers that they stand for."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from keeptrusts.core.audit.spans import Span, between, spans_of, union, without

NUMBERS = st.sets(st.integers(0, 40))


def numbers_in(spans: tuple[Span, ...]) -> set[int]:
    return {number for first, last in spans for number in range(first, last + 1)}


@given(NUMBERS)
def test_spans_hold_the_numbers_and_do_not_touch(numbers: set[int]) -> None:
    spans = spans_of(sorted(numbers))
    assert numbers_in(spans) == numbers
    assert all(one[1] + 1 < two[0] for one, two in pairwise(spans))


@given(NUMBERS, NUMBERS)
def test_union_and_what_is_left(one: set[int], two: set[int]) -> None:
    first, second = spans_of(sorted(one)), spans_of(sorted(two))
    assert union((*second, *first)) == spans_of(sorted(one | two))
    assert numbers_in(without(first, second)) == one - two


@given(NUMBERS, st.integers(0, 40), st.integers(0, 40))
def test_what_is_between(numbers: set[int], least: int, most: int) -> None:
    spans = spans_of(sorted(numbers))
    assert numbers_in(between(spans, least, most)) == set(range(least, most + 1)) - numbers
