"""Compiles the price catalogue of genai-prices to our integer prices: exactly, or not at all.

A model is left out when its price depends on the hour, on what our rows don't count (video, pages), or does not fit our
integers: an amount that is nearly right would be billed as if it were.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from keeptrusts.core.money import BadAmount, nanos_from_usd, pico_per_token
from keeptrusts.core.pricing.pieces import Pieces
from keeptrusts.core.pricing.price import Price, Rates, Tier

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, Provider

PROVIDERS: Mapping[str, str] = {
    "anthropic": "anthropic",
    "aws": "bedrock",
    "azure": "azure",
    "cerebras": "cerebras",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "fireworks": "fireworks",
    "google": "gemini",
    "groq": "groq",
    "mistral": "mistral",
    "moonshotai": "moonshot",
    "novita": "novita",
    "openai": "openai",
    "openrouter": "openrouter",
    "perplexity": "perplexity",
    "together": "together",
    "x-ai": "xai",
    "zai": "zai",
}
"""The providers whose prices are seeded, under the catalogue's name and ours: those that sell calls by API and token."""

RATE_KEYS = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "reasoning": "output_reasoning_mtok",
    "audio_input": "input_audio_mtok",
    "audio_read": "cache_audio_read_mtok",
    "image_input": "input_image_mtok",
    "audio_output": "output_audio_mtok",
    "image_output": "output_image_mtok",
}
REQUEST_KEY = "requests_kcount"
PIECE_KEYS: Mapping[str, tuple[str, int]] = {
    "characters_1k": ("input_mchars", 1_000),
    "audio_minute": ("input_audio_hours", 60),
    "web_search": ("web_searches_kcount", 1_000),
    "file_search": ("storage_searches_kcount", 1_000),
}
"""By the piece: the catalogue's key, and how many of ours its unit holds."""

# Of pictures no provider tells which were read from the cache: they are taken to cost what others cost. What whole hours of
# sound cost is told twice.
MORE_KEYS = {"cache_image_read_mtok", "audio_hours"}
KNOWN_KEYS = {*RATE_KEYS.values(), REQUEST_KEY, *(key for key, _ in PIECE_KEYS.values()), *MORE_KEYS}


UNSAID_FEES = ("-search-", "-realtime", "-live")
"""Models that bill what their prices don't say, or that no route here reaches. People may price them."""

SOUND = ("-audio", "-transcribe")
"""Models whose price, if it says nothing of sound, lacks the greater part."""


class Inexact(Exception):
    """The catalogue's price can't be said in our integers."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A compiled price; ``starts`` None: it holds already, else from that day on."""

    price: Price
    starts: date | None


def compile_catalogue(providers: "list[Provider]", today: date) -> list[Entry]:
    """Every price that can be said exactly: what holds today, and what is announced for later."""
    return [entry for provider in providers if provider.id in PROVIDERS for entry in compile_provider(provider, today)]


def compile_provider(provider: "Provider", today: date) -> Iterator[Entry]:
    """The provider's prices, one per name that the catalogue knows a model by."""
    for name, model in named_models(provider).items():
        if any(mark in name for mark in UNSAID_FEES):
            continue
        try:
            versions = list(versions_of(model, today))
            entries = [
                Entry(price_of(PROVIDERS[provider.id], name, model, rates), starts) for starts, rates in versions
            ]
        except (Inexact, BadAmount):
            continue
        yield from entries


def named_models(provider: "Provider") -> "dict[str, ModelInfo]":
    """The model behind each exact name, as the catalogue itself would choose: the first in its order that matches."""
    found: dict[str, ModelInfo] = {}
    patterns: list[ModelInfo] = []
    for model in provider.models:
        exact = list(dict.fromkeys(name for name in (model.id, *_equals(model.match)) if model.match.is_match(name)))
        for name in exact:
            if name not in found:
                found[name] = next((earlier for earlier in patterns if earlier.match.is_match(name)), model)
        if not _only_equals(model.match):
            patterns.append(model)
    return found


def _equals(clause: Any) -> Iterator[str]:
    if hasattr(clause, "equals"):
        yield clause.equals
    for inner in getattr(clause, "or_", ()):
        yield from _equals(inner)


def _only_equals(clause: Any) -> bool:
    return hasattr(clause, "equals") or (hasattr(clause, "or_") and all(map(_only_equals, clause.or_)))


def versions_of(model: "ModelInfo", today: date) -> "Iterator[tuple[date | None, ModelPrice]]":
    """The price that holds today, then those announced. Raises Inexact for prices that depend on the hour."""
    if not isinstance(model.prices, list):
        yield None, model.prices
        return
    current: ModelPrice | None = None
    later: list[tuple[date, ModelPrice]] = []
    for conditional in model.prices:
        constraint = conditional.constraint
        start = getattr(constraint, "start_date", None)
        if constraint is not None and start is None:
            raise Inexact(f"{model.id} costs what the hour says")
        if start is not None and start > today:
            later.append((start, conditional.prices))
        else:
            # The catalogue lists them by date and takes the last that holds.
            current = conditional.prices
    if current is not None:
        yield None, current
    yield from later


def price_of(provider: str, name: str, model: "ModelInfo", source: "ModelPrice") -> Price:
    """The price of one name. Raises Inexact or BadAmount."""
    given: dict[str, Any] = {
        key: value for key, value in vars(source).items() if not key.startswith("_") and value is not None
    }
    if not given.keys() <= KNOWN_KEYS or not _says_all(name, given):
        raise Inexact(f"{name} is priced by more than we count")
    thresholds = sorted({tier.start for value in given.values() for tier in getattr(value, "tiers", ())})
    tiers = tuple(Tier(threshold, _rates(given, threshold)) for threshold in thresholds)
    return Price(
        version="",
        provider=provider,
        model=name,
        rates=_rates(given, None),
        tiers=tiers,
        request_nanos=nanos_from_usd(_at(given.get(REQUEST_KEY, Decimal(0)), None).scaleb(-3)),
        context_window=model.context_window,
        pieces=_pieces(given),
    )


def _says_all(name: str, given: Mapping[str, Any]) -> bool:
    """Whether input and output have a price; by the piece, only one kind of piece has."""
    if {"input_mtok", "output_mtok"} <= given.keys():
        return not any(mark in name for mark in SOUND) or "input_audio_mtok" in given
    return given.keys() in ({"input_mchars"}, {"input_audio_hours"}, {"input_audio_hours", "audio_hours"})


def _pieces(given: Mapping[str, Any]) -> Pieces | None:
    prices: dict[str, Any] = {
        piece: nanos_from_usd(_exact_share(_at(given[key], None), parts))
        for piece, (key, parts) in PIECE_KEYS.items()
        if key in given
    }
    return Pieces(**prices) if prices else None


def _exact_share(price: Decimal, parts: int) -> Decimal:
    share = price / parts
    if share * parts != price:
        raise Inexact(f"{price} is not {parts} equal parts")
    return share


def _rates(given: dict[str, Any], threshold: int | None) -> Rates:
    # USD per million tokens, brought to USD per thousand without a division.
    said = {
        bucket: pico_per_token(_at(given[key], threshold).scaleb(-3))
        for bucket, key in RATE_KEYS.items()
        if key in given
    }
    # What is billed by the piece has no price by the token.
    return Rates(**{"input": 0, "output": 0, **said})


def _at(value: Any, threshold: int | None) -> Decimal:
    """A price, or what a tiered one is for inputs just above ``threshold`` (None: its base)."""
    if isinstance(value, Decimal):
        return value
    price: Decimal = value.base
    for tier in value.tiers:
        if threshold is not None and threshold >= tier.start:
            price = tier.price
    return price
