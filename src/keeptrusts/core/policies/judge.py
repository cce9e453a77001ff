"""Holds what a call says against the rules of one phase, fast where there is nothing to find.

Nearly all calls are clean, so the raw body is searched first, undecoded, with one pattern that finds everything that the
exact patterns find, and more. Only a hit there, or a body in which words can hide, is decoded and searched exactly.
"""

from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Any, Protocol

from msgspec import Struct

from keeptrusts.core.policies.kind import Phase
from keeptrusts.core.policies.pattern_set import compile_set
from keeptrusts.core.policies.registry import KINDS
from keeptrusts.core.policies.rule_set import Effect, Ruled, RuleSet, View
from keeptrusts.core.policies.scanner import Scanner

PAST_TENSE: Mapping[str, str] = {"flag": "flagged", "redact": "redacted", "block": "blocked", "escalate": "escalated"}
EFFECTS: Mapping[str, Effect] = {"flag": "note", "redact": "redact", "block": "block", "escalate": "note"}

UNICODE_ESCAPE = rb"\\u"
"""As a pattern: found in the same pass as the phrases, for less than a search of its own."""

STEP_CHARACTERS = 4 * 1024
"""So much is judged at once: between two steps others have their turn."""
STEP_TEXTS = 2_048

BETWEEN_TEXTS = "\x00"
"""No phrase reaches over it: short texts are searched together."""

Steps = Generator[None, None, "Verdict"]
"""Work that is done step by step; each ``next`` is one."""


class Policy(Protocol):
    """A policy as the rulebook holds it."""

    @property
    def name(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def action(self) -> str: ...
    @property
    def phase(self) -> str: ...
    @property
    def shadow(self) -> bool: ...
    @property
    def config(self) -> Mapping[str, Any]: ...


class Verdict(Struct, frozen=True):
    """``actions`` go into the call's event (``content_flagged:hate``); ``blocked_by`` names the policy that refuses it;
    ``redacted`` has, for each text that must not stay as it is, the text in its place; ``escalated`` names each policy that
    leaves the call to a person, with the action of what it found."""

    actions: tuple[str, ...] = ()
    blocked_by: str | None = None
    redacted: Mapping[str, str] = {}
    escalated: tuple[tuple[str, str], ...] = ()


CLEAN = Verdict()


class Judge:
    """The text policies of one edition for one phase. ``rule_set`` is what streams are read by."""

    def __init__(self, rule_set: RuleSet, search_body: Callable[[bytes], list[int] | None] | None) -> None:
        """``search_body`` None: no search of a raw body would find all that there may be."""
        self.rule_set = rule_set
        self._search_body = search_body

    def passes(self, body: bytes) -> bool:
        """Whether this JSON body surely meets no rule: it need not be decoded.

        A word can hide from the search of the raw body only outside ASCII or behind a ``\\u`` escape, which is a hit too.
        """
        return self._search_body is not None and body.isascii() and self._search_body(body) is None

    def check_input(self, body: bytes, texts: Callable[[], Iterable[str]]) -> Verdict:
        """Judge a call by its JSON ``body``. ``texts`` gives every string in it that the model reads; asked only if needed."""
        return CLEAN if self.passes(body) else self.check_texts(texts())

    def check_texts(self, texts: Iterable[str]) -> Verdict:
        """Judge decoded texts, each on its own: a phrase that is spread over several is not found."""
        verdict: Verdict = finished(self.examine(texts))
        return verdict

    def examine(self, texts: Iterable[str]) -> Steps:
        """``check_texts`` in steps of bounded work, however many and long the texts are."""
        met: set[int] = set()
        redacted: dict[str, str] = {}
        batch: list[str] = []
        size = 0
        for text in texts:
            if len(text) > STEP_CHARACTERS:
                yield from self._read(text, met, redacted)
                continue
            batch.append(text)
            size += len(text)
            if size > STEP_CHARACTERS or len(batch) >= STEP_TEXTS:
                yield from self._read_batch(batch, met, redacted)
                batch, size = [], 0
        yield from self._read_batch(batch, met, redacted)
        return self.verdict(met, redacted)

    def _read_batch(self, batch: list[str], met: set[int], redacted: dict[str, str]) -> Generator[None, None, None]:
        if not batch:
            return
        together = BETWEEN_TEXTS.join(batch).encode(errors="surrogatepass")
        if self.rule_set.met_in(View(together)):
            for text in batch:
                yield from self._read(text, met, redacted)
        else:
            yield

    def _read(self, text: str, met: set[int], redacted: dict[str, str]) -> Generator[None, None, None]:
        scanner = Scanner(self.rule_set)
        out: list[str] = []
        for at in range(0, len(text), STEP_CHARACTERS):
            out.append(scanner.push(text[at : at + STEP_CHARACTERS], last=at + STEP_CHARACTERS >= len(text)))
            if len(text) > STEP_CHARACTERS:
                yield
        if scanner.met:
            met |= scanner.met
            told = "".join(out)
            if told != text and scanner.blocked_by is None:
                redacted[text] = told
            yield

    def verdict(self, met: Iterable[int], redacted: Mapping[str, str] | None = None) -> Verdict:
        """What follows from the rules that were met, by their positions."""
        found = [self.rule_set.ruled[i] for i in sorted(met)]
        if not found:
            return CLEAN
        blocked_by = next((r.policy for r in found if r.effect == "block"), None)
        escalated = tuple(dict.fromkeys((r.policy, r.action) for r in found if r.escalates))
        return Verdict(tuple(dict.fromkeys(r.action for r in found)), blocked_by, redacted or {}, escalated)


def finished(steps: Generator[None, None, Any]) -> Any:
    """What the steps come to, taken all at once."""
    try:
        while True:
            next(steps)
    except StopIteration as end:
        return end.value


def action_name(policy: Policy, subject: str, label: str) -> str:
    """What the event calls it: ``content_flagged:hate``, ``content_blocked_shadow:hate``."""
    shadow = "_shadow" if policy.shadow else ""
    return f"{subject}_{PAST_TENSE[policy.action]}{shadow}:{label}"


def judges_in(policy: Policy, phase: Phase) -> bool:
    """Whether the policy has a say in this phase."""
    return policy.phase in (phase, "both")


def compile_policies(policies: Iterable[Policy], phase: Phase = "input") -> Judge | None:
    """The judge of the text policies among these; None when there is nothing to judge by.

    Raises KeyError for an unknown type and pydantic's ValidationError for a bad config: a rulebook holds neither.
    """
    ruled = [
        Ruled(
            rule,
            "note" if policy.shadow else EFFECTS[policy.action],
            action_name(policy, rule.subject, rule.label),
            policy.name,
            policy.action == "escalate" and not policy.shadow,
        )
        for policy in policies
        if judges_in(policy, phase) and (make_rules := KINDS[policy.type].rules) is not None
        for rule in make_rules(policy.config, policy.name)
    ]
    if not ruled:
        return None
    in_bodies = [r.rule.sought.in_body() for r in ruled]
    loose = [pattern for pattern in in_bodies if pattern]
    search = None
    if None not in in_bodies:
        search = compile_set([b"|".join([UNICODE_ESCAPE, *dict.fromkeys(loose)])], ascii_of_any_case=True)
    return Judge(RuleSet(ruled), search)
