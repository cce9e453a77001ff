"""The known word that a person most likely meant."""

from collections.abc import Iterable
from difflib import get_close_matches

from keeptrusts.core.rulebook.quoting import listed, quoted

COMPARED_MAX = 60
"""Comparing is quadratic in the length of the words; nobody misspells a longer one into a known one."""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word nearest to ``word``; None when none is near. Case, ``-`` and ``_`` do not count."""
    by_plain = {_plain(k): k for k in known}
    matches = get_close_matches(_plain(word[:COMPARED_MAX]), by_plain, n=1, cutoff=0.6)
    return by_plain[matches[0]] if matches else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A suggestion: the nearest known word, or all of them when none is near."""
    words = list(known)
    match = nearest(word, words)
    return f"did you mean {quoted(match)}?" if match else f"known here: {listed(words)}"


def _plain(word: str) -> str:
    return word.lower().replace("-", "_")
