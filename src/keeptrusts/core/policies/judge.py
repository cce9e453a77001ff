"""Holds what a call says against every policy of an edition, fast where there is nothing to find.

Nearly all calls are clean, so the raw body is searched first, undecoded, with one pattern that finds everything that the
exact patterns find, and more. Only a hit there, or a body in which words can hide, is decoded and searched exactly.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from msgspec import Struct

from keeptrusts.core.policies.normalise import normalised
from keeptrusts.core.policies.pattern_set import compile_set
from keeptrusts.core.policies.registry import KINDS

PAST_TENSE: Mapping[str, str] = {"flag": "flagged", "block": "blocked"}

UNICODE_ESCAPE = rb"\\u"
"""As a pattern: found in the same pass as the phrases, for less than a search of its own."""

Search = Callable[[bytes], list[int] | None]


class Policy(Protocol):
    """A policy as the rulebook holds it."""

    @property
    def name(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def action(self) -> str: ...
    @property
    def config(self) -> Mapping[str, Any]: ...


class Verdict(Struct, frozen=True):
    """``actions`` go into the call's event (``content_flagged:hate``); ``blocked_by`` names the policy that refuses it."""

    actions: tuple[str, ...] = ()
    blocked_by: str | None = None


CLEAN = Verdict()


class Consequence(Struct, frozen=True):
    """What a rule that is broken adds to the verdict."""

    action: str
    blocked_by: str | None


class Judge:
    """The policies of one edition, compiled once. ``search_texts`` tells which rules are broken, by position."""

    def __init__(self, search_body: Search, search_texts: Search, consequences: tuple[Consequence, ...]) -> None:
        self._search_body = search_body
        self._search_texts = search_texts
        self._consequences = consequences

    def check_input(self, body: bytes, texts: Callable[[], list[str]]) -> Verdict:
        """Judge a call by its JSON ``body``. ``texts`` gives every string in it that the model reads; asked only if needed.

        A word can hide from the search of the raw body only outside ASCII or behind a ``\\u`` escape, which is a hit too.
        """
        if body.isascii() and self._search_body(body) is None:
            return CLEAN
        return self.check_texts(texts())

    def check_texts(self, texts: Iterable[str]) -> Verdict:
        """Judge decoded texts, each on its own: a phrase that is spread over several is not found."""
        broken: set[int] = set()
        for text in texts:
            broken.update(self._search_texts(normalised(text).encode(errors="replace")) or ())
        if not broken:
            return CLEAN
        met = [self._consequences[i] for i in sorted(broken)]
        blocked_by = next((c.blocked_by for c in met if c.blocked_by), None)
        return Verdict(tuple(dict.fromkeys(c.action for c in met)), blocked_by)


def compile_policies(policies: Iterable[Policy]) -> Judge | None:
    """The judge of these policies; None when there is nothing to judge by.

    Raises KeyError for an unknown type and pydantic's ValidationError for a bad config: a rulebook holds neither.
    """
    ruled = [(policy, rule) for policy in policies for rule in KINDS[policy.type].rules(policy.config)]
    if not ruled:
        return None
    in_body = b"|".join([UNICODE_ESCAPE, *dict.fromkeys(rule.phrases.in_body() for _, rule in ruled)])
    return Judge(
        compile_set([in_body], ascii_of_any_case=True),
        compile_set([rule.phrases.in_text() for _, rule in ruled], ascii_of_any_case=False),
        tuple(
            Consequence(
                action=f"{rule.subject}_{PAST_TENSE[policy.action]}:{rule.label}",
                blocked_by=policy.name if policy.action == "block" else None,
            )
            for policy, rule in ruled
        ),
    )
