"""Token usage in disjoint buckets: what a call consumed, each token counted in exactly one bucket that has a price."""

from enum import StrEnum

from msgspec import Struct

MOST_TOKENS = 1_000_000_000
"""No call uses more: a larger figure is a mistake, and its cost would not fit the ledger."""


class UsageSource(StrEnum):
    """Where a row's token counts come from, from the best evidence to none."""

    PROVIDER = "provider"
    COUNTED = "counted"
    WORST_CASE = "worst_case"
    NONE = "none"


class Usage(Struct, frozen=True, array_like=True, gc=False):
    """Tokens of one attempt. ``input`` is uncached input; ``reasoning`` is the part of ``output`` that was not shown."""

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    output: int = 0
    reasoning: int = 0

    @property
    def prompt_tokens(self) -> int:
        """All input, cached or not, as the OpenAI dialect counts it."""
        return self.input + self.cache_read + self.cache_write + self.cache_write_1h

    @property
    def total_tokens(self) -> int:
        """All input and all output."""
        return self.prompt_tokens + self.output


NO_USAGE = Usage()
