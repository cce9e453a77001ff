"""Prices that the catalogue of genai-prices lacks, from OpenAI's price list: moderation, which is free, and DALL-E by the picture."""

from keeptrusts.core.pricing.pieces import ImagePrice, Pieces
from keeptrusts.core.pricing.price import Price, Rates

EDITION = 1
"""Counted up when anything below changes, so that stores take it in."""

_FREE = Rates(0, 0)
_DALL_E_3 = Pieces(
    images=(
        ImagePrice(40_000_000, "standard", "1024x1024"),
        ImagePrice(80_000_000, "standard", "1024x1792"),
        ImagePrice(80_000_000, "standard", "1792x1024"),
        ImagePrice(80_000_000, "hd", "1024x1024"),
        ImagePrice(120_000_000, "hd", "1024x1792"),
        ImagePrice(120_000_000, "hd", "1792x1024"),
    )
)
_DALL_E_2 = Pieces(
    images=(
        ImagePrice(16_000_000, None, "256x256"),
        ImagePrice(18_000_000, None, "512x512"),
        ImagePrice(20_000_000, None, "1024x1024"),
    )
)

OWN_PRICES = (
    *(
        Price("", "openai", model, _FREE)
        for model in (
            "omni-moderation-latest",
            "omni-moderation-2024-09-26",
            "text-moderation-latest",
            "text-moderation-stable",
        )
    ),
    Price("", "openai", "dall-e-3", _FREE, pieces=_DALL_E_3),
    Price("", "openai", "dall-e-2", _FREE, pieces=_DALL_E_2),
)
"""Versions and sources are given when they are seeded."""
