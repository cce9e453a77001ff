"""A model's price version, and the one function that turns tokens into money: for holds and for settlements alike."""

from datetime import datetime

from msgspec import Struct

from keeptrusts.core.calls.other_usage import Other
from keeptrusts.core.calls.usage import Usage
from keeptrusts.core.money import nanos_from_picos_up, nanos_of_share_up
from keeptrusts.core.pricing.pieces import NO_PIECES, Pieces, ServiceTier, image_nanos, pieces_nanos, unpriced_piece


class Rates(Struct, frozen=True):
    """Pico-USD per token of each bucket. A bucket without a price of its own costs what its parent bucket costs."""

    input: int
    output: int
    cache_read: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None
    reasoning: int | None = None
    audio_input: int | None = None
    audio_read: int | None = None
    image_input: int | None = None
    audio_output: int | None = None
    image_output: int | None = None

    @property
    def may_exceed_base(self) -> bool:
        """Whether a bucket has a price of its own that may be above its parent's."""
        return (
            self.cache_write is not None
            or self.reasoning is not None
            or self.cache_write_1h is not None
            or self.audio_output is not None
            or self.image_output is not None
            or (self.cache_read is not None and self.cache_read > self.input)
        )


class Tier(Struct, frozen=True):
    """Rates for calls whose whole input (cached or not) is above ``above_input_tokens``; they hold for all its tokens."""

    above_input_tokens: int
    rates: Rates


class Price(Struct, frozen=True):
    """One version of the price of ``model`` at ``provider``. Ledger rows name ``version`` so that costs recompute.

    ``request_nanos`` is a fixed fee per call in nano-USD. ``tiers`` are sorted by their threshold.
    ``max_output_tokens`` and ``context_window`` bound what one call can use; None when unknown. ``pieces`` None: nothing
    is billed by the piece.
    """

    version: str
    provider: str
    model: str
    rates: Rates
    tiers: tuple[Tier, ...] = ()
    request_nanos: int = 0
    max_output_tokens: int | None = None
    context_window: int | None = None
    source: str = "manual"
    effective_from: datetime | None = None
    pieces: Pieces | None = None
    service_tiers: tuple[ServiceTier, ...] = ()

    def rates_for(self, prompt_tokens: int) -> Rates:
        """The rates of the highest tier whose threshold the input exceeds, else the base rates."""
        rates = self.rates
        for tier in self.tiers:
            if prompt_tokens > tier.above_input_tokens:
                rates = tier.rates
        return rates


def cost_nanos(price: Price, usage: Usage) -> int:
    """What ``usage`` costs in nano-USD: summed exactly in pico-USD, then rounded up once."""
    rates = price.rates_for(usage.prompt_tokens) if price.tiers else price.rates
    picos = usage.input * rates.input + usage.output * rates.output
    if usage.cache_read:
        picos += usage.cache_read * (rates.input if rates.cache_read is None else rates.cache_read)
    if usage.cache_write or usage.cache_write_1h:
        write = rates.input if rates.cache_write is None else rates.cache_write
        picos += usage.cache_write * write
        picos += usage.cache_write_1h * (write if rates.cache_write_1h is None else rates.cache_write_1h)
    if usage.reasoning and rates.reasoning is not None:
        picos += usage.reasoning * (rates.reasoning - rates.output)
    if usage.other is not None:
        return _with_other(price, rates, picos, usage.other)
    return nanos_from_picos_up(picos) + price.request_nanos


def _with_other(price: Price, rates: Rates, picos: int, other: Other) -> int:
    """The cost with what is used beside words. A service tier's share is of all tokens, not of what is billed by the piece."""
    heard = rates.input if rates.audio_input is None else rates.audio_input
    picos += other.audio_input * heard
    picos += other.audio_read * (heard if rates.audio_read is None else rates.audio_read)
    picos += other.image_input * (rates.input if rates.image_input is None else rates.image_input)
    picos += other.audio_output * (rates.output if rates.audio_output is None else rates.audio_output)
    picos += other.image_output * (rates.output if rates.image_output is None else rates.image_output)
    percent = tier_percent(price, other.service_tier)
    nanos = nanos_from_picos_up(picos) if percent is None else nanos_of_share_up(picos, percent)
    return nanos + pieces_nanos(price.pieces, other) + price.request_nanos


def tier_percent(price: Price, tier: str | None) -> int | None:
    """What tokens cost at a service tier, in percent of the standard price; None at the standard one, or where it has no
    price."""
    return next((each.percent for each in price.service_tiers if each.name == tier), None) if tier is not None else None


def dearest_tier_percent(price: Price) -> int:
    """The most that tokens cost at any service tier that has a price, in percent."""
    return max((tier.percent for tier in price.service_tiers), default=100)


def unsaid_part(price: Price, usage: Usage) -> str | None:
    """What was used and has no price, in words; None where the price says all."""
    other = usage.other
    if other is None:
        return None
    if other.service_tier is not None and tier_percent(price, other.service_tier) is None:
        return f"the service tier {other.service_tier}"
    return _free_media(price, other) or unpriced_piece(price.pieces, other, flat=price.request_nanos > 0)


def _free_media(price: Price, other: Other) -> str | None:
    """Tokens of sound and pictures that a price by the piece would give away."""
    rates = price.rates
    if price.request_nanos or rates.input or rates.output:
        return None
    if (other.audio_input and not rates.audio_input) or (other.audio_output and not rates.audio_output):
        return "tokens of sound"
    pictures = (other.image_input and not rates.image_input) or (other.image_output and not rates.image_output)
    return (
        "tokens of pictures" if pictures and image_nanos(price.pieces or NO_PIECES, other.image_kind) is None else None
    )


def dearest_rates(price: Price, prompt_tokens_max: int) -> Rates:
    """The highest rate that any input up to ``prompt_tokens_max`` can meet, bucket by bucket: what a hold must assume."""
    reachable = [price.rates, *(t.rates for t in price.tiers if prompt_tokens_max > t.above_input_tokens)]
    return Rates(
        input=max(max(r.input, r.cache_read or 0, r.cache_write or 0, r.cache_write_1h or 0) for r in reachable),
        output=max(max(r.output, r.reasoning or 0, r.audio_output or 0, r.image_output or 0) for r in reachable),
    )


def dearest_of_media(price: Price, prompt_tokens_max: int) -> Rates:
    """As ``dearest_rates``, for calls whose input may be of sound and pictures too."""
    words = dearest_rates(price, prompt_tokens_max)
    rates = [price.rates, *(tier.rates for tier in price.tiers)]
    heard_or_seen = max(max(r.audio_input or 0, r.audio_read or 0, r.image_input or 0) for r in rates)
    return Rates(input=max(words.input, heard_or_seen), output=words.output)


def bound_nanos(price: Price, prompt_tokens_max: int, output_tokens_max: int, media: bool = False) -> int:
    """The most that a call of at most these tokens can cost, in nano-USD. Never less than ``cost_nanos`` of any of them.

    ``media``: its input may be of sound or pictures.
    """
    rates = price.rates
    if media:
        rates = dearest_of_media(price, prompt_tokens_max)
    elif price.tiers or rates.may_exceed_base:
        rates = dearest_rates(price, prompt_tokens_max)
    picos = prompt_tokens_max * rates.input + output_tokens_max * rates.output
    return nanos_from_picos_up(picos) + price.request_nanos
