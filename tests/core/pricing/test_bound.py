"""A hold is never below the bill: for any price, any request within its limits, and any usage that a provider can report."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeptrusts.core.calls.chat import parse_chat
from keeptrusts.core.calls.other_usage import Other
from keeptrusts.core.calls.usage import Usage
from keeptrusts.core.pricing.bound import (
    FULL_CONTEXT_TOKENS,
    INPUT_MARGIN_TOKENS,
    bound_of,
    flat_rates,
    max_output_tokens,
    plain_bound_nanos,
)
from keeptrusts.core.pricing.pieces import ServiceTier
from keeptrusts.core.pricing.price import Price, Rates, Tier, bound_nanos, cost_nanos
from keeptrusts.core.pricing.unbounded import refuse_unbounded
from keeptrusts.core.refusal import Reason, Refused

PLAIN = Price("p", "o", "m", Rates(1, 1))
rate = st.integers(0, 10**8)
rates = st.builds(
    Rates,
    input=rate,
    output=rate,
    cache_read=st.none() | rate,
    cache_write=st.none() | rate,
    cache_write_1h=st.none() | rate,
    reasoning=st.none() | rate,
)
tokens = st.integers(0, 3_000)


@st.composite
def prices(draw: st.DrawFn) -> Price:
    steps = sorted(draw(st.sets(st.integers(1, 8_000), max_size=3)))
    return Price(
        "prc",
        "openai",
        "m",
        draw(rates),
        tuple(Tier(step, draw(rates)) for step in steps),
        draw(st.integers(0, 10**6)),
        context_window=draw(st.none() | st.integers(100, 20_000)),
    )


@st.composite
def usages(draw: st.DrawFn, prompt_max: int, output_max: int) -> Usage:
    """Any usage of at most so many tokens, split over the buckets in any way."""
    prompt, output = draw(st.integers(0, prompt_max)), draw(st.integers(0, output_max))
    cuts = sorted(draw(st.lists(st.integers(0, prompt), min_size=3, max_size=3)))
    parts = [end - start for start, end in zip([0, *cuts], [*cuts, prompt], strict=True)]
    return Usage(*parts, output, draw(st.integers(0, output)))


@given(prices(), tokens, tokens, st.data())
def test_the_bound_of_tokens_covers_every_usage_within_them(
    price: Price, prompt: int, output: int, data: st.DataObject
) -> None:
    usage = data.draw(usages(prompt, output))
    assert cost_nanos(price, usage) <= bound_nanos(price, prompt, output)


def request_of(**fields: Any) -> Any:
    return parse_chat(
        json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hello there"}], **fields}).encode()
    )


limits = st.none() | st.integers(1, 5_000)


@given(prices(), limits, st.integers(1, 4), limits, st.integers(1, 5_000), st.data())
def test_the_bound_of_a_request_covers_every_answer_that_keeps_to_it(
    price: Price, asked: int | None, n: int, longest: int | None, unknown: int, data: st.DataObject
) -> None:
    """A provider reads at most the body's bytes, and stops each choice at the limit that it was sent, or at its own."""
    request = request_of(n=n, **({} if asked is None else {"max_tokens": asked}))
    bound = bound_of(request, price, longest, unknown)
    limit = asked if asked is not None else bound.sent_limit if bound.sent_limit is not None else longest
    assert limit is not None, "somebody limits the answer"
    prompt = request.size_bytes
    if price.context_window is not None:
        prompt = min(prompt, price.context_window)
    usage = data.draw(usages(prompt, limit * n))
    assert cost_nanos(price, usage) <= bound.nanos


@given(prices(), st.integers(1, 5_000), st.integers(1, 4), st.data())
def test_the_short_sum_for_plain_requests_covers_them_too(
    price: Price, limit: int, n: int, data: st.DataObject
) -> None:
    request = request_of(max_tokens=limit, n=n)
    assert request.plain
    flat = flat_rates(price)
    if price.tiers:
        assert flat is None
        return
    assert flat is not None
    bound = plain_bound_nanos(request, flat, limit)
    usage = data.draw(usages(request.size_bytes + INPUT_MARGIN_TOKENS, limit * n))
    assert cost_nanos(price, usage) <= bound
    assert bound >= bound_of(request, price, None, 1).nanos


PLAIN = Price("prc", "openai", "m", Rates(1_000, 2_000))


def test_media_is_held_at_the_whole_context_window() -> None:
    request = request_of(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}])
    assert bound_of(request, PLAIN, 10, 10).input_tokens == FULL_CONTEXT_TOKENS
    windowed = Price("prc", "openai", "m", Rates(1_000, 2_000), context_window=128_000)
    assert bound_of(request, windowed, 10, 10).input_tokens == 128_000


def test_an_exact_count_does_not_make_media_cheap() -> None:
    request = request_of(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}])
    assert bound_of(request, PLAIN, 10, 10, input_tokens=5).input_tokens == FULL_CONTEXT_TOKENS


def test_a_prediction_is_billed_like_output() -> None:
    plain = bound_of(request_of(max_tokens=10), PLAIN, 10, 10)
    predicted = bound_of(request_of(max_tokens=10, prediction={"type": "content", "content": "x" * 500}), PLAIN, 10, 10)
    assert predicted.output_tokens >= plain.output_tokens + 500


def test_a_limit_is_sent_only_where_nobody_else_sets_one() -> None:
    assert bound_of(request_of(), PLAIN, None, 777).sent_limit == 777
    assert bound_of(request_of(), PLAIN, 500, 777).sent_limit is None
    assert bound_of(request_of(max_tokens=5), PLAIN, None, 777).sent_limit is None


@pytest.mark.parametrize(
    ("model", "price", "longest"),
    [
        ("gpt-4o-mini", None, 16_384),
        ("gpt-4o-mini-2024-07-18", None, 16_384),
        ("unheard-of", None, None),
        ("unheard-of", Price("p", "o", "m", Rates(1, 1), context_window=9_000), 9_000),
        ("gpt-4o", Price("p", "o", "m", Rates(1, 1), max_output_tokens=50), 50),
    ],
)
def test_the_longest_answer_of_a_model(model: str, price: Price | None, longest: int | None) -> None:
    assert max_output_tokens(price, model) == longest


@pytest.mark.parametrize(
    "fields", [{"web_search_options": {}}, {"audio": {"voice": "x"}}, {"service_tier": "priority"}, {"service_tier": 5}]
)
def test_what_nothing_bounds_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(Refused) as caught:
        refuse_unbounded(request_of(**fields), PLAIN, "m", "o")
    assert caught.value.reason is Reason.UNBOUNDED_COST
    assert caught.value.details == {"param": next(iter(fields))}


@pytest.mark.parametrize("fields", [{}, {"web_search_options": None}, {"service_tier": "flex"}, {"service_tier": None}])
def test_what_is_bounded_is_not_refused(fields: dict[str, Any]) -> None:
    refuse_unbounded(request_of(**fields), PLAIN, "m", "o")


HEARD = {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": ""}}]}]}


@pytest.mark.parametrize(
    ("fields", "known"),
    [
        (HEARD, {"rates": Rates(1, 1, audio_input=1)}),
        ({"audio": {"voice": "x"}}, {"rates": Rates(1, 1, audio_output=1)}),
        ({"service_tier": "priority"}, {"service_tiers": (ServiceTier("priority", 175),)}),
    ],
)
def test_what_a_price_knows_is_not_refused(fields: dict[str, Any], known: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        refuse_unbounded(request_of(**fields), PLAIN, "m", "o")
    refuse_unbounded(request_of(**fields), msgspec.structs.replace(PLAIN, **known), "m", "o")


def test_sound_can_not_hide_behind_an_escape() -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":[{"type":"input\\u005faudio"}]}]}'
    with pytest.raises(Refused):
        refuse_unbounded(parse_chat(body), PLAIN, "m", "o")


def test_a_dearer_tier_is_held_at_its_price() -> None:
    price = msgspec.structs.replace(PLAIN, rates=Rates(1_000, 2_000), service_tiers=(ServiceTier("priority", 175),))
    request = request_of(service_tier="priority", max_tokens=100)
    usage = Usage(input=50, output=100, other=Other(service_tier="priority"))
    assert cost_nanos(price, usage) == 438
    assert bound_of(request, price, 100, 100).nanos >= 438
