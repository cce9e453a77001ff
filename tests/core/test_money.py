"""Money is an integer: what comes in is exact or refused, what goes out is what came in."""

import json
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeptrusts.core.money import (
    MAX_NANOS,
    BadAmount,
    nanos_from_picos_up,
    nanos_from_usd,
    percent_of,
    pico_per_token,
    share_percent,
    usd,
    usd_per_1k_tokens,
    usd_text,
)

nanos = st.integers(-MAX_NANOS, MAX_NANOS)


@given(nanos)
def test_every_amount_survives_the_way_out_and_in_again(amount: int) -> None:
    assert nanos_from_usd(usd(amount)) == amount
    assert nanos_from_usd(usd_text(amount)) == amount
    assert nanos_from_usd(json.loads(usd_text(amount), parse_float=Decimal)) == amount


@given(nanos)
def test_an_amount_is_plain_text_with_at_most_nine_decimals(amount: int) -> None:
    text = usd_text(amount)
    assert "e" not in text.lower()
    assert len(text.partition(".")[2]) <= 9
    assert not text.endswith((".", ".0"))


@given(st.decimals(allow_nan=False, allow_infinity=False, places=12))
def test_an_amount_is_exact_or_refused(amount: Decimal) -> None:
    exact = Fraction(amount) * 10**9
    try:
        found = nanos_from_usd(amount)
    except BadAmount:
        assert exact.denominator != 1 or abs(exact) > MAX_NANOS
    else:
        assert found == exact


@pytest.mark.parametrize(
    "amount", ["", "abc", "NaN", "Infinity", "-Infinity", "1e1000000", "0.0000000001", "9223372036.854775808", "1,5"]
)
def test_what_is_no_amount_is_refused_in_a_sentence(amount: str) -> None:
    with pytest.raises(BadAmount) as refused:
        nanos_from_usd(amount)
    assert str(refused.value)


@given(st.integers(0, MAX_NANOS))
def test_prices_per_1k_survive_the_way_in_and_out(pico: int) -> None:
    assert pico_per_token(usd_per_1k_tokens(pico)) == pico


@pytest.mark.parametrize("price", [-1, "-0.000000001", "0.0000000001", "NaN", "1e30"])
def test_what_is_no_price_is_refused(price: object) -> None:
    with pytest.raises(BadAmount):
        pico_per_token(price)  # type: ignore[arg-type]


@given(st.integers(0, MAX_NANOS))
def test_the_one_rounding_goes_up_by_less_than_a_nano(picos: int) -> None:
    rounded = nanos_from_picos_up(picos)
    assert 0 <= rounded * 1000 - picos < 1000


@given(st.integers(0, MAX_NANOS // 100), st.integers(0, 100))
def test_a_share_of_a_budget_is_never_more_than_the_budget(amount: int, percent: int) -> None:
    assert 0 <= percent_of(amount, percent) <= amount
    assert percent_of(amount, 100) == amount


@pytest.mark.parametrize(
    ("part", "whole", "shown"), [(2, 50_000, "0.004"), (0, 100, "0.000"), (1, 3, "33.333"), (5, 0, "0"), (9, -1, "0")]
)
def test_a_share_is_cut_not_rounded_up(part: int, whole: int, shown: str) -> None:
    assert str(share_percent(part, whole, 3)) == shown
