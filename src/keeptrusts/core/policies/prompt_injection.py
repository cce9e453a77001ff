"""``prompt_injection``: phrases by which a text tries to become an instruction. A heuristic: it knows well-worn words.

Whoever puts it in other words, in another language, or in a code that the model can read, is not found. It lowers the noise;
what a model may do must be bounded elsewhere: by the tools it has, and by what those may touch.
"""

from collections.abc import Mapping
from typing import Any, Literal, get_args

from pydantic import Field

from keeptrusts.core.policies import kind
from keeptrusts.core.policies.injection_words import SIGNS, Level
from keeptrusts.core.policies.keyword import Words
from keeptrusts.core.policies.kind import Kind, Rule
from keeptrusts.core.policies.phrases import Phrases
from keeptrusts.core.policies.plain_words import as_phrase

Sign = Literal["override", "prompt_leak", "jailbreak", "forged_turn"]

LEVELS: Mapping[str, tuple[Level, ...]] = {
    "high": ("plain",),
    "medium": ("plain", "likely"),
    "low": ("plain", "likely", "possible"),
}


class Settings(kind.Settings):
    """``config`` of a prompt_injection policy. Without ``signs`` it looks for all of them."""

    signs: list[Sign] = Field(default=list(get_args(Sign)), min_length=1, examples=["[override, forged_turn]"])
    threshold: Literal["low", "medium", "high"] = Field(
        default="medium",
        description="How plain a phrase must be: high acts on the unmistakable only, low on much that is harmless.",
    )
    attack_phrases: list[Words] = Field(
        default=[], max_length=1_000, description="Further phrases to look for.", examples=["[disregard the rules]"]
    )


def rules(config: Mapping[str, Any], name: str) -> tuple[Rule, ...]:
    """One rule for each sign, and one for the phrases of the config."""
    del name
    settings = Settings.model_validate(config)
    found = [
        Rule(
            "injection",
            sign,
            Phrases(tuple(phrase for level in LEVELS[settings.threshold] for phrase in SIGNS[sign][level])),
            "[REMOVED]",
        )
        for sign in dict.fromkeys(settings.signs)
    ]
    if settings.attack_phrases:
        own = Phrases(tuple(dict.fromkeys(map(as_phrase, settings.attack_phrases))))
        found.append(Rule("injection", "attack_phrase", own, "[REMOVED]"))
    return tuple(found)


KIND = Kind(settings=Settings, rules=rules)
