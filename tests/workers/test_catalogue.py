"""The price catalogue is compiled exactly or not at all."""

from datetime import date, time
from decimal import Decimal
from typing import Any

import pytest
from genai_prices.data import providers
from genai_prices.types import (
    ClauseEquals,
    ClauseOr,
    ClauseStartsWith,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    Provider,
    StartDateConstraint,
    Tier,
    TieredPrices,
    TimeOfDateConstraint,
    Usage,
)

from keeptrusts.core.calls import usage as ours
from keeptrusts.core.pricing.pieces import Pieces
from keeptrusts.core.pricing.price import Price, Rates, cost_nanos
from keeptrusts.workers.catalogue import PROVIDERS, Entry, compile_catalogue, compile_provider

TODAY = date(2026, 11, 21)
PLAIN = ModelPrice(input_mtok=Decimal("0.15"), output_mtok=Decimal("0.6"))


def provider(*models: ModelInfo) -> Provider:
    return Provider(id="openai", name="OpenAI", api_pattern="x", models=list(models))


def model(prices: Any, name: str = "m", match: Any = None, **more: Any) -> ModelInfo:
    return ModelInfo(id=name, match=match or ClauseEquals(equals=name), prices=prices, **more)


def compiled(*models: ModelInfo) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = {}
    for entry in compile_provider(provider(*models), TODAY):
        found.setdefault(entry.price.model, []).append(entry)
    return found


def only(*models: ModelInfo) -> Price:
    [[entry]] = compiled(*models).values()
    assert entry.starts is None
    return entry.price


def test_prices_per_million_become_integers() -> None:
    price = only(
        model(
            ModelPrice(
                input_mtok=Decimal("0.15"),
                output_mtok=Decimal("0.6"),
                cache_read_mtok=Decimal("0.075"),
                cache_write_mtok=Decimal("3.75"),
                cache_write_1h_mtok=Decimal(6),
                output_reasoning_mtok=Decimal(1),
                requests_kcount=Decimal(5),
            ),
            context_window=128_000,
        )
    )
    rates = price.rates
    assert (rates.input, rates.output, rates.cache_read) == (150_000, 600_000, 75_000)
    assert (rates.cache_write, rates.cache_write_1h, rates.reasoning) == (3_750_000, 6_000_000, 1_000_000)
    assert (price.request_nanos, price.context_window) == (5_000_000, 128_000)


@pytest.mark.parametrize(
    "prices",
    [
        ModelPrice(input_mtok=Decimal("0.0000001"), output_mtok=Decimal(1)),
        ModelPrice(input_mtok=Decimal(1)),
        ModelPrice(input_mtok=Decimal(1), output_mtok=Decimal(1), output_video_mtok=Decimal(9)),
        ModelPrice(audio_hours=Decimal(1)),
        ModelPrice(input_audio_hours=Decimal("0.0000001")),
        [
            ConditionalPrice(prices=PLAIN),
            ConditionalPrice(constraint=TimeOfDateConstraint(start_time=time(1), end_time=time(4)), prices=PLAIN),
        ],
    ],
)
def test_what_cannot_be_said_exactly_is_left_out(prices: Any) -> None:
    assert compiled(model(prices)) == {}


def test_sound_and_pictures_have_their_own_prices_by_the_token_or_by_the_piece() -> None:
    heard = ModelPrice(input_mtok=Decimal(1), output_mtok=Decimal(2), input_audio_mtok=Decimal(9))
    assert only(model(heard)).rates == Rates(1_000_000, 2_000_000, audio_input=9_000_000)
    whisper = only(model(ModelPrice(input_audio_hours=Decimal("0.36"), audio_hours=Decimal("0.36"))))
    assert (whisper.rates, whisper.pieces) == (Rates(0, 0), Pieces(audio_minute=6_000_000))
    assert only(model(ModelPrice(input_mchars=Decimal(15)))).pieces == Pieces(characters_1k=15_000_000)
    searching = ModelPrice(input_mtok=Decimal(1), output_mtok=Decimal(2), web_searches_kcount=Decimal(10))
    assert only(model(searching)).pieces == Pieces(web_search=10_000_000)


def test_a_model_for_sound_whose_price_says_nothing_of_it_is_left_out() -> None:
    assert compiled(model(PLAIN, "gpt-x-audio-preview")) == {}


def test_the_price_of_today_holds_and_the_announced_one_follows() -> None:
    dearer = ModelPrice(input_mtok=Decimal(1), output_mtok=Decimal(2))
    dearest = ModelPrice(input_mtok=Decimal(3), output_mtok=Decimal(4))
    entries = compiled(
        model(
            [
                ConditionalPrice(prices=PLAIN),
                ConditionalPrice(constraint=StartDateConstraint(start_date=date(2026, 1, 1)), prices=dearer),
                ConditionalPrice(constraint=StartDateConstraint(start_date=date(2027, 1, 1)), prices=dearest),
            ]
        )
    )["m"]
    assert [(entry.price.rates.input, entry.starts) for entry in entries] == [
        (1_000_000, None),
        (3_000_000, date(2027, 1, 1)),
    ]


def test_a_long_context_tier_holds_for_all_tokens_above_it() -> None:
    tiered = ModelPrice(
        input_mtok=TieredPrices(base=Decimal(2), tiers=[Tier(start=200_000, price=Decimal(4))]),
        output_mtok=TieredPrices(base=Decimal(12), tiers=[Tier(start=200_000, price=Decimal(18))]),
        cache_read_mtok=Decimal("0.5"),
    )
    price = only(model(tiered))
    [tier] = price.tiers
    assert (tier.above_input_tokens, tier.rates.input, tier.rates.output) == (200_000, 4_000_000, 18_000_000)
    assert tier.rates.cache_read == 500_000


def test_every_exact_name_has_its_price_and_the_first_match_decides() -> None:
    cheap = ModelPrice(input_mtok=Decimal(1), output_mtok=Decimal(1))
    found = compiled(
        model(cheap, "gpt-x", ClauseOr(or_=[ClauseEquals(equals="gpt-x"), ClauseStartsWith(starts_with="gpt-x-2024")])),
        model(PLAIN, "gpt-x-2024-05-13"),
        model(PLAIN, "gpt-y", ClauseOr(or_=[ClauseEquals(equals="gpt-y"), ClauseEquals(equals="gpt-y-latest")])),
    )
    assert {name: entries[0].price.rates.input for name, entries in found.items()} == {
        "gpt-x": 1_000_000,
        "gpt-x-2024-05-13": 1_000_000,
        "gpt-y": 150_000,
        "gpt-y-latest": 150_000,
    }


def test_the_installed_catalogue_agrees_with_its_own_arithmetic() -> None:
    """Every price that we seeded, held against the library's calculation, to the rounding of one nano-dollar."""
    catalogue = {p.id: p for p in providers}
    by_ours = {ours_name: name for name, ours_name in PROVIDERS.items()}
    checked = 0
    for entry in compile_catalogue(providers, date.max):
        price = entry.price
        info = catalogue[by_ours[price.provider]].find_model(price.model)
        if info is None or isinstance(info.prices, list):
            continue
        for tokens in (1_000, 1_000_000):
            theirs = info.prices.calc_price(Usage(input_tokens=tokens, output_tokens=77))["total_price"]
            mine = cost_nanos(price, ours.Usage(input=tokens, output=77))
            assert 0 <= Decimal(mine) - theirs * 10**9 < 1, price
        checked += 1
    assert checked > 1_000


def test_the_documents_models_are_priced_as_the_documents_say() -> None:
    found = {
        (e.price.provider, e.price.model): e.price for e in compile_catalogue(providers, TODAY) if e.starts is None
    }
    mini, four = found["openai", "gpt-4o-mini"].rates, found["openai", "gpt-4o"].rates
    assert (mini.input, mini.output) == (150_000, 600_000)
    assert (four.input, four.output) == (2_500_000, 10_000_000)
    assert ("openai", "gpt-4o-mini-2024-07-18") in found
