"""Several patterns searched in one pass over a text, in time linear in its length whatever it holds (RE2's DFA)."""

from collections.abc import Callable, Sequence

import re2

MEMORY_BYTES_MAX = 64 * 1024 * 1024
"""Patterns that need more are refused when they are compiled."""

PROBE = b"\x00kt\x00"
"""No JSON body and no text of one that people send holds this. A set that cannot work would not find it either."""


class PatternsTooLarge(ValueError):
    """The patterns together need more memory than they may have."""


def compile_set(patterns: Sequence[bytes], *, ascii_of_any_case: bool) -> Callable[[bytes], list[int] | None]:
    """A search that tells which of the patterns (by their position) occur in a text; None when none does.

    ``ascii_of_any_case``: the texts are ASCII in which case does not count; else UTF-8, taken as it is.
    Raises PatternsTooLarge, and re2's error for a pattern that is none.
    """
    options = re2.Options()
    options.max_mem = MEMORY_BYTES_MAX
    options.never_capture = True
    options.log_errors = False
    if ascii_of_any_case:
        options.encoding = re2.Options.Encoding.LATIN1
        options.case_sensitive = False
    built = re2.Set.SearchSet(options)
    for pattern in (*patterns, PROBE):
        built.Add(pattern)
    built.Compile()
    search: Callable[[bytes], list[int] | None] = built.Match
    if search(PROBE) != [len(patterns)]:
        raise PatternsTooLarge(f"{len(patterns)} patterns need more than {MEMORY_BYTES_MAX} bytes")
    return search
