"""The most that one attempt can cost: what a hold is made of. A hold below the bill would break the ledger's promise."""

import re
from collections.abc import Mapping

from msgspec import Struct

from keeptrusts.core.calls.media import MediaRequest
from keeptrusts.core.calls.request import TextRequest
from keeptrusts.core.money import PICOS_PER_NANO, nanos_from_picos_up, nanos_of_share_up
from keeptrusts.core.pricing.media_bound import media_bound
from keeptrusts.core.pricing.price import Price, bound_nanos, dearest_rates, dearest_tier_percent

INPUT_MARGIN_TOKENS = 32
"""Tokens that a provider's chat template adds around a conversation, beyond what the JSON around each message covers."""

FULL_CONTEXT_TOKENS = 2_000_000
"""Held as input when a call carries media and the model's context window is unknown: more than any model reads."""

MAX_OUTPUT_TOKENS: Mapping[str, int] = {
    "gpt-3.5-turbo": 4_096,
    "gpt-4": 8_192,
    "gpt-4-turbo": 4_096,
    "gpt-4o": 16_384,
    "gpt-4o-mini": 16_384,
    "gpt-4.1": 32_768,
    "gpt-4.1-mini": 32_768,
    "gpt-4.1-nano": 32_768,
    "gpt-5": 128_000,
    "gpt-5-mini": 128_000,
    "gpt-5-nano": 128_000,
    "o1": 100_000,
    "o1-mini": 65_536,
    "o3": 100_000,
    "o3-mini": 100_000,
    "o4-mini": 100_000,
}
"""The longest answer of well-known models, from their makers' model pages, for prices that don't say it."""

_DATED = re.compile(r"-\d{4}-?\d{2}-?\d{2}$")
"""The date that makers put behind the name of a model's edition."""


class Bound(Struct, frozen=True):
    """Upper bounds of one attempt's tokens and cost. ``sent_limit`` is an output limit that we must send, if any."""

    input_tokens: int
    output_tokens: int
    nanos: int
    sent_limit: int | None


class FlatRates(Struct, frozen=True):
    """The dearest rates of a price that has no tiers, in pico-USD per token, and its fee: all that a plain call needs."""

    input: int
    output: int
    request_nanos: int


def flat_rates(price: Price | None) -> FlatRates | None:
    """The price's rates if one pair of them bounds every call, else None."""
    if price is None or price.tiers:
        return None
    rates = dearest_rates(price, 0)
    return FlatRates(rates.input, rates.output, price.request_nanos)


def plain_bound_nanos(request: TextRequest, flat: FlatRates, answer_tokens: int, unseen: int = 0) -> int:
    """``bound_of`` for a plain request whose answer is limited to ``answer_tokens``, in one sum."""
    prompt = request.size_bytes + INPUT_MARGIN_TOKENS + unseen
    picos = prompt * flat.input + answer_tokens * request.n * flat.output
    return nanos_from_picos_up(picos) + flat.request_nanos


def max_output_tokens(price: Price | None, model: str) -> int | None:
    """The longest answer that the model can give, or None when nobody knows."""
    if price is not None and price.max_output_tokens is not None:
        return price.max_output_tokens
    known = MAX_OUTPUT_TOKENS.get(_DATED.sub("", model))
    if known is None and price is not None and price.context_window is not None:
        return price.context_window
    return known


TOOL_PROMPT_TOKENS: Mapping[str, int] = {"anthropic": 1_000, "bedrock": 1_000}
"""What a provider adds to a prompt that has tools, and bills: more than Anthropic's "Tool use" guide says of any model."""


def unseen_tokens(request: TextRequest, provider: str) -> int:
    """Input that stands nowhere in the request."""
    return TOOL_PROMPT_TOKENS.get(provider, 0) if "tools" in request.fields else 0


def bound_of(
    request: TextRequest,
    price: Price,
    longest_answer: int | None,
    unknown_limit: int,
    input_tokens: int | None = None,
    unseen: int = 0,
) -> Bound:
    """Bounds one attempt. ``input_tokens`` is an exact count when the caller has one; else the body's bytes bound it,
    since a token is never less than a byte of the text that it stands for.

    ``longest_answer`` is the model's own maximum; where that is unknown and the client set no limit, ``unknown_limit``
    is held and must be sent. ``unseen`` tokens of input are added by the provider.
    """
    if isinstance(request, MediaRequest):
        most = media_bound(request, price)
        return Bound(most.input_tokens, most.output_tokens, most.nanos, None)
    media = request.has_media()
    if media:
        prompt = price.context_window or FULL_CONTEXT_TOKENS
    else:
        prompt = request.size_bytes + INPUT_MARGIN_TOKENS if input_tokens is None else input_tokens
        prompt += unseen
        if price.context_window is not None and prompt > price.context_window:
            prompt = price.context_window
    sent_limit = None
    answer = request.max_tokens
    if answer is None:
        if longest_answer is None:
            answer = sent_limit = unknown_limit
        else:
            answer = longest_answer
    output = answer * request.n
    if "prediction" in request.fields:
        output += len(bytes(request.fields["prediction"]))
    nanos = bound_nanos(price, prompt, output, media)
    if "service_tier" in request.fields:
        nanos = max(nanos, nanos_of_share_up(nanos * PICOS_PER_NANO, dearest_tier_percent(price)))
    return Bound(prompt, output, nanos, sent_limit)
