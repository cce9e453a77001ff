"""How prices are written by people: the fields of policy files and of ``/v1/model-pricing``, and what they are here."""

from collections.abc import Callable, Mapping
from typing import Any

from keeptrusts.core.pricing.pieces import ImagePrice, Pieces, ServiceTier
from keeptrusts.core.pricing.price import Rates

RATE_NAMES: Mapping[str, str] = {
    "input": "input_cost_per_1k_tokens",
    "output": "output_cost_per_1k_tokens",
    "cache_read": "cached_input_cost_per_1k_tokens",
    "cache_write": "cache_write_cost_per_1k_tokens",
    "cache_write_1h": "cache_write_1h_cost_per_1k_tokens",
    "reasoning": "reasoning_cost_per_1k_tokens",
    "audio_input": "audio_input_cost_per_1k_tokens",
    "audio_read": "cached_audio_input_cost_per_1k_tokens",
    "image_input": "image_input_cost_per_1k_tokens",
    "audio_output": "audio_output_cost_per_1k_tokens",
    "image_output": "image_output_cost_per_1k_tokens",
}
"""By the rate."""

PIECE_NAMES: Mapping[str, str] = {
    "characters_1k": "cost_per_1k_characters",
    "audio_minute": "cost_per_audio_minute",
    "web_search": "web_search_cost",
    "file_search": "file_search_cost",
    "code_session": "code_session_cost",
}
"""By the piece."""


def given_rates(written: Any) -> dict[str, int]:
    """The rates that an object has under the names that people write; what is None is left out."""
    given = {rate: getattr(written, name) for rate, name in RATE_NAMES.items()}
    return {rate: picos for rate, picos in given.items() if picos is not None}


def told_rates(rates: Rates, tell: Callable[[int], Any]) -> dict[str, Any]:
    """The rates under the names that people read; None where there is none."""
    return {name: None if (picos := getattr(rates, rate)) is None else tell(picos) for rate, name in RATE_NAMES.items()}


def given_pieces(written: Any) -> Pieces | None:
    """The prices by the piece that an object has; None when it has none."""
    images = tuple(ImagePrice(image.cost, image.quality, image.size) for image in written.image_costs)
    given = {piece: getattr(written, name) for piece, name in PIECE_NAMES.items()}
    pieces = Pieces(images, **given)
    return None if pieces == Pieces() else pieces


def told_pieces(pieces: Pieces | None, tell: Callable[[int], Any]) -> dict[str, Any]:
    """The prices by the piece under the names that people read."""
    known = pieces or Pieces()
    told = {name: getattr(known, piece) for piece, name in PIECE_NAMES.items()}
    images = [{"quality": image.quality, "size": image.size, "cost": tell(image.nanos)} for image in known.images]
    return {"image_costs": images, **{name: None if nanos is None else tell(nanos) for name, nanos in told.items()}}


def given_tiers(written: Any) -> tuple[ServiceTier, ...]:
    """The service tiers that an object has prices for."""
    return tuple(ServiceTier(tier.name, tier.percent) for tier in written.service_tiers)
