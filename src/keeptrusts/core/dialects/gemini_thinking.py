"""How Gemini thinks: how much of it is asked for, and the signatures that carry it from one turn to the next.

Sources: the "Gemini thinking" and "Thought signatures" guides of the Gemini API, ``ThinkingConfig`` of google-genai.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from keeptrusts.core.calls.conversation import Reasoning
from keeptrusts.core.refusal import Reason, Refused

UNSIGNED = "skip_thought_signature_validator"
"""What the guide says to send in place of a signature that was lost, or for a call that another model made."""

_MARK = "gemini:"

_OLDER = re.compile(r"(?:gemini-[12](?!\d)|gemma)")
"""Models that are told a number of tokens, and that take calls without a signature."""

_BUDGETS: Mapping[str, int] = MappingProxyType(
    {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576, "xhigh": 24576}
)
"""Tokens for an older model, as the Gemini API's own OpenAI compatibility translates the words."""

_LEAST_OF_PRO = 128
"""Gemini 2.5 Pro can't be told not to think."""

_LEVELS: Mapping[str, str] = MappingProxyType(
    {"none": "LOW", "minimal": "LOW", "low": "LOW", "medium": "MEDIUM", "high": "HIGH", "xhigh": "HIGH"}
)
"""Levels for Gemini 3 and later, which always think: only levels that nearly all of them know, so MINIMAL is not here."""


def marked(signature: str) -> str:
    """A signature as the neutral form carries it: it tells whose it is, so that nobody else is handed it."""
    return _MARK + signature


def unmarked(signature: str | None) -> str | None:
    """The signature to send to Gemini; None when there is none, or it is another provider's."""
    return signature.removeprefix(_MARK) if is_gemini(signature) and signature is not None else None


def is_gemini(signature: str | None) -> bool:
    """Whether a thought's signature was made by Gemini: no other provider accepts it."""
    return signature is not None and signature.startswith(_MARK)


def needs_signatures(model: str) -> bool:
    """Whether the model refuses a turn whose first function call is not signed."""
    return _OLDER.search(model) is None


def thinking_config(reasoning: Reasoning, model: str) -> dict[str, Any]:
    """The request's ``thinkingConfig``. A budget of tokens goes before the words: Gemini takes only one of the two."""
    config: dict[str, Any] = {}
    if reasoning.shown is not None:
        config["includeThoughts"] = reasoning.shown
    if reasoning.budget_tokens is not None:
        config["thinkingBudget"] = reasoning.budget_tokens
    elif reasoning.effort is not None:
        config |= _dial(reasoning.effort, model)
    return config


def _dial(effort: str, model: str) -> dict[str, Any]:
    if effort not in _LEVELS:
        message = f"Gemini knows no reasoning effort {effort!r}: use one of {', '.join(_LEVELS)}."
        raise Refused(Reason.INVALID_REQUEST, message, {"param": "reasoning_effort"})
    if needs_signatures(model):
        return {"thinkingLevel": _LEVELS[effort]}
    least = _LEAST_OF_PRO if "-pro" in model else 0
    return {"thinkingBudget": max(least, _BUDGETS[effort])}
