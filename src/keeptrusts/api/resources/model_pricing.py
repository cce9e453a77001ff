"""``/v1/model-pricing``: what models cost."""

from typing import Annotated

from pydantic import BaseModel, Field, model_validator
from starlette.responses import Response

from keeptrusts.api.access import TheActor, TheControl
from keeptrusts.api.exact_json import answer
from keeptrusts.api.shapes import COUNT_MAX, AmountNanos, Count, Instant, Name, RatePico, Shape, Usd, rfc3339
from keeptrusts.control import prices
from keeptrusts.core.money import usd, usd_per_1k_tokens
from keeptrusts.core.pricing.names import given_pieces, given_rates, given_tiers, told_pieces, told_rates
from keeptrusts.core.pricing.price import Price, Rates, Tier

TIERS_MAX = 20
IMAGES_MAX = 50
Tokens = Annotated[Count, Field(ge=1, le=COUNT_MAX)]


class RatesShape(Shape):
    """USD per 1,000 tokens. A kind of token that has no price of its own costs what its parent costs."""

    input_cost_per_1k_tokens: RatePico
    output_cost_per_1k_tokens: RatePico
    cached_input_cost_per_1k_tokens: RatePico | None = None
    cache_write_cost_per_1k_tokens: RatePico | None = None
    cache_write_1h_cost_per_1k_tokens: RatePico | None = None
    reasoning_cost_per_1k_tokens: RatePico | None = None
    audio_input_cost_per_1k_tokens: RatePico | None = None
    cached_audio_input_cost_per_1k_tokens: RatePico | None = None
    image_input_cost_per_1k_tokens: RatePico | None = None
    audio_output_cost_per_1k_tokens: RatePico | None = None
    image_output_cost_per_1k_tokens: RatePico | None = None

    def rates(self) -> Rates:
        """The rates as the core knows them."""
        return Rates(**given_rates(self))


class TierShape(RatesShape):
    """Rates of calls whose input is above ``above_input_tokens``; they hold for all its tokens."""

    above_input_tokens: Tokens


class ImageCostShape(Shape):
    """What one picture costs. Of several entries the first that fits its quality and size holds."""

    quality: Name | None = None
    size: Name | None = None
    cost: AmountNanos


class ServiceTierShape(Shape):
    """What tokens cost at a tier of the provider, in percent of the standard price."""

    name: Name
    percent: Annotated[Count, Field(ge=1, le=1_000)]


class PricePost(RatesShape):
    """A price of a model at a provider; posting the same pair again makes a new version."""

    model: Name
    provider: Name
    request_cost: AmountNanos = 0
    image_costs: list[ImageCostShape] = Field(default_factory=list, max_length=IMAGES_MAX)
    cost_per_1k_characters: AmountNanos | None = None
    cost_per_audio_minute: AmountNanos | None = None
    web_search_cost: AmountNanos | None = None
    file_search_cost: AmountNanos | None = None
    code_session_cost: AmountNanos | None = None
    service_tiers: list[ServiceTierShape] = Field(default_factory=list, max_length=10)
    tiers: list[TierShape] = Field(default_factory=list, max_length=TIERS_MAX)
    max_output_tokens: Tokens | None = None
    context_window: Tokens | None = None
    effective_from: Instant | None = Field(None, description="From when it holds; now when left out.")

    @model_validator(mode="after")
    def thresholds_differ(self) -> "PricePost":
        """Each tier has a threshold of its own."""
        thresholds = [tier.above_input_tokens for tier in self.tiers]
        if len(set(thresholds)) != len(thresholds):
            raise ValueError("tiers: two of them have the same above_input_tokens")
        return self


class RatesAnswer(BaseModel):
    """See RatesShape."""

    input_cost_per_1k_tokens: Usd
    output_cost_per_1k_tokens: Usd
    cached_input_cost_per_1k_tokens: Usd | None
    cache_write_cost_per_1k_tokens: Usd | None
    cache_write_1h_cost_per_1k_tokens: Usd | None
    reasoning_cost_per_1k_tokens: Usd | None
    audio_input_cost_per_1k_tokens: Usd | None
    cached_audio_input_cost_per_1k_tokens: Usd | None
    image_input_cost_per_1k_tokens: Usd | None
    audio_output_cost_per_1k_tokens: Usd | None
    image_output_cost_per_1k_tokens: Usd | None


class TierAnswer(RatesAnswer):
    """See TierShape."""

    above_input_tokens: int


class ImageCostAnswer(BaseModel):
    """See ImageCostShape."""

    quality: str | None
    size: str | None
    cost: Usd


class PriceAnswer(RatesAnswer):
    """A price in force. ``id`` is the version that ledger rows cite; ``source`` is ``manual`` or a catalogue's release."""

    id: str
    model: str
    provider: str
    request_cost: Usd
    image_costs: list[ImageCostAnswer]
    cost_per_1k_characters: Usd | None
    cost_per_audio_minute: Usd | None
    web_search_cost: Usd | None
    file_search_cost: Usd | None
    code_session_cost: Usd | None
    service_tiers: list[ServiceTierShape]
    tiers: list[TierAnswer]
    max_output_tokens: int | None
    context_window: int | None
    source: str
    effective_from: str | None


async def post(control: TheControl, actor: TheActor, body: PricePost) -> Response:
    """Set what a model costs. Rows already in the ledger keep the price that made them."""
    tiers = sorted(
        (Tier(tier.above_input_tokens, tier.rates()) for tier in body.tiers), key=lambda t: t.above_input_tokens
    )
    price = Price(
        version="",
        provider=body.provider,
        model=body.model,
        rates=body.rates(),
        tiers=tuple(tiers),
        request_nanos=body.request_cost,
        max_output_tokens=body.max_output_tokens,
        context_window=body.context_window,
        pieces=given_pieces(body),
        service_tiers=given_tiers(body),
    )
    return answer(told(await prices.post(control, actor, price, body.effective_from)), 201)


async def list_prices(control: TheControl, provider: str | None = None, model: str | None = None) -> Response:
    """The prices in force as a bare array: those that people set first, then the catalogue's."""
    found = await prices.in_force(control)
    return answer([told(p) for p in found if provider in (None, p.provider) and model in (None, p.model)])


def told(price: Price) -> dict[str, object]:
    """The price as it is shown."""
    return {
        "id": price.version,
        "model": price.model,
        "provider": price.provider,
        **told_rates(price.rates, usd_per_1k_tokens),
        "request_cost": usd(price.request_nanos),
        **told_pieces(price.pieces, usd),
        "service_tiers": [{"name": tier.name, "percent": tier.percent} for tier in price.service_tiers],
        "tiers": [
            {"above_input_tokens": tier.above_input_tokens, **told_rates(tier.rates, usd_per_1k_tokens)}
            for tier in price.tiers
        ],
        "max_output_tokens": price.max_output_tokens,
        "context_window": price.context_window,
        "source": price.source,
        "effective_from": None if price.effective_from is None else rfc3339(price.effective_from),
    }
