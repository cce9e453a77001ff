"""``policies``: what calls and answers are held against."""

from typing import Any, Literal

from pydantic import Field

from keeptrusts.core.rulebook.policy_file.entry import Entry
from keeptrusts.core.rulebook.policy_file.values import Name


class Policy(Entry):
    """A policy. ``core/policies`` knows its ``type`` and what its ``config`` may hold."""

    name: Name = Field(examples=["content-filter"])
    type: Name = Field(examples=["content_filter"])
    action: Literal["flag", "redact", "block", "escalate"] = Field(
        default="flag",
        description="`flag` is recorded in the event, `redact` puts a marker in the place of what was found, `block` refuses, "
        "`escalate` holds the call for an approver (`kt tickets`).",
    )
    phase: Literal["input", "output", "both"] = Field(
        default="input", description="What is judged: the call, its answer."
    )
    shadow: bool = Field(default=False, description="Judge and record, as `..._shadow`, but never act.")
    fail_mode: Literal["block", "allow"] | None = Field(
        default=None,
        description="What becomes of a call that can't be judged. Left out: what `kt gateway run --fail-mode` says.",
        examples=["block"],
    )
    config: dict[str, Any] = Field({}, examples=["{categories: [hate]}"])
