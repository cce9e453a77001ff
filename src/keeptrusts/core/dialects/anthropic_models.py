"""What a Claude model takes, told by its name: models differ in how they are asked to think, and whether they are sampled.

Source: Anthropic's pages on thinking, adaptive thinking and effort, and the migration guides of Claude 4.6 and 4.7 (since
then ``budget_tokens`` and ``temperature``, ``top_p``, ``top_k`` are errors; version 2 of the SDK has no such parameters).
"""

from typing import Literal

from msgspec import Struct


class Abilities(Struct, frozen=True):
    """``thinking``: not at all, within a budget of tokens, or as it sees fit, guided by an effort in words.

    ``sampling``: it takes temperature, top_p and top_k.
    """

    thinking: Literal["never", "budget", "adaptive"]
    sampling: bool


_FAMILIES: tuple[tuple[Abilities, tuple[str, ...]], ...] = (
    (
        Abilities("never", sampling=True),
        ("claude-instant", "claude-2", "claude-3-haiku", "claude-3-sonnet", "claude-3-opus", "claude-3-5-"),
    ),
    (
        Abilities("budget", sampling=True),
        (
            *("claude-3-7-", "claude-opus-4-0", "claude-opus-4-1", "claude-opus-4-2025", "claude-opus-4-5"),
            *("claude-sonnet-4-0", "claude-sonnet-4-2025", "claude-sonnet-4-5", "claude-haiku-4-5"),
        ),
    ),
    (Abilities("adaptive", sampling=True), ("claude-opus-4-6", "claude-sonnet-4-6")),
    (Abilities("adaptive", sampling=False), ("claude",)),
)
"""The first family with a name in the model's is its own; the last is every later one."""

_OTHERS = Abilities("budget", sampling=True)
"""Models of other makers that are served in this dialect: they know it as it was first."""


def abilities_of(model: str) -> Abilities:
    """What the model takes; ``anthropic/claude-opus-4.5`` is ``claude-opus-4-5``."""
    name = model.replace(".", "-")
    return next((able for able, family in _FAMILIES if any(part in name for part in family)), _OTHERS)
