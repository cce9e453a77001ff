"""The order in which a call tries the hops of a choice: one function for each strategy. Dice and figures are handed in.

Every function returns a rank for each hop; the lowest comes first, and equal ranks keep their order. Whatever the strategy,
every hop comes up exactly once, so that the rest are fallbacks of the first.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from keeptrusts.core.money import PICOS_PER_NANO
from keeptrusts.core.pricing.price import Price
from keeptrusts.core.routing.plan import Choice, Hop
from keeptrusts.core.routing.target import Strategy


class Circumstances(Struct, frozen=True):
    """What an order may depend on. ``turn`` rises by one with each call of the name; ``draw`` gives numbers in [0, 1).

    ``in_flight``, ``latency_s`` and ``tokens_per_s`` say what is known of a hop's target; None: nothing that is still true.
    Tokens are what the call is expected to use.
    """

    in_flight: Callable[[Hop], int]
    latency_s: Callable[[Hop], float | None]
    tokens_per_s: Callable[[Hop], float | None]
    draw: Callable[[], float]
    turn: int
    input_tokens: int
    output_tokens: int


Ranks = Sequence[Any]
Order = Callable[[Sequence[Hop], Circumstances], Ranks]


def _as_planned(hops: Sequence[Hop], now: Circumstances) -> Ranks:
    del now
    return range(len(hops))


def _weighted(hops: Sequence[Hop], now: Circumstances) -> Ranks:
    """A weighted draw without putting back, after Efraimidis and Spirakis (2006): the first hop is ``h`` with probability
    ``weight(h) / sum of weights``. Those of weight 0 come last."""
    return [(False, -math.log(1.0 - now.draw()) / hop.weight) if hop.weight > 0 else (True, now.draw()) for hop in hops]


def _round_robin(hops: Sequence[Hop], now: Circumstances) -> Ranks:
    return [(place - now.turn) % len(hops) for place in range(len(hops))]


def _random(hops: Sequence[Hop], now: Circumstances) -> Ranks:
    return [now.draw() for _ in hops]


def _least_busy(hops: Sequence[Hop], now: Circumstances) -> Ranks:
    """Among those of equally many calls a draw decides, or the first would get all of a quiet time's calls."""
    return [(now.in_flight(hop), now.draw()) for hop in hops]


def _lowest_latency(hops: Sequence[Hop], now: Circumstances) -> Ranks:
    return [_rank_of_speed(hop, now.latency_s(hop), now) for hop in hops]


def _highest_throughput(hops: Sequence[Hop], now: Circumstances) -> Ranks:
    speeds = [now.tokens_per_s(hop) for hop in hops]
    return [
        _rank_of_speed(hop, None if speed is None else -speed, now) for hop, speed in zip(hops, speeds, strict=True)
    ]


def _rank_of_speed(hop: Hop, slowness: float | None, now: Circumstances) -> tuple[int, float, float]:
    """One call at a time finds out about a target that nobody knows; meanwhile the others go where it is known."""
    if slowness is not None:
        return (1, slowness, now.draw())
    busy = now.in_flight(hop)
    return (2 if busy else 0, busy, now.draw())


def _lowest_cost(hops: Sequence[Hop], now: Circumstances) -> Ranks:
    """By what this call would cost; what has no price comes last."""
    return [
        math.inf if hop.price is None else expected_picos(hop.price, now.input_tokens, now.output_tokens)
        for hop in hops
    ]


def expected_picos(price: Price, input_tokens: int, output_tokens: int) -> int:
    """About what a call of so many tokens costs, in pico-USD: to compare, not to bill by."""
    rates = price.rates_for(input_tokens) if price.tiers else price.rates
    return input_tokens * rates.input + output_tokens * rates.output + price.request_nanos * PICOS_PER_NANO


ORDERS: Mapping[Strategy, Order] = {
    "cost-priority": _as_planned,
    "ordered": _as_planned,
    "single": _as_planned,
    "weighted": _weighted,
    "round-robin": _round_robin,
    "random": _random,
    "least-busy": _least_busy,
    "lowest-latency": _lowest_latency,
    "lowest-cost": _lowest_cost,
    "highest-throughput": _highest_throughput,
}


def in_order(choice: Choice, hops: Sequence[Hop], now: Circumstances) -> list[Hop]:
    """These hops of the choice, the one to try first before all others."""
    ranks = ORDERS[choice.strategy](hops, now)
    return [hops[place] for place in sorted(range(len(hops)), key=lambda place: ranks[place])]
