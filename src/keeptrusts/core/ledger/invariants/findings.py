"""What an examination of the books found: each invariant by its number, what was looked at, and the rows that break it."""

from collections.abc import Iterable, Mapping
from typing import Literal, get_args

from msgspec import Struct, field

Number = Literal["L1", "L2", "L3", "L4", "L5", "L6", "L7", "L8", "L9", "L10", "L11", "L12"]
NUMBERS: tuple[Number, ...] = get_args(Number)

SENTENCES: Mapping[Number, str] = {
    "L1": "every wallet period adds up: what is leased, posted, in suspense and carried is what its leases, events and statement say",
    "L2": "no lease was granted beyond a budget",
    "L3": "holds stay within their lease, and a lease within what was granted",
    "L4": "no attempt was billed more than its hold",
    "L5": "each call has one event, and each attempt one end",
    "L6": "every cost stands on evidence: a provider's figures, our own count, or a flag",
    "L7": "every node's journal is applied once, in order",
    "L8": "nothing in the ledger or the audit trail was changed or deleted",
    "L9": "every cost recomputes from its row",
    "L10": "the audit chain holds",
    "L11": "what a wallet pays, every wallet above it pays too",
    "L12": "nothing stays held by those who are gone",
}
"""The promises of the ledger, each in one sentence."""

FINDINGS_MAX = 20
"""Findings of one invariant that are told one by one; beyond them only their number."""


class Finding(Struct, frozen=True):
    """One row that breaks an invariant. ``subject`` names it, ``what`` says which of its facts; ``expected`` follows from
    the other rows, ``found`` is what stands there."""

    invariant: Number
    subject: str
    what: str
    expected: int | str | None = None
    found: int | str | None = None

    def __str__(self) -> str:
        """One line for people."""
        if self.expected is None and self.found is None:
            return f"{self.subject}: {self.what}"
        return f"{self.subject}: {self.what}: expected {self.expected}, found {self.found}"


class Verdict(Struct):
    """One invariant after an examination. ``checked`` counts the rows that it was held against, ``broken`` all findings,
    of which ``findings`` are the first. ``notes`` count what is allowed and worth knowing, in words. ``whole``: everything
    that it speaks of was looked at."""

    invariant: Number
    checked: int = 0
    broken: int = 0
    findings: list[Finding] = field(default_factory=list)
    notes: dict[str, int] = field(default_factory=dict)
    whole: bool = False

    @property
    def ok(self) -> bool | None:
        """None: nothing speaks against it, but not everything was looked at."""
        if self.broken:
            return False
        return True if self.whole else None


class Verdicts:
    """All invariants, while an examination goes on."""

    def __init__(self) -> None:
        self._by_number: dict[Number, Verdict] = {number: Verdict(number) for number in NUMBERS}

    def __getitem__(self, number: Number) -> Verdict:
        return self._by_number[number]

    def checked(self, number: Number, rows: int = 1) -> None:
        """So many more rows were held against it."""
        self._by_number[number].checked += rows

    def find(self, findings: Iterable[Finding]) -> None:
        """These rows break what they name."""
        for finding in findings:
            verdict = self._by_number[finding.invariant]
            verdict.broken += 1
            if len(verdict.findings) < FINDINGS_MAX:
                verdict.findings.append(finding)

    def note(self, number: Number, what: str, count: int = 1) -> None:
        """Something that is allowed, and worth knowing."""
        if count:
            notes = self._by_number[number].notes
            notes[what] = notes.get(what, 0) + count

    def include(self, other: "Verdicts") -> None:
        """What another examination found, of other rows."""
        for verdict in other.all:
            into = self._by_number[verdict.invariant]
            into.checked += verdict.checked
            into.broken += verdict.broken
            into.findings += verdict.findings[: FINDINGS_MAX - len(into.findings)]
            into.whole = into.whole or verdict.whole
            for what, count in verdict.notes.items():
                self.note(verdict.invariant, what, count)

    def complete(self, *numbers: Number) -> None:
        """Everything that these speak of was looked at."""
        for number in numbers:
            self._by_number[number].whole = True

    @property
    def all(self) -> list[Verdict]:
        """In their order."""
        return list(self._by_number.values())

    @property
    def broken(self) -> int:
        """How many findings there are."""
        return sum(verdict.broken for verdict in self.all)


def as_json(verdict: Verdict) -> dict[str, object]:
    """A verdict as programs read it; amounts are whole nano-USD."""
    return {
        "invariant": verdict.invariant,
        "sentence": SENTENCES[verdict.invariant],
        "ok": verdict.ok,
        "checked": verdict.checked,
        "broken": verdict.broken,
        "findings": [
            {"subject": it.subject, "what": it.what, "expected": it.expected, "found": it.found}
            for it in verdict.findings
        ],
        "notes": verdict.notes,
    }
