"""All rules that judge one phase, compiled once: which of them can be met in a text, and where."""

from collections.abc import Sequence
from typing import Any, Literal

import re2
from msgspec import Struct

from keeptrusts.core.policies.kind import Rule
from keeptrusts.core.policies.normalise import Folded, normalised
from keeptrusts.core.policies.pattern_set import MEMORY_BYTES_MAX, compile_set

Effect = Literal["note", "redact", "block"]
"""What is done with the text where a rule is met: a flag, what is left to a person, and everything in shadow mode, only notes it."""


class Ruled(Struct, frozen=True):
    """A rule, and what follows when it is met: the action that the event names, and the policy that stops the call, or, where
    it ``escalates``, leaves it to a person."""

    rule: Rule
    effect: Effect
    action: str
    policy: str
    escalates: bool = False


class View:
    """A text in UTF-8 while it is searched. It is folded when a rule first asks for that."""

    __slots__ = ("_folded", "written")

    def __init__(self, written: bytes) -> None:
        self.written = written
        self._folded: Folded | None = None

    @property
    def as_read(self) -> bytes:
        """The text as a reader takes it."""
        if self.written.isascii():
            return self.written.lower()
        return normalised(self.written.decode(errors="surrogatepass")).encode(errors="replace")

    @property
    def folded(self) -> Folded:
        """The same, and where it was written: far dearer, and needed only where something is found."""
        if self._folded is None:
            self._folded = Folded(self.written)
        return self._folded


CHECKS_MAX = 2_000
"""How many things of the right form are checked in one text; the rest count as found, lest a text of them cost minutes."""

CONTEXT_BYTES = 4
"""What is kept of the text before the place that is searched: one character, to tell where words begin."""


class Checks:
    """How many more checks a text may cost."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = CHECKS_MAX


class RuleSet:
    """Rules by their positions. ``longest_bytes`` bounds what any of them finds, and what it looks at behind that;
    ``changes_text`` says whether what was read must be what goes on."""

    def __init__(self, ruled: Sequence[Ruled]) -> None:
        """Raises PatternsTooLarge, and re2's error for a pattern that is none."""
        self.ruled = tuple(ruled)
        self.longest_bytes = max((r.rule.sought.longest_bytes for r in ruled), default=0) + CONTEXT_BYTES
        self.changes_text = any(r.effect != "note" or r.escalates for r in ruled)
        self._sets = [
            (folded, positions, compile_set([p for _, p in patterns], ascii_of_any_case=False))
            for folded in (False, True)
            if (
                patterns := [
                    (i, r.rule.sought.in_text()) for i, r in enumerate(ruled) if r.rule.sought.folded is folded
                ]
            )
            for positions in [[i for i, _ in patterns]]
        ]
        self._patterns: list[Any] = [compile_one(r.rule.sought.in_text()) for r in ruled]
        self._eaten: list[Any] = [
            None if (e := r.rule.sought.eats) is None else tuple(map(compile_one, e)) for r in ruled
        ]

    def met_in(self, view: View) -> list[int]:
        """The rules whose pattern occurs in the text."""
        met: list[int] = []
        for folded, positions, search in self._sets:
            found = search(view.as_read if folded else view.written)
            if found:
                met += [positions[i] for i in found]
        return met

    def find(self, position: int, view: View, at: int, limit: int, checks: Checks) -> tuple[int, int] | None:
        """Where the rule is met first from ``at`` on, beginning before ``limit``: in bytes of the text as it is written."""
        sought, pattern = self.ruled[position].rule.sought, self._patterns[position]
        text, folded = view.written, None
        if sought.folded:
            folded = view.folded
            text, at, limit = folded.data, folded.place_of(at), folded.place_of(limit)
        while at < limit:
            start, end = _next(pattern, text, at, sought.led)
            if start < 0 or start >= limit:
                return None
            if end - start >= sought.longest_bytes:
                # What more there may be of it is not looked at: how the text was cut must make no difference.
                end = _end_within(pattern, text, start, sought.longest_bytes, sought.led)
            if end > start and (sought.accept is None or self._accepted(sought.accept, text[start:end], checks)):
                return (start, end) if folded is None else folded.written_span(start, end)
            at = start + 1
        return None

    @staticmethod
    def _accepted(accept: Any, found: bytes, checks: Checks) -> bool:
        checks.left -= 1
        return checks.left < 0 or accept(found)

    def eaten_to(self, position: int, text: bytes, at: int, limit: int) -> tuple[int, bool]:
        """Where what belongs to the rule's match, and follows it, ends; or ``limit``, and False, when it goes on there."""
        body, tail = self._eaten[position]
        end: int = body.match(text, at).end()
        return (limit, False) if end >= limit else (int(tail.match(text, end).end()), True)

    def eats(self, position: int) -> bool:
        """Whether the rule takes what follows its match."""
        return self._eaten[position] is not None


def compile_one(pattern: bytes) -> Any:
    """A pattern that finds places in bytes of UTF-8. Raises re2's error for one that is none."""
    options = re2.Options()
    options.max_mem = MEMORY_BYTES_MAX
    options.log_errors = False
    return re2.compile(pattern, options)


def _next(pattern: Any, text: bytes, at: int, led: bool) -> tuple[int, int]:
    begin = at
    if led and at:
        begin -= 1
        while begin and text[begin] & 0xC0 == 0x80:
            begin -= 1
    found = pattern.search(text, begin)
    if found is not None and found.start(1) < at:
        found = pattern.search(text, at)
    return (-1, -1) if found is None else (found.start(1), found.end(1))


def _end_within(pattern: Any, text: bytes, start: int, longest: int, led: bool) -> int:
    before = max(0, start - CONTEXT_BYTES)
    found, end = _next(pattern, text[before : start + longest], start - before, led)
    return end + before if found + before == start else -1
