"""One function prices holds and settlements: exact, rounded up once, and a hold is never below the bill."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from keeptrusts.core.calls.usage import Usage
from keeptrusts.core.pricing.price import Price, Rates, Tier, bound_nanos, cost_nanos
from keeptrusts.core.pricing.price_book import PriceBook

pico = st.integers(0, 200_000_000)
maybe = st.none() | pico
tokens = st.integers(0, 300_000)
rates = st.builds(Rates, pico, pico, maybe, maybe, maybe, maybe)
tiers = st.lists(st.builds(Tier, st.integers(1, 300_000), rates), max_size=3, unique_by=lambda t: t.above_input_tokens)
prices = st.builds(
    Price,
    version=st.just("prc_1"),
    provider=st.just("openai"),
    model=st.just("m"),
    rates=rates,
    tiers=tiers.map(lambda found: tuple(sorted(found, key=lambda t: t.above_input_tokens))),
    request_nanos=st.integers(0, 10**9),
)


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    output = draw(tokens)
    return Usage(draw(tokens), draw(tokens), draw(tokens), draw(tokens), output, draw(st.integers(0, output)))


def exactly(price: Price, usage: Usage) -> Fraction:
    """The cost as the price list says it, in nano-USD, written out bucket by bucket."""
    chosen = price.rates
    for tier in price.tiers:
        if usage.prompt_tokens > tier.above_input_tokens:
            chosen = tier.rates
    read = chosen.input if chosen.cache_read is None else chosen.cache_read
    write = chosen.input if chosen.cache_write is None else chosen.cache_write
    write_1h = write if chosen.cache_write_1h is None else chosen.cache_write_1h
    thought = chosen.output if chosen.reasoning is None else chosen.reasoning
    picos = (
        usage.input * chosen.input
        + usage.cache_read * read
        + usage.cache_write * write
        + usage.cache_write_1h * write_1h
        + (usage.output - usage.reasoning) * chosen.output
        + usage.reasoning * thought
    )
    return Fraction(picos, 1000) + price.request_nanos


@given(prices, usages())
def test_the_cost_is_the_exact_one_rounded_up_once(price: Price, usage: Usage) -> None:
    assert 0 <= cost_nanos(price, usage) - exactly(price, usage) < 1


@given(prices, usages(), st.integers(0, 1_000), st.integers(0, 1_000))
def test_no_call_within_its_bound_costs_more_than_its_hold(
    price: Price, usage: Usage, more_input: int, more_output: int
) -> None:
    """L4: whatever tier, cache write or reasoning the call meets."""
    bound = bound_nanos(price, usage.prompt_tokens + more_input, usage.output + more_output)
    assert cost_nanos(price, usage) <= bound


def test_the_tutorials_call_costs_what_its_prices_say() -> None:
    price = Price("prc_1", "openai", "gpt-4o-mini", Rates(150_000, 600_000))
    assert cost_nanos(price, Usage(input=14, output=25)) == 17_100


def test_the_asked_name_decides_and_the_served_one_only_fills_in() -> None:
    asked = Price("prc_1", "openai", "gpt-4o", Rates(1, 1))
    served = Price("prc_2", "openai", "gpt-4o-2024", Rates(2, 2))
    book = PriceBook([asked, served])
    assert book.find("openai", "gpt-4o", "gpt-4o-2024") is asked
    assert book.find("openai", "alias", "gpt-4o-2024") is served
    assert book.find("azure", "gpt-4o") is None
    newer = Price("prc_3", "openai", "gpt-4o", Rates(3, 3))
    assert book.with_prices([newer]).find("openai", "gpt-4o") is newer
    assert book.find("openai", "gpt-4o") is asked, "an edition never changes"
