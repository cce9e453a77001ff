"""Prices through the API: exact figures, versions that are only ever added, people before the catalogue."""

from datetime import timedelta
from typing import Any

import pytest

from keeptrusts.api.resources.model_pricing import PriceAnswer
from keeptrusts.control.context import Control
from keeptrusts.control.prices import Seed, seed, turn
from keeptrusts.core.pricing.price import Price, Rates
from tests.api.asgi import Caller
from tests.hand_clock import HandClock

pytestmark = pytest.mark.anyio

DOCUMENTS = {
    "model": "gpt-4o-mini",
    "provider": "openai",
    "input_cost_per_1k_tokens": 0.00015,
    "output_cost_per_1k_tokens": 0.0006,
}
CATALOGUE = Price("", "openai", "gpt-4o-mini", Rates(1, 2))


async def prices(admin: Caller, **query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await admin.get("/v1/model-pricing", **query)).json
    return found


async def test_the_documents_price_comes_back_in_a_bare_array(admin: Caller) -> None:
    answer = await admin.post("/v1/model-pricing", DOCUMENTS)
    assert answer.status == 201
    PriceAnswer.model_validate(answer.json)
    [row] = await prices(admin)
    assert row == answer.json
    assert (
        '"input_cost_per_1k_tokens":0.00015,"output_cost_per_1k_tokens":0.0006,'
        in (await admin.get("/v1/model-pricing")).text
    )


async def test_posting_a_pair_again_makes_a_new_version(admin: Caller) -> None:
    first = (await admin.post("/v1/model-pricing", DOCUMENTS)).json
    second = (await admin.post("/v1/model-pricing", {**DOCUMENTS, "input_cost_per_1k_tokens": 0.0002})).json
    assert first["id"] != second["id"]
    assert [row["id"] for row in await prices(admin)] == [second["id"]]


async def test_every_optional_field_is_kept(admin: Caller) -> None:
    body = {
        **DOCUMENTS,
        "cached_input_cost_per_1k_tokens": "0.000075",
        "cache_write_cost_per_1k_tokens": 0.1,
        "cache_write_1h_cost_per_1k_tokens": 0.2,
        "reasoning_cost_per_1k_tokens": 0.3,
        "request_cost": 0.000000001,
        "max_output_tokens": 16384,
        "context_window": 128000,
        "tiers": [
            {"above_input_tokens": 200, "input_cost_per_1k_tokens": 2, "output_cost_per_1k_tokens": 3},
            {"above_input_tokens": 100, "input_cost_per_1k_tokens": 1, "output_cost_per_1k_tokens": 2},
        ],
    }
    shown = (await admin.post("/v1/model-pricing", body)).json
    for name in body.keys() - {"tiers", "cached_input_cost_per_1k_tokens"}:
        assert float(shown[name]) == body[name] if name not in ("model", "provider") else shown[name] == body[name]
    assert str(shown["cached_input_cost_per_1k_tokens"]) == "0.000075"
    assert [tier["above_input_tokens"] for tier in shown["tiers"]] == [100, 200]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"input_cost_per_1k_tokens": -1}, "input_cost_per_1k_tokens"),
        ({"input_cost_per_1k_tokens": 0.0000000001}, "input_cost_per_1k_tokens"),
        ({"input_cost_per_1k_tokens": None}, "input_cost_per_1k_tokens"),
        ({"output_cost_per_1k_tokens": True}, "output_cost_per_1k_tokens"),
        ({"model": ""}, "model"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"tiers": [{"above_input_tokens": 1}]}, "tiers.0.input_cost_per_1k_tokens"),
        ({"effective_from": 5}, "effective_from"),
        ({"input_cost": 1}, "input_cost"),
    ],
)
async def test_what_a_price_cannot_be(admin: Caller, change: dict[str, Any], field: str) -> None:
    answer = await admin.post("/v1/model-pricing", {**DOCUMENTS, **change})
    assert answer.status == 400
    assert field in [problem["field"] for problem in answer.json["error"]["details"]["problems"]]
    assert await prices(admin) == []


async def test_peoples_prices_win_over_the_catalogue_now_and_after_an_upgrade(admin: Caller, control: Control) -> None:
    assert await seed(control, "catalogue 1", [Seed(CATALOGUE, None)]) == 1
    assert [row["source"] for row in await prices(admin)] == ["catalogue 1"]
    ours = (await admin.post("/v1/model-pricing", DOCUMENTS)).json
    newer = Price("", "openai", "gpt-4o-mini", Rates(5, 6))
    other = Price("", "openai", "gpt-4o", Rates(1, 2))
    assert await seed(control, "catalogue 2", [Seed(newer, None), Seed(other, None)]) == 2
    assert [row["id"] for row in await prices(admin, model="gpt-4o-mini")] == [ours["id"]]
    assert [row["model"] for row in await prices(admin)] == ["gpt-4o-mini", "gpt-4o"], "people's come first"


async def test_an_unchanged_catalogue_price_gets_no_new_version(admin: Caller, control: Control) -> None:
    """Ledger rows name versions: one that says nothing new would only blur them."""
    await seed(control, "catalogue 1", [Seed(CATALOGUE, None)])
    before = await prices(admin)
    assert await seed(control, "catalogue 2", [Seed(CATALOGUE, None)]) == 0
    assert await prices(admin) == before


async def test_an_announced_price_holds_from_its_instant_on_and_gateways_hear_of_it(
    admin: Caller, control: Control, clock: HandClock
) -> None:
    now = (await admin.post("/v1/model-pricing", DOCUMENTS)).json
    then = (await admin.post("/v1/model-pricing", {**DOCUMENTS, "effective_from": "2026-04-16T00:00:00Z"})).json
    told = control.bell.last_seq
    await turn(control)
    assert [row["id"] for row in await prices(admin)] == [now["id"]]
    assert control.bell.last_seq == told
    clock.turn(timedelta(days=1))
    await turn(control)
    assert [row["id"] for row in await prices(admin)] == [then["id"]]
    assert control.bell.last_seq == told + 1
    await turn(control)
    assert control.bell.last_seq == told + 1, "once"
