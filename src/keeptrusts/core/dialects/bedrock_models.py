"""What differs between the families of models behind Bedrock's one API: the dials that each has of its own.

Sources: "Inference request parameters", "Prompt caching" and "Adaptive thinking" of the Amazon Bedrock user guide.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

from msgspec import Struct

from keeptrusts.core.calls.conversation import CacheMark, Conversation
from keeptrusts.core.dialects.anthropic_models import abilities_of
from keeptrusts.core.dialects.anthropic_thinking import write_thought
from keeptrusts.core.refusal import Reason, Refused

Family = Literal["claude", "nova", "openai", "other"]

_FAMILIES: tuple[tuple[re.Pattern[str], Family], ...] = (
    (re.compile(r"anthropic\."), "claude"),
    (re.compile(r"amazon\.nova"), "nova"),
    (re.compile(r"openai\."), "openai"),
    # An ARN that does not name its model (a profile, a provisioned throughput): who sets dials there, sets Claude's.
    (re.compile(r"^arn:(?!.*(:foundation-model/|:inference-profile/))"), "claude"),
)

_LEVELS: Mapping[str, str] = MappingProxyType(
    {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high"}
)
"""The words that OpenAI's open models and Nova 2 know for how much to think."""

_USUAL_LIMIT = 8192
"""Tokens of an answer whose limit nobody said: what a budget of thinking is a share of."""


class Dials(Struct, frozen=True):
    """``additional`` is ``additionalModelRequestFields``; ``effort`` is ``outputConfig.effort``."""

    sampling: Mapping[str, float]
    additional: Mapping[str, Any]
    effort: str | None = None


def family_of(model: str) -> Family:
    """Whose model it is, by its id or ARN."""
    return next((family for pattern, family in _FAMILIES if pattern.search(model)), "other")


def cache_point(mark: CacheMark, model: str, in_tools: bool = False) -> dict[str, Any] | None:
    """The mark after what shall be kept; None for a model that has no cache there, as the mark only saves money."""
    family = family_of(model)
    if family == "claude":
        return {"cachePoint": {"type": "default"} | ({"ttl": "1h"} if mark == "1h" else {})}
    return {"cachePoint": {"type": "default"}} if family == "nova" and not in_tools else None


def dials_of(conversation: Conversation, model: str) -> Dials:
    """How the model is sampled, and how much it thinks. Raises Refused for what this model can't be told."""
    return (_claude if family_of(model) == "claude" else _others)(conversation, model)


def _claude(conversation: Conversation, model: str) -> Dials:
    """As Anthropic's own API is told, so that the same model answers alike wherever it is called."""
    thought = write_thought(conversation, model, conversation.max_tokens or _USUAL_LIMIT)
    additional: dict[str, Any] = {}
    if thought.config is not None:
        config = dict(thought.config)
        if config["type"] != "adaptive":
            config.pop("display", None)  # younger than the models that are given a budget
        additional["thinking"] = config
    if thought.on or not abilities_of(model).sampling:
        return Dials({}, additional, thought.effort)
    if conversation.top_k is not None:
        additional["top_k"] = conversation.top_k
    sampling = {name: value for name, value in _sampling(conversation).items() if value != 1}
    return Dials(sampling, additional, thought.effort)


def _others(conversation: Conversation, model: str) -> Dials:
    return Dials(_sampling(conversation), _thinking(conversation, model) | _top_k(conversation, model))


def _sampling(conversation: Conversation) -> dict[str, float]:
    """Bedrock's temperatures end at 1."""
    sampling: dict[str, float] = {}
    if conversation.temperature is not None:
        sampling["temperature"] = min(conversation.temperature, 1)
    if conversation.top_p is not None:
        sampling["topP"] = conversation.top_p
    return sampling


def _top_k(conversation: Conversation, model: str) -> dict[str, Any]:
    if conversation.top_k is None:
        return {}
    if family_of(model) == "nova":
        return {"inferenceConfig": {"topK": conversation.top_k}}
    message = f"Bedrock's model {model!r} can't be told a `top_k`: leave it out, or use `top_p`."
    raise Refused(Reason.INVALID_REQUEST, message, {"param": "top_k"})


def _thinking(conversation: Conversation, model: str) -> dict[str, Any]:
    """A family without such a dial thinks as it does, as does one that is told no words: how much is a wish."""
    effort = conversation.reasoning.effort if conversation.reasoning is not None else None
    if effort is None or effort == "none":
        return {}
    if effort not in _LEVELS:
        message = f"Bedrock knows no reasoning effort {effort!r}: use one of none, {', '.join(_LEVELS)}."
        raise Refused(Reason.INVALID_REQUEST, message, {"param": "reasoning_effort"})
    if family_of(model) == "openai":
        return {"reasoning_effort": _LEVELS[effort]}
    if "amazon.nova-2" in model:
        return {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": _LEVELS[effort]}}
    return {}
