"""What can't be held against a budget: models that have no price, and calls that nothing bounds the cost of."""

from keeptrusts.core.calls.chat import ChatRequest
from keeptrusts.core.calls.media import MediaRequest
from keeptrusts.core.calls.request import NOTHING, TextRequest, unbounded
from keeptrusts.core.pricing.media_bound import is_priced
from keeptrusts.core.pricing.price import Price
from keeptrusts.core.refusal import Reason, Refused

TIERS_AT_MOST_STANDARD = ("auto", "default", "flex", "standard_only")


def refuse_unbounded(request: TextRequest, price: Price, model: str, provider: str) -> None:
    """Raises Refused: UNPRICED_MODEL, or UNBOUNDED_COST for a call whose cost nothing in the request bounds."""
    if isinstance(request, MediaRequest) and not is_priced(request, price):
        raise unpriced(model, provider, f" for {request.door}")
    request.refuse_unbounded()
    if isinstance(request, ChatRequest):
        if price.rates.audio_input is None and request.brings_sound():
            raise Refused(
                Reason.UNBOUNDED_COST,
                "Audio input can't be used under a budget: its tokens have a price of their own, which is not known here.",
                {"param": "messages"},
            )
        if price.rates.audio_output is None and _given(request, "audio"):
            raise unbounded("audio", "audio output has a price of its own")
    if _given(request, "service_tier"):
        _refuse_dear_tier(request, price)


def _given(request: TextRequest, field: str) -> bool:
    return field in request.fields and bytes(request.fields[field]) not in NOTHING


def _refuse_dear_tier(request: TextRequest, price: Price) -> None:
    tier = request.value("service_tier")
    priced = [each.name for each in price.service_tiers]
    if not isinstance(tier, str) or tier not in (*TIERS_AT_MOST_STANDARD, *priced):
        known = ", ".join(dict.fromkeys(("auto", "default", "flex", *priced)))
        raise Refused(
            Reason.UNBOUNDED_COST,
            f"`service_tier` must be one of {known} under a budget: other tiers have no price here.",
            {"param": "service_tier"},
        )


def unpriced(model: str, provider: str, what: str = "") -> Refused:
    """The refusal of a model without a price under a budget."""
    return Refused(
        Reason.UNPRICED_MODEL,
        f"The model {model!r} has no price{what} at {provider}, so its cost can't be held against a budget: "
        "set one with POST /v1/model-pricing.",
        {"model": model, "provider": provider},
    )
