"""What a kind of policy is: the settings it takes, where it may judge, what it may do, and the rules that it makes of them."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

from msgspec import Struct
from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict
from pydantic_core import PydanticCustomError

Phase = Literal["input", "output"]
Action = Literal["flag", "redact", "block", "escalate"]

BOTH_PHASES: frozenset[str] = frozenset({"input", "output", "both"})
INPUT_ONLY: frozenset[str] = frozenset({"input"})
ANY_ACTION: frozenset[str] = frozenset({"flag", "redact", "block", "escalate"})
ALL_BUT_REDACT: frozenset[str] = frozenset({"flag", "block", "escalate"})
FLAG_OR_BLOCK: frozenset[str] = frozenset({"flag", "block"})


class Sought(Protocol):
    """What a rule looks for. The first group of ``in_text`` is what was found."""

    @property
    def folded(self) -> bool:
        """Whether it is looked for in the normalised text, not in the text as it is written."""

    @property
    def led(self) -> bool:
        """Whether the pattern takes the character before what it finds."""

    @property
    def longest_bytes(self) -> int:
        """Nothing longer is found: so much of a stream is held back."""

    @property
    def accept(self) -> Callable[[bytes], bool] | None:
        """Whether what has the form is the thing; None: it is."""

    @property
    def eats(self) -> tuple[bytes, bytes] | None:
        """Two patterns of what belongs to it when it follows: a part of any length, character by character, and its end."""

    def in_text(self) -> bytes:
        """The pattern for a text."""

    def in_body(self) -> bytes | None:
        """A pattern that finds no less in a JSON body in ASCII of any case; None when there is none, empty: nothing is there."""


class Rule(Struct, frozen=True):
    """What to look for and what to call it. ``subject`` and ``label`` make the action's name: ``content_flagged:hate``.

    ``marker`` stands in the place of what is redacted.
    """

    subject: str
    label: str
    sought: Sought
    marker: str = "[REDACTED]"


class Settings(BaseModel):
    """What every kind's settings have in common: strict types, no unknown keys."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


def matching(pattern: str, code: str, message: str, suggestion: str) -> AfterValidator:
    """Text of this form; what else is written gets this error."""
    form = re.compile(pattern)

    def check(text: str) -> str:
        if form.fullmatch(text) is None:
            raise PydanticCustomError(code, "{message}", {"message": message, "suggestion": suggestion})
        return text

    return AfterValidator(check)


def either(*names: str) -> AliasChoices:
    """A setting's name, and what others call it."""
    return AliasChoices(*names)


Judges = Literal["text", "call", "target", "service"]
"""What a kind looks at: the words, the call's other settings, where it would go, or whatever a service of the user's does."""


class Kind(Struct, frozen=True):
    """``settings`` is what ``config`` may hold; ``rules`` compiles a config that these settings accept, for kinds that judge
    text."""

    settings: type[BaseModel]
    rules: Callable[[Mapping[str, Any], str], tuple[Rule, ...]] | None = None
    judges: Judges = "text"
    phases: frozenset[str] = BOTH_PHASES
    actions: frozenset[str] = ANY_ACTION
