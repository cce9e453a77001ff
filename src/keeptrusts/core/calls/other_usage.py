"""What only some calls use beside words: tokens of sound and pictures, things that are billed by the piece, a service tier."""

from msgspec import Struct

MOST_PIECES = 1_000_000_000
"""No call uses more of anything: a larger figure is a mistake, and its cost would not fit the ledger."""


class Other(Struct, frozen=True, array_like=True, gc=False):
    """Disjoint from the tokens of ``Usage`` and from each other; new fields are appended, since journals hold them by place.

    ``audio_read`` is audio input that came from the cache. ``image_kind`` says what the pictures were: ``quality/size``.
    ``web_searches``, ``file_searches`` and ``code_sessions`` are tools that ran at the provider. ``service_tier`` None: the
    standard one.
    """

    audio_input: int = 0
    audio_read: int = 0
    image_input: int = 0
    audio_output: int = 0
    image_output: int = 0
    images: int = 0
    image_kind: str | None = None
    characters: int = 0
    audio_ms: int = 0
    web_searches: int = 0
    file_searches: int = 0
    code_sessions: int = 0
    service_tier: str | None = None

    @property
    def input_tokens(self) -> int:
        """Its tokens of input that were not read from the cache."""
        return self.audio_input + self.image_input

    @property
    def output_tokens(self) -> int:
        """Its tokens of output."""
        return self.audio_output + self.image_output

    @property
    def figures(self) -> tuple[int, ...]:
        """All its numbers."""
        return (
            self.audio_input,
            self.audio_read,
            self.image_input,
            self.audio_output,
            self.image_output,
            self.images,
            self.characters,
            self.audio_ms,
            self.web_searches,
            self.file_searches,
            self.code_sessions,
        )

    @property
    def possible(self) -> bool:
        """Whether the figures can be."""
        return min(self.figures) >= 0 and max(self.figures) <= MOST_PIECES


NO_OTHER = Other()


def some(other: Other) -> Other | None:
    """The same, or None where it says nothing."""
    return None if other == NO_OTHER else other


STANDARD_TIERS = frozenset({None, "default", "standard", "auto", "on_demand"})
"""As OpenAI, Anthropic and (``on_demand``) Groq call it."""


def tier_of(told: str | None) -> str | None:
    """A service tier as a provider tells it; None for the standard one."""
    return None if told in STANDARD_TIERS or told is None else told[:64]
