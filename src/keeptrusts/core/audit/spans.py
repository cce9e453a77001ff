"""Sets of row numbers as spans: sorted, apart from each other, both ends included."""

from collections.abc import Iterable, Sequence

Span = tuple[int, int]

LEAST = -(2**63)
MOST = 2**63 - 1


def spans_of(numbers: Iterable[int]) -> tuple[Span, ...]:
    """The spans of ascending numbers."""
    found: list[Span] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return tuple(found)


def union(spans: Iterable[Span]) -> tuple[Span, ...]:
    """All numbers that are in any of them."""
    found: list[Span] = []
    for first, last in sorted(spans):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return tuple(found)


def between(spans: Sequence[Span], least: int = LEAST, most: int = MOST) -> tuple[Span, ...]:
    """The numbers from ``least`` to ``most`` that are in none of these spans, which are sorted and apart."""
    found: list[Span] = []
    at = least
    for first, last in spans:
        if first > most:
            break
        if first > at:
            found.append((at, first - 1))
        at = max(at, last + 1)
    if at <= most:
        found.append((at, most))
    return tuple(found)


def without(spans: Iterable[Span], taken: Sequence[Span]) -> tuple[Span, ...]:
    """The numbers of ``spans`` that are not in ``taken``, which are sorted and apart."""
    return tuple(left for first, last in spans for left in between(taken, first, last))


def within(number: int, spans: Iterable[Span]) -> bool:
    """Whether the number is in one of them."""
    return any(first <= number <= last for first, last in spans)
