"""``content_filter``: names what a call says by category, from word lists.

This is a heuristic: it knows phrases and not meaning, English only, and passes what it has no words for. It flags the
blatant at next to no cost; it does not replace a moderation model or a person.
"""

from collections.abc import Mapping
from typing import Any, Literal, get_args

from pydantic import Field

from keeptrusts.core.policies import kind
from keeptrusts.core.policies.content_words import CATEGORIES, Level
from keeptrusts.core.policies.kind import Kind, Rule
from keeptrusts.core.policies.phrases import Phrases

Category = Literal["hate", "harassment", "violence", "self_harm", "sexual", "illicit"]

LEVELS: Mapping[str, tuple[Level, ...]] = {
    "high": ("plain",),
    "medium": ("plain", "likely"),
    "low": ("plain", "likely", "possible"),
}
"""How much must speak for harm before the filter acts: at ``high`` only what has hardly any innocent use."""


class Settings(kind.Settings):
    """``config`` of a content filter. Without categories it looks for all of them."""

    categories: list[Category] = Field(default=list(get_args(Category)), min_length=1, examples=["[hate, violence]"])
    threshold: Literal["low", "medium", "high"] = Field(
        default="medium",
        description="How plain a phrase must be: high acts on the unmistakable only, low on much that is harmless.",
    )


def rules(config: Mapping[str, Any], name: str) -> tuple[Rule, ...]:
    """One rule for each category, in the order of the config."""
    del name
    settings = Settings.model_validate(config)
    return tuple(
        Rule(
            "content",
            category,
            Phrases(tuple(p for level in LEVELS[settings.threshold] for p in CATEGORIES[category][level])),
            "[REMOVED]",
        )
        for category in dict.fromkeys(settings.categories)
    )


KIND = Kind(settings=Settings, rules=rules)
