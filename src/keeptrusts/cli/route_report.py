"""What `kt policy route` prints: where calls to a model would go by a policy file, in which order, and where not and why."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any

from msgspec import Struct

from keeptrusts.cli.columns import columns
from keeptrusts.cli.failure import SAID_NO, Failure
from keeptrusts.cli.printable import printable
from keeptrusts.core.money import usd_per_1k_tokens
from keeptrusts.core.pricing.price_book import PriceBook
from keeptrusts.core.providers.wires import WIRES
from keeptrusts.core.routing.ordering import Circumstances, in_order
from keeptrusts.core.routing.plan import Choice, Hop, LeftOut, Permits, fitting, plan
from keeptrusts.core.routing.target import FIXED_ORDER
from keeptrusts.core.rulebook.rulebook import Rulebook

INPUT_TOKENS = 1_000
"""Taken for the size of the call where a strategy goes by its cost."""


class Asked(Struct, frozen=True):
    """The call that is meant."""

    model: str
    max_tokens: int | None
    door: str
    group: str | None


class Route(Struct, frozen=True):
    """The choices of the call, in order, and what can't take it."""

    choices: tuple[tuple[Choice, tuple[Hop, ...]], ...]
    left_out: tuple[LeftOut, ...]


@cache
def catalogue_prices() -> PriceBook:
    """The prices that a new ledger starts with: those of the installed catalogue that hold today."""
    from genai_prices.data import providers

    from keeptrusts.workers.catalogue import compile_catalogue

    today = datetime.now(UTC).date()
    entries = compile_catalogue(providers, today)
    return PriceBook(entry.price for entry in entries if entry.starts is None or entry.starts <= today)


def route_of(rulebook: Rulebook, book: PriceBook, asked: Asked, missing_secret: Callable[[Any], str | None]) -> Route:
    """Where the call would go. ``missing_secret`` says of a target which variable it lacks. Raises Failure for a group that
    the file does not have."""
    without = {target.id: name for target in rulebook.targets if (name := missing_secret(target)) is not None}
    usable = tuple(target for target in rulebook.targets if target.id not in without)
    found = plan(
        usable,
        rulebook.model_groups,
        book,
        asked.model,
        rulebook.routing,
        _permits(rulebook, asked.group),
        rulebook.wallet_enforcement and rulebook.unpriced_ceiling is None,
    )
    every = plan(rulebook.targets, rulebook.model_groups, book, asked.model, rulebook.routing)
    left_out = [*found.left_out]
    elsewhere = [*((hop.target.id, hop.model) for hop in every.hops), *((o.target, o.model) for o in every.left_out)]
    left_out += [
        LeftOut(target, model, f"{without[target]} is not set here") for target, model in elsewhere if target in without
    ]
    choices = []
    for choice in found.choices:
        fit = fitting(choice.hops, asked.max_tokens)
        able = [hop for hop in fit if hop.target.provider in WIRES[asked.door]]
        left_out += [
            LeftOut(hop.target.id, hop.model, f"it takes max_tokens up to {hop.fits_max_tokens}")
            for hop in choice.hops
            if hop not in fit
        ]
        left_out += [
            LeftOut(hop.target.id, hop.model, f"{hop.target.provider} has no {asked.door} here")
            for hop in fit
            if hop not in able
        ]
        if able:
            choices.append((choice, tuple(_ordered(choice, able, asked, rulebook))))
    return Route(tuple(choices), tuple(left_out))


def _permits(rulebook: Rulebook, name: str | None) -> Permits:
    lists = [] if rulebook.model_allowlist is None else [rulebook.model_allowlist]
    if name is not None:
        group = next((group for group in rulebook.groups if group.name == name), None)
        if group is None:
            known = ", ".join(sorted(group.name for group in rulebook.groups)) or "none"
            raise Failure(f"no consumer group is called {name!r}: there are {known}", SAID_NO)
        lists += [] if group.allowed_models is None else [group.allowed_models]
    return lambda names: not any(allowed.isdisjoint(names) for allowed in lists)


def _ordered(choice: Choice, hops: Sequence[Hop], asked: Asked, rulebook: Rulebook) -> Sequence[Hop]:
    if choice.strategy != "lowest-cost":
        return hops
    output = asked.max_tokens or rulebook.default_output_tokens
    nothing_known = Circumstances(
        lambda hop: 0, lambda hop: None, lambda hop: None, lambda: 0.0, 0, INPUT_TOKENS, output
    )
    return in_order(choice, hops, nothing_known)


def route_lines(rulebook: Rulebook, asked: Asked, route: Route) -> list[str]:
    """The report as text."""
    what = f"{asked.model}" + ("" if asked.max_tokens is None else f", max_tokens {asked.max_tokens}")
    lines = [f"Calls to {what} by {asked.door}:"]
    if route.choices:
        heading = ("Choice", "Target", "Provider", "Model", "USD per 1K in / out", "Why")
        lines.append(columns(heading, [[printable(cell) for cell in row] for row in _rows(route)]))
    else:
        lines.append("  no target")
    if route.left_out:
        lines.append("Left out:")
        lines += [printable(f"  {left.target} {left.model}: {left.why}") for left in route.left_out]
    enforced = rulebook.wallet_enforcement and rulebook.unpriced_ceiling is None
    if enforced and any(hop.price is None for _, hops in route.choices for hop in hops):
        lines.append("Budgets are enforced, and no price is known here: such calls get 402 until somebody sets one.")
    failover = rulebook.routing.failover
    if failover.enabled and failover.max_fallbacks and sum(len(hops) for _, hops in route.choices) > 1:
        causes = ", ".join(sorted(failover.triggers))
        lines.append(f"After a failure ({causes}): the next one, {failover.max_fallbacks} at most.")
    if failover.enabled and failover.retry.max_attempts > 1:
        lines.append(f"Each target is tried {failover.retry.max_attempts} times at most.")
    return [*lines, "Nothing was sent. Prices are the file's and the installed catalogue's."]


def _rows(route: Route) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    place = 0
    for choice, hops in route.choices:
        fixed = choice.strategy in FIXED_ORDER
        place += not fixed
        for hop in hops:
            place += fixed
            rows.append(
                (str(place), hop.target.id, hop.target.provider, hop.model, _price(hop), _why(choice, hops, hop))
            )
    return rows


def _why(choice: Choice, hops: Sequence[Hop], hop: Hop) -> str:
    why = hop.why or choice.strategy
    total = sum(other.weight for other in hops)
    if choice.strategy == "weighted" and total:
        return f"{why}, {100 * hop.weight / total:.3g} %"
    return why


def _price(hop: Hop) -> str:
    if hop.price is None:
        return "unpriced"
    return f"{usd_per_1k_tokens(hop.price.rates.input):f} / {usd_per_1k_tokens(hop.price.rates.output):f}"


def route_json(asked: Asked, route: Route) -> Mapping[str, Any]:
    """The report for programs."""
    return {
        "model": asked.model,
        "max_tokens": asked.max_tokens,
        "door": asked.door,
        "choices": [
            {
                "strategy": choice.strategy,
                "hops": [
                    {
                        "target": hop.target.id,
                        "provider": hop.target.provider,
                        "model": hop.model,
                        "weight": Decimal(str(hop.weight)),
                        "why": hop.why,
                        "price_version": None if hop.price is None else hop.price.version,
                    }
                    for hop in hops
                ],
            }
            for choice, hops in route.choices
        ],
        "left_out": [{"target": left.target, "model": left.model, "why": left.why} for left in route.left_out],
    }
