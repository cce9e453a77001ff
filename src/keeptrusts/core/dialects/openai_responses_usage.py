"""Usage as the Responses dialect tells it, in disjoint buckets and back.

Source: the ``ResponseUsage`` schema of OpenAI's API description and its guide on prompt caching: ``input_tokens`` holds
what was read from the cache (``cached_tokens``) and what was written to it (``cache_write_tokens``, since GPT-5.6), which
do not overlap; ``output_tokens`` holds ``reasoning_tokens``. Writes that are kept for 12 hours go to the bucket of the
longer-lived ones.
"""

from typing import Any

import msgspec
from msgspec import Raw, Struct

from keeptrusts.core.calls.usage import MOST_TOKENS, Usage


class _Written(Struct, frozen=True):
    ttl_12h_tokens: int = 0


class _InputDetails(Struct, frozen=True):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_tokens_details: _Written | None = None


class _OutputDetails(Struct, frozen=True):
    reasoning_tokens: int | None = None


class _Usage(Struct, frozen=True):
    input_tokens: int
    output_tokens: int
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None


_NO_INPUT_DETAILS = _InputDetails()
_NO_OUTPUT_DETAILS = _OutputDetails()

_decode_usage = msgspec.json.Decoder(_Usage).decode

NOTHING = Raw(b"null")

UNREADABLE = (ValueError, RecursionError)
"""What decoding a provider's bytes may raise."""


def buckets(told: Raw | bytes) -> Usage | None:
    """The usage that a ``usage`` object tells; None when it is none, or when its figures contradict each other."""
    try:
        usage = _decode_usage(told)
    except UNREADABLE:
        return None
    details = usage.input_tokens_details or _NO_INPUT_DETAILS
    cached, written = details.cached_tokens or 0, details.cache_write_tokens or 0
    long = details.cache_write_tokens_details.ttl_12h_tokens if details.cache_write_tokens_details else 0
    reasoning = (usage.output_tokens_details or _NO_OUTPUT_DETAILS).reasoning_tokens or 0
    figures = (usage.input_tokens - cached - written, cached, written - long, long, usage.output_tokens, reasoning)
    if min(figures) < 0 or usage.input_tokens > MOST_TOKENS or usage.output_tokens > MOST_TOKENS:
        return None
    return None if reasoning > usage.output_tokens else Usage(*figures)


def usage_object(usage: Usage | None) -> dict[str, Any] | None:
    """The ``usage`` object that tells this."""
    if usage is None:
        return None
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write + usage.cache_write_1h,
        },
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.total_tokens,
    }


LAST_EVENTS = frozenset({"response.completed", "response.incomplete", "response.failed"})
"""Events that end a stream and tell its usage."""
