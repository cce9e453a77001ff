"""Which targets may serve a call, in which order: decided once per caller and model, then only filtered per call."""

from collections.abc import Iterable

from msgspec import Struct

from keeptrusts.core.pricing.bound import FlatRates, flat_rates, max_output_tokens
from keeptrusts.core.pricing.price import Price
from keeptrusts.core.pricing.price_book import PriceBook
from keeptrusts.core.routing.target import ModelGroup, Target


class Hop(Struct, frozen=True):
    """One place where the call can go. ``fits_max_tokens`` None: any call; else calls that ask for at most so many
    output tokens, and those that ask for none are sent that value."""

    target: Target
    model: str
    price: Price | None
    longest_answer: int | None
    flat: FlatRates | None
    fits_max_tokens: int | None = None


STAND_IN_PROVIDERS = ("simulated", "openai-compatible")
"""Providers without a price list of their own: a model's price there is the vendor's, unless people set one."""


def price_at(book: PriceBook, target: Target, model: str) -> Price | None:
    """The price of ``model`` at ``target``: the target's own, the provider's, or that of the vendor it stands in for."""
    if target.price is not None:
        return target.price
    price = book.find(target.provider, model)
    if price is None and target.provider in STAND_IN_PROVIDERS:
        price = book.find("openai", model)
    return price


def plan(targets: tuple[Target, ...], groups: tuple[ModelGroup, ...], book: PriceBook, model: str) -> tuple[Hop, ...]:
    """The hops for the name that a client asked for: a model group's entries by priority, else every target that serves
    the model, those that have a price for it first. ``targets`` are only those whose secret is there."""
    for group in groups:
        if group.name == model:
            return tuple(
                _hop(book, target, entry.model, entry.max_tokens)
                for entry in group.models
                for target in targets
                if target.provider == entry.provider and target.model in (None, entry.model)
            )
    hops = [_hop(book, target, model, None) for target in targets if target.model in (None, model)]
    return tuple(sorted(hops, key=lambda hop: hop.price is None))


def _hop(book: PriceBook, target: Target, model: str, fits_max_tokens: int | None) -> Hop:
    price = price_at(book, target, model)
    return Hop(target, model, price, max_output_tokens(price, model), flat_rates(price), fits_max_tokens)


def fitting(hops: Iterable[Hop], asked_max_tokens: int | None) -> list[Hop]:
    """The hops that take a call of this output limit, in order."""
    return [
        hop
        for hop in hops
        if hop.fits_max_tokens is None or asked_max_tokens is None or asked_max_tokens <= hop.fits_max_tokens
    ]
