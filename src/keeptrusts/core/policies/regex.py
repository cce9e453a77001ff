"""``regex``: patterns of the user's own, in RE2's syntax, which no text can make slow."""

from collections.abc import Mapping
from typing import Annotated, Any

import re2
from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from keeptrusts.core.policies import kind
from keeptrusts.core.policies.kind import Kind, Rule
from keeptrusts.core.policies.pattern import Pattern
from keeptrusts.core.policies.pii import Marker
from keeptrusts.core.policies.rule_set import compile_one


def _compiles(pattern: str) -> str:
    try:
        empty = compile_one(f"({pattern})".encode()).search(b"")
    except re2.error as error:
        told = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error.args[0])
        message = f"this is no pattern that RE2 knows: {told}"
        raise PydanticCustomError("bad_pattern", "{message}", {
            "message": message, "suggestion": "RE2 has no look-around and no back-references; see its syntax page",
        }) from None  # fmt: skip
    if empty is not None:
        message = "this pattern is met by nothing at all, so by every text"
        raise PydanticCustomError(
            "empty_pattern", "{message}", {"message": message, "suggestion": "use + in place of *"}
        )
    return pattern


Written = Annotated[str, StringConstraints(min_length=1, max_length=2_000), AfterValidator(_compiles)]


class Settings(kind.Settings):
    """``config`` of a regex policy."""

    patterns: list[Written] = Field(min_length=1, max_length=1_000, examples=["['ACME-[0-9]{6}']"])
    longest_match: int = Field(
        default=200,
        ge=8,
        le=4_000,
        description="In bytes. What is longer is cut there; so much of a stream is held back.",
        examples=[200],
    )
    marker: Marker = Field(default="[REDACTED]", description="What stands in the place of what is redacted.")


def rules(config: Mapping[str, Any], name: str) -> tuple[Rule, ...]:
    """One rule for each pattern."""
    settings = Settings.model_validate(config)
    return tuple(
        Rule("regex", name, Pattern(pattern, None, settings.longest_match), settings.marker)
        for pattern in dict.fromkeys(settings.patterns)
    )


KIND = Kind(settings=Settings, rules=rules)
