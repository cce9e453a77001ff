"""Usage as OpenAI's chat and completions tell it, in disjoint buckets and back.

Source: the ``CompletionUsage`` schema of OpenAI's API description, and the prompt caching guide: what was read from the
cache and what was written to it are parts of ``prompt_tokens`` that do not overlap; reasoning is a part of
``completion_tokens``. xAI counts reasoning beside ``completion_tokens``; its ``total_tokens`` is then the sum of all three.
"""

from typing import Any

import msgspec
from msgspec import Struct

from keeptrusts.core.calls.other_usage import Other, tier_of
from keeptrusts.core.calls.usage import MOST_TOKENS, Usage


class _PromptDetails(Struct, frozen=True):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    audio_tokens: int | None = None


class _CompletionDetails(Struct, frozen=True):
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None


class UsageObject(Struct, frozen=True):
    """A ``usage`` object, as it is told."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None


_NO_PROMPT_DETAILS = _PromptDetails()
_NO_COMPLETION_DETAILS = _CompletionDetails()


def read_usage(value: Any) -> Usage | None:
    """The usage of a decoded ``usage`` object; None when there is none, or when its figures contradict each other."""
    try:
        return buckets(msgspec.convert(value, UsageObject))
    except msgspec.ValidationError:
        return None


def buckets(told: UsageObject, service_tier: str | None = None) -> Usage | None:
    """Disjoint buckets; None when the figures contradict each other. Sound is a part of input and of output."""
    prompt = told.prompt_tokens_details or _NO_PROMPT_DETAILS
    cached, written = prompt.cached_tokens or 0, prompt.cache_write_tokens or 0
    reasoning = (told.completion_tokens_details or _NO_COMPLETION_DETAILS).reasoning_tokens or 0
    output = told.completion_tokens
    if told.total_tokens == told.prompt_tokens + output + reasoning:
        output += reasoning
    fresh = told.prompt_tokens - cached - written
    figures = (fresh, cached, written, output, reasoning)
    if min(figures) < 0 or max(told.prompt_tokens, output) > MOST_TOKENS or reasoning > output:
        return None
    heard = prompt.audio_tokens or 0
    spoken = told.completion_tokens_details.audio_tokens or 0 if told.completion_tokens_details is not None else 0
    tier = tier_of(service_tier)
    if heard or spoken or tier is not None:
        other = Other(audio_input=heard, audio_output=spoken, service_tier=tier)
        if min(heard, spoken, fresh - heard, output - spoken - reasoning) < 0:
            return None
        return Usage(fresh - heard, cached, written, 0, output - spoken, reasoning, other)
    return Usage(fresh, cached, written, 0, output, reasoning)


def write_usage(usage: Usage) -> dict[str, Any]:
    """The ``usage`` object that says this."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.total_tokens - usage.prompt_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write + usage.cache_write_1h,
        },
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }
