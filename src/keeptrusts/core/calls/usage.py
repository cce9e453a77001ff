"""Token usage in disjoint buckets: what a call consumed, each token counted in exactly one bucket that has a price."""

from enum import StrEnum

from msgspec import Struct

from keeptrusts.core.calls.other_usage import Other

MOST_TOKENS = 1_000_000_000
"""No call uses more: a larger figure is a mistake, and its cost would not fit the ledger."""


class UsageSource(StrEnum):
    """Where a row's token counts come from, from the best evidence to none."""

    PROVIDER = "provider"
    COUNTED = "counted"
    WORST_CASE = "worst_case"
    NONE = "none"


class Usage(Struct, frozen=True, array_like=True, gc=False):
    """Tokens of one attempt. ``input`` is uncached input; ``reasoning`` is the part of ``output`` that was not shown.

    ``other`` None: nothing but words was used, at the standard tier.
    """

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    output: int = 0
    reasoning: int = 0
    other: Other | None = None

    @property
    def prompt_tokens(self) -> int:
        """All input, cached or not, as the OpenAI dialect counts it."""
        words = self.input + self.cache_read + self.cache_write + self.cache_write_1h
        return words if self.other is None else words + self.other.input_tokens + self.other.audio_read

    @property
    def total_tokens(self) -> int:
        """All input and all output."""
        return self.prompt_tokens + self.output + (0 if self.other is None else self.other.output_tokens)

    def summed(self) -> "Usage":
        """The same tokens as ledgers sum them: those of sound and pictures among those of words."""
        other = self.other
        if other is None:
            return self
        return Usage(
            self.input + other.input_tokens,
            self.cache_read + other.audio_read,
            self.cache_write,
            self.cache_write_1h,
            self.output + other.output_tokens,
            self.reasoning,
        )


NO_USAGE = Usage()
