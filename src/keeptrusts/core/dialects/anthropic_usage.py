"""What a Messages answer says it used, both ways.

Source: ``Usage`` and ``MessageDeltaUsage`` of Anthropic's SDK: ``input_tokens`` is uncached input, the cache's figures stand
beside it; ``output_tokens`` holds all thinking; a stream's later figures are cumulative and replace the earlier ones.
"""

from typing import Any

import msgspec
from msgspec import Raw, Struct

from keeptrusts.core.calls.other_usage import Other, tier_of
from keeptrusts.core.calls.usage import MOST_TOKENS, Usage


class _CacheCreation(Struct, frozen=True):
    ephemeral_5m_input_tokens: int = 0
    ephemeral_1h_input_tokens: int = 0


class _OutputDetails(Struct, frozen=True):
    thinking_tokens: int = 0


class _ServerTools(Struct, frozen=True):
    web_search_requests: int = 0


class Figures(Struct, frozen=True):
    """The figures as they are told; None is one that is not."""

    input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation: _CacheCreation | None = None
    output_tokens: int | None = None
    output_tokens_details: _OutputDetails | None = None
    server_tool_use: _ServerTools | None = None
    service_tier: str | None = None

    def then(self, later: "Figures") -> "Figures":
        """These figures, but for those that ``later`` tells anew."""
        told = {name: value for name in self.__struct_fields__ if (value := getattr(later, name)) is not None}
        return msgspec.structs.replace(self, **told)


_decode = msgspec.json.Decoder(Figures | None).decode


def read_figures(raw: Raw) -> Figures | None:
    """The figures of a ``usage`` object; None when there is none, or it is none."""
    try:
        return _decode(raw) if bytes(raw) else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def usage_of(figures: Figures) -> Usage | None:
    """Disjoint buckets; None when a count is missing, can't be, or contradicts another one.

    Writes to the cache whose time is not told are five-minute ones, which is the default. ``thinking_tokens`` is counted
    anew there and may differ by a few: it is never more than the output.
    """
    written, parts = figures.cache_creation_input_tokens, figures.cache_creation
    if figures.input_tokens is None or figures.output_tokens is None:
        return None
    if parts is None:
        parts = _CacheCreation(written or 0)
    short, long = parts.ephemeral_5m_input_tokens, parts.ephemeral_1h_input_tokens
    if written is not None and written != short + long:
        return None
    thinking = figures.output_tokens_details.thinking_tokens if figures.output_tokens_details is not None else 0
    searches = 0 if figures.server_tool_use is None else figures.server_tool_use.web_search_requests
    tier = tier_of(figures.service_tier)
    usage = Usage(
        figures.input_tokens,
        figures.cache_read_input_tokens or 0,
        short,
        long,
        figures.output_tokens,
        min(thinking, figures.output_tokens),
        None if searches == 0 and tier is None else Other(web_searches=searches, service_tier=tier),
    )
    counts = (usage.input, usage.cache_read, short, long, usage.output, thinking, searches)
    return usage if all(0 <= count <= MOST_TOKENS for count in counts) else None


def write_usage(usage: Usage | None) -> dict[str, Any]:
    """The ``usage`` object, which an answer must have: where nothing is known, its two required figures are 0."""
    if usage is None:
        return {"input_tokens": 0, "output_tokens": 0}
    return {
        "input_tokens": usage.summed().input,
        "cache_creation_input_tokens": usage.cache_write + usage.cache_write_1h,
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        },
        "output_tokens": usage.summed().output,
        "output_tokens_details": {"thinking_tokens": usage.reasoning},
    }
