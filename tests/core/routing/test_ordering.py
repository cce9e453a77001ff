"""Whatever the strategy, every hop comes up once; and what comes first is what the strategy promises."""

import random
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeptrusts.core.pricing.price import Price, Rates
from keeptrusts.core.routing.ordering import ORDERS, Circumstances, expected_picos, in_order
from keeptrusts.core.routing.plan import Choice, Hop
from keeptrusts.core.routing.target import Strategy, Target

CALLS = 20_000


def hop(name: str, weight: float = 1.0, price: Price | None = None) -> Hop:
    return Hop(Target(name, "openai"), "m", price, None, None, weight=weight)


class Figures(NamedTuple):
    """What is known of a target: calls under way, latency, tokens a second."""

    in_flight: int = 0
    latency_s: float | None = None
    tokens_per_s: float | None = None


def now(
    figures: Mapping[str, Figures] | None = None, seed: int = 0, turn: int = 0, tokens: tuple[int, int] = (1_000, 1_000)
) -> Circumstances:
    known = figures or {}
    return Circumstances(
        lambda hop: known.get(hop.target.id, Figures()).in_flight,
        lambda hop: known.get(hop.target.id, Figures()).latency_s,
        lambda hop: known.get(hop.target.id, Figures()).tokens_per_s,
        random.Random(seed).random,
        turn,
        *tokens,
    )


def first(strategy: Strategy, hops: list[Hop], circumstances: Circumstances) -> str:
    return in_order(Choice(strategy, tuple(hops)), hops, circumstances)[0].target.id


FIGURES = st.builds(Figures, st.integers(0, 50), st.none() | st.floats(0.001, 100), st.none() | st.floats(0.1, 1_000))
WEIGHTS = st.floats(0, 1_000, allow_nan=False)
PRICES = st.none() | st.builds(
    lambda i, o: Price("v", "openai", "m", Rates(i, o)), st.integers(0, 9), st.integers(0, 9)
)


@given(
    strategy=st.sampled_from(get_args(Strategy)),
    drawn=st.lists(st.tuples(WEIGHTS, PRICES, FIGURES), min_size=1, max_size=8),
    seed=st.integers(0, 1_000),
    turn=st.integers(0, 10**9),
)
def test_every_hop_comes_up_exactly_once(
    strategy: Strategy, drawn: list[tuple[float, Price | None, Figures]], seed: int, turn: int
) -> None:
    hops = [hop(str(place), weight, price) for place, (weight, price, _) in enumerate(drawn)]
    figures = {str(place): known for place, (_, _, known) in enumerate(drawn)}
    ordered = in_order(Choice(strategy, tuple(hops)), hops, now(figures, seed, turn))
    assert sorted(h.target.id for h in ordered) == sorted(h.target.id for h in hops)


def test_every_strategy_has_an_order() -> None:
    assert set(ORDERS) == set(get_args(Strategy))


@pytest.mark.parametrize("strategy", ["cost-priority", "ordered", "single"])
def test_a_fixed_order_is_the_plans(strategy: Strategy) -> None:
    hops = [hop("b"), hop("a"), hop("c")]
    assert in_order(Choice(strategy, tuple(hops)), hops, now()) == hops


@given(
    weights=st.lists(st.integers(0, 20), min_size=2, max_size=5).filter(any),
    seed=st.integers(0, 2**32),
)
def test_first_choices_by_weight_converge_to_the_shares(weights: list[int], seed: int) -> None:
    """Within six standard deviations of the share that each hop has of the weights."""
    hops = [hop(str(place), float(weight)) for place, weight in enumerate(weights)]
    circumstances = now(seed=seed)
    calls = 400
    seen = Counter(first("weighted", hops, circumstances) for _ in range(calls))
    for place, weight in enumerate(weights):
        share = weight / sum(weights)
        bound = 6 * (share * (1 - share) / calls) ** 0.5
        assert abs(seen[str(place)] / calls - share) <= bound


def test_seventy_to_thirty() -> None:
    circumstances = now(seed=7)
    hops = [hop("a", 70), hop("b", 30)]
    seen = Counter(first("weighted", hops, circumstances) for _ in range(CALLS))
    assert seen["a"] / CALLS == pytest.approx(0.7, abs=0.02)


def test_what_weighs_nothing_is_a_fallback_only() -> None:
    circumstances = now()
    hops = [hop("drained", 0), hop("a"), hop("b")]
    for _ in range(200):
        assert in_order(Choice("weighted", tuple(hops)), hops, circumstances)[-1].target.id == "drained"


def test_turns_go_round() -> None:
    hops = [hop("a"), hop("b"), hop("c")]
    seen = [first("round-robin", hops, now(turn=turn)) for turn in range(6)]
    assert seen == ["a", "b", "c", "a", "b", "c"]
    second = in_order(Choice("round-robin", tuple(hops)), hops, now(turn=1))
    assert [h.target.id for h in second] == ["b", "c", "a"]


def test_random_is_even() -> None:
    circumstances = now(seed=3)
    hops = [hop("a"), hop("b"), hop("c")]
    seen = Counter(first("random", hops, circumstances) for _ in range(CALLS))
    assert all(abs(count / CALLS - 1 / 3) < 0.02 for count in seen.values())


def test_the_least_busy_comes_first_and_ties_are_drawn() -> None:
    busy = {"a": Figures(3), "b": Figures(1), "c": Figures(1)}
    circumstances = now(busy)
    seen = Counter(first("least-busy", [hop("a"), hop("b"), hop("c")], circumstances) for _ in range(200))
    assert set(seen) == {"b", "c"}


def test_the_fastest_comes_first_and_one_call_at_a_time_finds_out_about_the_unknown() -> None:
    hops = [hop("slow"), hop("fast"), hop("new")]
    known = {"slow": Figures(0, 2.0), "fast": Figures(9, 0.5)}
    assert first("lowest-latency", hops, now(known)) == "new"
    assert first("lowest-latency", hops, now({**known, "new": Figures(1)})) == "fast"
    assert first("lowest-latency", hops, now({**known, "new": Figures(0, 0.1)})) == "new"


def test_the_most_tokens_a_second_come_first() -> None:
    known = {"a": Figures(0, 0.1, 20.0), "b": Figures(0, 9.0, 80.0)}
    assert first("highest-throughput", [hop("a"), hop("b")], now(known)) == "b"


def test_the_cheapest_for_this_call_comes_first_and_what_has_no_price_last() -> None:
    """One is cheap to read, the other cheap to write: the call's own tokens decide."""
    reads = Price("r", "openai", "m", Rates(1, 10))
    writes = Price("w", "openai", "m", Rates(5, 2))
    hops = [hop("unpriced"), hop("reads", price=reads), hop("writes", price=writes)]
    assert first("lowest-cost", hops, now(tokens=(10_000, 100))) == "reads"
    assert first("lowest-cost", hops, now(tokens=(100, 10_000))) == "writes"
    assert in_order(Choice("lowest-cost", tuple(hops)), hops, now())[-1].target.id == "unpriced"


def test_a_fee_counts_to_what_a_call_costs() -> None:
    free = Price("v", "openai", "m", Rates(1, 1))
    assert expected_picos(msgspec.structs.replace(free, request_nanos=7), 2, 3) == 5 + 7_000
