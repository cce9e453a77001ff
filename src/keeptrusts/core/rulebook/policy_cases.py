"""Golden cases of policies: a file that says what shall become of calls and answers, read with every mistake at its place."""

from typing import Any, Literal

from msgspec import Struct
from pydantic import AliasChoices, Field, ValidationError

from keeptrusts.core.problem import Problem
from keeptrusts.core.rulebook.complaints import Complaints
from keeptrusts.core.rulebook.places import plain
from keeptrusts.core.rulebook.policy_file.entry import Entry
from keeptrusts.core.rulebook.policy_file.values import Name
from keeptrusts.core.rulebook.yaml_tree import Unreadable, read_tree

Verdict = Literal["allow", "flag", "redact", "escalate", "block"]


class Expected(Entry):
    """What is left out is not looked at."""

    action: Verdict = Field(
        validation_alias=AliasChoices("action", "verdict"),
        description="What is done in the end: the strongest of all that is done.",
        examples=["block"],
    )
    policies: list[Name] | None = Field(
        default=None, description="Exactly the policies that find something.", examples=["[personal-data]"]
    )
    actions: list[str] | None = Field(
        default=None, description="Exactly what the event says.", examples=["[pii_redacted:email]"]
    )
    redacted: str | None = Field(
        default=None,
        description="The prompt, or the answer where the case has one, as it goes on.",
        examples=["Write to [EMAIL]"],
    )


class Case(Entry):
    """One call, or one answer to it."""

    name: Name = Field(examples=["an address is redacted"])
    input: str | None = Field(default=None, description="What the user says.", examples=["Write to bob@example.com"])
    messages: list[dict[str, Any]] | None = Field(
        default=None, description="The messages of a chat, in place of `input`."
    )
    output: str | None = Field(default=None, description="What the model answers.", examples=["I am bob@example.com"])
    model: Name = Field(default="gpt-4o-mini", examples=["gpt-4o-mini"])
    group: Name | None = Field(default=None, description="The consumer group that calls.", examples=["engineering"])
    tools: list[str] = Field(default=[], description="Tools that the call gives, by name.", examples=["[shell]"])
    expect: Expected = Field(
        validation_alias=AliasChoices("expect", "expected"), examples=["{action: block, policies: [no-secrets]}"]
    )


class CasesFile(Entry):
    """A file of golden cases."""

    cases: list[Case] = Field(
        min_length=1, max_length=10_000, examples=["[{name: ..., input: ..., expect: {action: allow}}]"]
    )


class ReadCases(Struct, frozen=True):
    """``cases`` is empty when there are problems."""

    cases: tuple[Case, ...]
    problems: tuple[Problem, ...] = ()


def read_cases(text: str) -> ReadCases:
    """The cases of a file, or all that is wrong with it. JSON is YAML too."""
    try:
        tree = read_tree(text.removeprefix("\ufeff"))
    except Unreadable as stopped:
        return ReadCases((), (stopped.problem,))
    if tree.root is None:
        return ReadCases((), (Problem("empty", "the file is empty", "", 1, 1, "write `cases: [...]`"),))
    document, places = plain(tree.root)
    try:
        found = CasesFile.model_validate(document)
    except ValidationError as errors:
        return ReadCases((), (*tree.problems, *Complaints(CasesFile, places).of(errors)))
    return ReadCases(() if tree.problems else tuple(found.cases), tree.problems)
