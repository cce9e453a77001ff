"""A model's price version, and the one function that turns tokens into money: for holds and for settlements alike."""

from datetime import datetime

from msgspec import Struct

from keeptrusts.core.calls.usage import Usage
from keeptrusts.core.money import nanos_from_picos_up


class Rates(Struct, frozen=True):
    """Pico-USD per token of each bucket. A bucket without a price of its own costs what its parent bucket costs."""

    input: int
    output: int
    cache_read: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None
    reasoning: int | None = None

    @property
    def may_exceed_base(self) -> bool:
        """Whether a bucket has a price of its own that may be above its parent's."""
        return (
            self.cache_write is not None
            or self.reasoning is not None
            or self.cache_write_1h is not None
            or (self.cache_read is not None and self.cache_read > self.input)
        )


class Tier(Struct, frozen=True):
    """Rates for calls whose whole input (cached or not) is above ``above_input_tokens``; they hold for all its tokens."""

    above_input_tokens: int
    rates: Rates


class Price(Struct, frozen=True):
    """One version of the price of ``model`` at ``provider``. Ledger rows name ``version`` so that costs recompute.

    ``request_nanos`` is a fixed fee per call in nano-USD. ``tiers`` are sorted by their threshold.
    ``max_output_tokens`` and ``context_window`` bound what one call can use; None when unknown.
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
    return nanos_from_picos_up(picos) + price.request_nanos


def dearest_rates(price: Price, prompt_tokens_max: int) -> Rates:
    """The highest rate that any input up to ``prompt_tokens_max`` can meet, bucket by bucket: what a hold must assume."""
    reachable = [price.rates, *(t.rates for t in price.tiers if prompt_tokens_max > t.above_input_tokens)]
    return Rates(
        input=max(max(r.input, r.cache_read or 0, r.cache_write or 0, r.cache_write_1h or 0) for r in reachable),
        output=max(max(r.output, r.reasoning or 0) for r in reachable),
    )


def bound_nanos(price: Price, prompt_tokens_max: int, output_tokens_max: int) -> int:
    """The most that a call of at most these tokens can cost, in nano-USD. Never less than ``cost_nanos`` of any of them."""
    rates = price.rates
    if price.tiers or rates.may_exceed_base:
        rates = dearest_rates(price, prompt_tokens_max)
    picos = prompt_tokens_max * rates.input + output_tokens_max * rates.output
    return nanos_from_picos_up(picos) + price.request_nanos
