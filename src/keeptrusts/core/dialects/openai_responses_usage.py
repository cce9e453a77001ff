"""Usage as the Responses dialect tells it, in disjoint buckets and back.

Source: the ``ResponseUsage`` schema of OpenAI's API description and its guide on prompt caching: ``input_tokens`` holds
what was read from the cache (``cached_tokens``) and what was written to it (``cache_write_tokens``, since GPT-5.6), which
do not overlap; ``output_tokens`` holds ``reasoning_tokens``. Writes that are kept for 12 hours go to the bucket of the
longer-lived ones.
"""

from typing import Any

import msgspec
from msgspec import Raw, Struct

from keeptrusts.core.calls.other_usage import Other, some, tier_of
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


class _Action(Struct, frozen=True):
    type: str | None = None


class _Item(Struct, frozen=True):
    type: str | None = None
    action: _Action | None = None
    container_id: str | None = None


_decode_items = msgspec.json.Decoder(list[_Item]).decode
_TOOL_ITEMS = (b"_search_call", b"code_interpreter_call")


def with_tools(usage: Usage | None, output: Raw, service_tier: str | None) -> Usage | None:
    """The usage with the tools that ran at OpenAI, by the answer's ``output`` items, and the tier that served it.

    Of web searches the actions ``search`` are billed; of the code interpreter its containers.
    """
    told = bytes(output)
    tier = tier_of(service_tier)
    uses_tools = any(name in told for name in _TOOL_ITEMS)
    if usage is None or (tier is None and not uses_tools):
        return usage
    try:
        items = _decode_items(told) if uses_tools else []
    except UNREADABLE:
        return None
    searches = [i for i in items if i.type == "web_search_call" and (i.action is None or i.action.type in SEARCHES)]
    files = [i for i in items if i.type == "file_search_call"]
    code = [i.container_id for i in items if i.type == "code_interpreter_call"]
    sessions = len(set(filter(None, code))) + code.count(None)
    other = Other(web_searches=len(searches), file_searches=len(files), code_sessions=sessions, service_tier=tier)
    return msgspec.structs.replace(usage, other=some(other))


SEARCHES = (None, "search")


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
        "output_tokens": usage.total_tokens - usage.prompt_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.total_tokens,
    }


LAST_EVENTS = frozenset({"response.completed", "response.incomplete", "response.failed"})
"""Events that end a stream and tell its usage."""
