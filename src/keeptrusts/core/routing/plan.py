"""Which targets may serve a call, and in which order: decided once per caller and model, then only sorted and filtered per
call."""

from collections.abc import Callable, Iterable, Mapping
from itertools import groupby

import msgspec
from msgspec import Struct

from keeptrusts.core.pricing.bound import FlatRates, flat_rates, max_output_tokens
from keeptrusts.core.pricing.price import Price
from keeptrusts.core.pricing.price_book import PriceBook
from keeptrusts.core.routing.rules import Routing
from keeptrusts.core.routing.target import FIXED_ORDER, NO_PRIORITY, GroupModel, ModelGroup, Strategy, Target


class Hop(Struct, frozen=True):
    """One place where the call can go. ``fits_max_tokens`` None: any call; else calls that ask for at most so many
    output tokens, and those that ask for none are sent that value. ``why``: by which rule it is here, when it is not there for
    the name that was asked for."""

    target: Target
    model: str
    price: Price | None
    longest_answer: int | None
    flat: FlatRates | None
    fits_max_tokens: int | None = None
    weight: float = 1.0
    why: str | None = None


class Choice(Struct, frozen=True):
    """Hops among which the strategy chooses. Those of the next choice follow when all of these have failed."""

    strategy: Strategy
    hops: tuple[Hop, ...]


class LeftOut(Struct, frozen=True):
    """A target that can't serve the call, and why."""

    target: str
    model: str
    why: str


class Plan(Struct, frozen=True):
    """The ways of a call, and those that are none."""

    choices: tuple[Choice, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def hops(self) -> tuple[Hop, ...]:
        """All hops, in the order of their choices."""
        return tuple(hop for choice in self.choices for hop in choice.hops)


STAND_IN_PROVIDERS = ("simulated", "openai-compatible", "litellm", "localai", "ollama", "vllm")
"""Providers without a price list of their own: a model's price there is the vendor's, unless people set one."""

DEARER = "dearer than max_price"
NO_PRICE_KNOWN = "it has no price, and max_price is set"
UNPRICED = "it has no price, and budgets are enforced"
NOT_ALLOWED = "the caller may not use this model"

Permits = Callable[[tuple[str, ...]], bool]
"""Whether a caller may use what is known by these names: every list of its models holds one of them."""


def price_at(book: PriceBook, target: Target, model: str) -> Price | None:
    """The price of ``model`` at ``target``: the target's own, the provider's, or that of the vendor it stands in for."""
    if target.price is not None:
        return target.price
    price = book.find(target.provider, model)
    if price is None and target.provider in STAND_IN_PROVIDERS:
        price = book.find("openai", model)
    return price


def group_named(groups: Iterable[ModelGroup], name: str) -> ModelGroup | None:
    """The group that has this name or alias."""
    return next((group for group in groups if name in group.names), None)


def plan(
    targets: tuple[Target, ...],
    groups: tuple[ModelGroup, ...],
    book: PriceBook,
    model: str,
    routing: Routing,
    permits: Permits = lambda names: True,
    needs_price: bool = False,
) -> Plan:
    """The ways of the name that a client asked for: a model group's entries and then those of its fallback group, or every
    target that serves the model and then those of the model that it is mapped to. ``targets`` are only those whose secret is
    there; ``needs_price``: what has no price can't be called when something else has one."""
    return _Planner(targets, groups, book, routing, permits, needs_price).plan(model)


class _Planner:
    def __init__(
        self,
        targets: tuple[Target, ...],
        groups: tuple[ModelGroup, ...],
        book: PriceBook,
        routing: Routing,
        permits: Permits,
        needs_price: bool,
    ) -> None:
        self._targets = targets
        self._groups: Mapping[str, ModelGroup] = {name: group for group in groups for name in group.names}
        self._book = book
        self._routing = routing
        self._permits = permits
        self._needs_price = needs_price
        self._left_out: list[LeftOut] = []

    def plan(self, asked: str) -> Plan:
        group = self._groups.get(asked)
        choices = self._plain(asked) if group is None else self._of_group(group, asked)
        if self._needs_price and any(hop.price is not None for choice in choices for hop in choice.hops):
            choices = [self._priced(choice) for choice in choices]
        choices = _without_repeats(choices)
        return Plan(tuple(choice for choice in choices if choice.hops), tuple(self._left_out))

    def _of_group(self, group: ModelGroup, asked: str) -> list[Choice]:
        """The group's choices and its fallbacks'. A list that names the group lets its members through, but not those of the
        group that it falls back to."""
        choices = self._choices(group.routing, self._entries(group, (asked, *group.names), None))
        seen = {group.name}
        while group.fallback_group is not None and group.fallback_group not in seen:
            following = self._groups.get(group.fallback_group)
            if following is None:
                break
            seen.add(following.name)
            why = f"fallback group {following.name}"
            choices += self._choices(following.routing, self._entries(following, following.names, why))
            group = following
        return choices

    def _entries(self, group: ModelGroup, names: tuple[str, ...], why: str | None) -> list[tuple[int, Hop]]:
        ranked: list[tuple[int, Hop]] = []
        for entry in group.models:
            serving = [target for target in self._targets if _serves(target, entry)]
            total = sum(target.weight for target in serving) or 1.0
            for target in serving:
                # Targets of one entry share its weight, so that models keep the shares that the group gives them.
                share = entry.weight * target.weight / total if entry.target is None else entry.weight
                hop = self._hop(target, entry.model, entry.max_tokens, share, why)
                if self._may_go(hop, names):
                    ranked.append((entry.priority, hop))
        return ranked

    def _plain(self, asked: str) -> list[Choice]:
        served = [target for target in self._targets if target.model in (None, asked)]
        mapped = self._routing.failover.model_mapping.get(asked)
        if mapped is not None:
            served = self._speaking(served, asked)
        hops = [self._hop(target, asked, None, target.weight, None) for target in served]
        allowed = [hop for hop in hops if self._may_go(hop, (asked,))]
        ranked = [(hop.target.priority + (NO_PRIORITY + 1) * (hop.price is None), hop) for hop in allowed]
        choices = self._choices(self._routing.strategy, ranked)
        return choices if mapped is None else choices + self._mapped(asked, mapped, {target.id for target in served})

    def _speaking(self, served: list[Target], asked: str) -> list[Target]:
        """Of the targets that take any name, those which know this one: they have a price for it, or are of the provider
        that is tried first."""
        first = min(served, key=lambda t: (price_at(self._book, t, asked) is None, t.priority), default=None)
        return [
            target
            for target in served
            if target.model is not None
            or target.provider == (first and first.provider)
            or price_at(self._book, target, asked) is not None
        ]

    def _mapped(self, asked: str, mapped: str, tried: set[str]) -> list[Choice]:
        """Where the model goes that stands in for the one asked for."""
        why = f"model mapping {asked} to {mapped}"
        group = self._groups.get(mapped)
        if group is not None:
            return self._choices(group.routing, self._entries(group, group.names, why))
        ranked = []
        for target in self._targets:
            if target.model == mapped or (target.model is None and target.id not in tried):
                hop = self._hop(target, mapped, None, target.weight, why)
                if self._may_go(hop, (mapped,)):
                    ranked.append((target.priority + (NO_PRIORITY + 1) * (hop.price is None), hop))
        if not ranked:
            for target in self._targets:
                if target.model is None and target.id in tried:
                    hop = self._hop(target, mapped, None, target.weight, why)
                    if self._may_go(hop, (mapped,)):
                        ranked.append((target.priority, hop))
        return self._choices(self._routing.strategy, ranked)

    def _may_go(self, hop: Hop, names: tuple[str, ...]) -> bool:
        why = self._bar(hop, names)
        if why is not None:
            self._left_out.append(LeftOut(hop.target.id, hop.model, why))
        return why is None

    def _bar(self, hop: Hop, names: tuple[str, ...]) -> str | None:
        if not self._permits((*names, hop.model)):
            return NOT_ALLOWED
        bounds = [b for b in (self._routing.max_price, hop.target.max_price) if b is not None]
        if bounds and hop.price is None:
            return NO_PRICE_KNOWN
        return None if all(bound.admits(hop.price) for bound in bounds) else DEARER

    def _priced(self, choice: Choice) -> Choice:
        self._left_out += [LeftOut(hop.target.id, hop.model, UNPRICED) for hop in choice.hops if hop.price is None]
        return msgspec.structs.replace(choice, hops=tuple(hop for hop in choice.hops if hop.price is not None))

    def _hop(self, target: Target, model: str, fits_max_tokens: int | None, weight: float, why: str | None) -> Hop:
        price = price_at(self._book, target, model)
        longest = max_output_tokens(price, model)
        return Hop(target, model, price, longest, flat_rates(price), fits_max_tokens, weight, why)

    @staticmethod
    def _choices(strategy: Strategy, ranked: list[tuple[int, Hop]]) -> list[Choice]:
        """The hops by rank. A strategy that chooses does so among those of one rank."""
        ranked = sorted(ranked, key=lambda pair: pair[0])
        if strategy in FIXED_ORDER:
            hops = tuple(hop for _, hop in ranked)
            return [Choice(strategy, hops[:1] if strategy == "single" else hops)] if hops else []
        return [
            Choice(strategy, tuple(hop for _, hop in choice)) for _, choice in groupby(ranked, key=lambda pair: pair[0])
        ]


def _without_repeats(choices: list[Choice]) -> list[Choice]:
    """No fallback leads to where the call has failed already."""
    seen: set[tuple[str, str, int | None]] = set()
    kept = []
    for choice in choices:
        hops = []
        for hop in choice.hops:
            places = {(hop.target.id, hop.model, fits) for fits in (None, hop.fits_max_tokens)}
            if not places & seen:
                hops.append(hop)
            seen.add((hop.target.id, hop.model, hop.fits_max_tokens))
        kept.append(msgspec.structs.replace(choice, hops=tuple(hops)))
    return kept


def _serves(target: Target, entry: GroupModel) -> bool:
    if entry.target is not None:
        return target.id == entry.target
    return target.provider == entry.provider and target.model in (None, entry.model)


def fitting(hops: Iterable[Hop], asked_max_tokens: int | None) -> list[Hop]:
    """The hops that take a call of this output limit, in order."""
    return [
        hop
        for hop in hops
        if hop.fits_max_tokens is None or asked_max_tokens is None or asked_max_tokens <= hop.fits_max_tokens
    ]
