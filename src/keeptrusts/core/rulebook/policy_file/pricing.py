"""``providers.targets[].pricing``: what a target's calls cost, by the token, by the piece and by the call."""

from pydantic import Field

from keeptrusts.core.rulebook.policy_file.entry import Entry
from keeptrusts.core.rulebook.policy_file.values import Count, Name, PicosPerToken, UsdNanos


class RatesEntry(Entry):
    """USD per 1,000 tokens of each kind. A kind without a price of its own costs what input, or output, costs."""

    cached_input_cost_per_1k_tokens: PicosPerToken | None = None
    cache_write_cost_per_1k_tokens: PicosPerToken | None = None
    cache_write_1h_cost_per_1k_tokens: PicosPerToken | None = None
    reasoning_cost_per_1k_tokens: PicosPerToken | None = None
    audio_input_cost_per_1k_tokens: PicosPerToken | None = None
    cached_audio_input_cost_per_1k_tokens: PicosPerToken | None = None
    image_input_cost_per_1k_tokens: PicosPerToken | None = None
    audio_output_cost_per_1k_tokens: PicosPerToken | None = None
    image_output_cost_per_1k_tokens: PicosPerToken | None = None


class PriceTier(RatesEntry):
    """Rates for calls with more input than ``above_input_tokens``; what is left out costs what it costs below."""

    above_input_tokens: Count = Field(examples=[128000])
    input_cost_per_1k_tokens: PicosPerToken | None = None
    output_cost_per_1k_tokens: PicosPerToken | None = None


class ImageCost(Entry):
    """What one picture costs, in USD. Of several entries the first that fits its quality and size holds."""

    quality: Name | None = Field(default=None, examples=["hd"])
    size: Name | None = Field(default=None, examples=["1024x1792"])
    cost: UsdNanos = Field(examples=[0.04])


class ServiceTier(Entry):
    """What tokens cost at a tier of the provider, in percent of the standard price."""

    name: Name = Field(examples=["flex"])
    percent: int = Field(ge=1, le=1_000, examples=[50])


class Pricing(RatesEntry):
    """USD per 1,000 tokens, the same names as ``/v1/model-pricing``. It overrides the price book for this target."""

    input_cost_per_1k_tokens: PicosPerToken = Field(examples=[0.00015])
    output_cost_per_1k_tokens: PicosPerToken = Field(examples=[0.0006])
    request_cost: UsdNanos = Field(default=0, description="A fixed fee per call, in USD.")
    image_costs: list[ImageCost] = Field(default=[], max_length=50, examples=["[{size: 1024x1024, cost: 0.04}]"])
    cost_per_1k_characters: UsdNanos | None = Field(default=None, description="Of text that is spoken.")
    cost_per_audio_minute: UsdNanos | None = Field(default=None, description="Of sound that is written down.")
    web_search_cost: UsdNanos | None = Field(default=None, description="Of each web search at the provider.")
    file_search_cost: UsdNanos | None = Field(default=None, description="Of each file search at the provider.")
    code_session_cost: UsdNanos | None = Field(default=None, description="Of each session of the code interpreter.")
    service_tiers: list[ServiceTier] = Field(default=[], max_length=10, examples=["[{name: flex, percent: 50}]"])
    tiers: list[PriceTier] = Field(default=[], examples=["[{above_input_tokens: 128000, ...}]"])
    max_output_tokens: Count | None = None
    context_window: Count | None = None
