"""Usage objects as providers send them, priced by their price lists to the last digit.

Those written here have the shapes of the vendors' references; the larger collection of objects that real answers carried is
not a part of this repository: name its file in KEEPTRUSTS_REAL_USAGE.
"""

import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from keeptrusts.core.calls.chat import parse_chat
from keeptrusts.core.calls.messages import parse_messages
from keeptrusts.core.calls.request import TextRequest
from keeptrusts.core.calls.responses import parse_responses
from keeptrusts.core.calls.usage import Usage
from keeptrusts.core.money import nanos_from_usd
from keeptrusts.core.pricing.pieces import Pieces, ServiceTier
from keeptrusts.core.pricing.price import Price, Rates, Tier, cost_nanos, unsaid_part
from keeptrusts.core.providers.wires import WIRES

ROOT = Path(__file__).resolve().parents[3]
_PLACES = (os.environ.get("KEEPTRUSTS_REAL_USAGE"), str(ROOT.parent / "shared" / "data" / "usage" / "real_cases.json"))
COLLECTION = next((Path(place) for place in _PLACES if place and Path(place).exists()), None)

ASKED: dict[str, tuple[TextRequest, str]] = {
    "chat": (parse_chat(b'{"model":"m","messages":[]}'), "openai"),
    "responses": (parse_responses(b'{"model":"m","input":"Hi"}'), "openai"),
    "messages": (parse_messages(b'{"model":"m","max_tokens":9,"messages":[]}'), "anthropic"),
}


def mtok(*usd: str, **more: str) -> Rates:
    """Rates from USD per million tokens."""
    return Rates(*(_pico(price) for price in usd), **{name: _pico(price) for name, price in more.items()})


def _pico(usd: str) -> int:
    return int(Decimal(usd) * 1_000_000)


CLAUDE = {"cache_read": "0.3", "cache_write": "3.75", "cache_write_1h": "6"}
RATES: dict[str, Rates] = {
    "claude-sonnet-4-5": mtok("3", "15", **CLAUDE),
    "claude-sonnet-4-20250514": mtok("3", "15", **CLAUDE),
    "claude-haiku-4-5": mtok("1", "5", cache_read="0.1", cache_write="1.25", cache_write_1h="2"),
    "gpt-4o": mtok("2.5", "10", cache_read="1.25"),
    "gpt-4o-mini": mtok("0.15", "0.6", cache_read="0.075"),
    "gpt-5": mtok("1.25", "10", cache_read="0.125"),
    "gpt-5-mini": mtok("0.25", "2", cache_read="0.025"),
    "gpt-4.1": mtok("2", "8", cache_read="0.5"),
    "gpt-4.1-mini": mtok("0.4", "1.6", cache_read="0.1"),
    "gpt-5.4": mtok("2.5", "15", cache_read="0.25"),
    "o3": mtok("2", "8", cache_read="0.5"),
    "o3-mini": mtok("1.1", "4.4", cache_read="0.55"),
}
"""The vendors' list prices."""


def used(api: str, usage: dict[str, Any], **more: Any) -> Usage | None:
    """What an answer with this usage object used, read as the gateway reads it."""
    request, provider = ASKED[api]
    body = {"id": "x", "model": "m", "choices": [], "output": [], "content": [], "usage": usage, **more}
    return WIRES[api][provider].whole(request, json.dumps(body).encode(), 0).bill.usage


def cost_of(model: str, usage: Usage | None) -> int:
    assert usage is not None
    price = Price("v", "p", model, RATES[model])
    assert unsaid_part(price, usage) is None
    return cost_nanos(price, usage)


@pytest.mark.skipif(COLLECTION is None, reason="the collection is not here: name its file in KEEPTRUSTS_REAL_USAGE")
def test_every_usage_object_of_the_collection_costs_what_its_price_list_says() -> None:
    assert COLLECTION is not None
    cases = json.loads(COLLECTION.read_text())["cases"]
    assert len(cases) > 400
    wrong = []
    for case in cases:
        usage = used(case["api"], case["usage"])
        exact = Decimal(case["expected_exact"]) * 10**9
        if usage is None or cost_of(case["model"], usage) != -int(-exact // 1):
            wrong.append((case["id"], case["usage"], str(exact)))
    # One object has no figures at all: an answer that says nothing is not taken to be free.
    assert [case for case in wrong if case[2] != "0"] == []


FEES = Pieces(web_search=10_000_000, file_search=2_500_000, code_session=30_000_000)
SEARCHED = [
    {"type": "web_search_call", "action": {"type": "search"}},
    {"type": "web_search_call", "action": {"type": "open_page"}},
    {"type": "file_search_call"},
    {"type": "code_interpreter_call", "container_id": "c1"},
    {"type": "code_interpreter_call", "container_id": "c1"},
    {"type": "message", "content": []},
]
PLAIN = Price("v", "p", "m", mtok("2", "8", cache_read="0.5", cache_write="2.5", cache_write_1h="4"), pieces=FEES)
FLEX = Price("v", "p", "m", mtok("2", "8"), service_tiers=(ServiceTier("flex", 50), ServiceTier("priority", 175)))
AUDIO = Price("v", "p", "m", mtok("2.5", "10", audio_input="32", audio_output="64"))
LONG = Price("v", "p", "m", mtok("3", "15"), (Tier(200_000, mtok("6", "22.5")),))


@pytest.mark.parametrize(
    ("price", "api", "usage", "more", "usd"),
    [
        (PLAIN, "chat", {"prompt_tokens": 1000, "completion_tokens": 500, "prompt_tokens_details": {
            "cached_tokens": 400}, "completion_tokens_details": {"reasoning_tokens": 100}}, {}, "0.0054"),
        (PLAIN, "responses", {"input_tokens": 1000, "output_tokens": 500, "input_tokens_details": {
            "cached_tokens": 400, "cache_write_tokens": 300, "cache_write_tokens_details": {"ttl_12h_tokens": 100}}}, {},
            "0.0057"),
        (PLAIN, "responses", {"input_tokens": 1000, "output_tokens": 500}, {"output": SEARCHED}, "0.0485"),
        (PLAIN, "messages", {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 100,
            "cache_creation_input_tokens": 50, "cache_creation": {"ephemeral_5m_input_tokens": 20,
            "ephemeral_1h_input_tokens": 30}, "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 3}}, {},
            "0.02028"),
        (FLEX, "chat", {"prompt_tokens": 1000, "completion_tokens": 500}, {"service_tier": "flex"}, "0.003"),
        (FLEX, "responses", {"input_tokens": 1000, "output_tokens": 500}, {"service_tier": "priority"}, "0.0105"),
        (FLEX, "chat", {"prompt_tokens": 1000, "completion_tokens": 500}, {"service_tier": "default"}, "0.006"),
        (FLEX, "chat", {"prompt_tokens": 1000, "completion_tokens": 500}, {"service_tier": "on_demand"}, "0.006"),
        (AUDIO, "chat", {"prompt_tokens": 100, "completion_tokens": 60, "prompt_tokens_details": {"audio_tokens": 80},
            "completion_tokens_details": {"audio_tokens": 40}}, {}, "0.00537"),
        (LONG, "messages", {"input_tokens": 200_001, "output_tokens": 10}, {}, "1.200231"),
        (LONG, "messages", {"input_tokens": 200_000, "output_tokens": 10}, {}, "0.60015"),
    ],
)  # fmt: skip
def test_every_bucket_and_fee_has_its_price(
    price: Price, api: str, usage: dict[str, Any], more: dict[str, Any], usd: str
) -> None:
    read = used(api, usage, **more)
    assert read is not None
    assert cost_nanos(price, read) == nanos_from_usd(usd)
    assert unsaid_part(price, read) is None


@pytest.mark.parametrize(
    ("api", "usage", "more", "part"),
    [
        (
            "chat",
            {"prompt_tokens": 1, "completion_tokens": 1},
            {"service_tier": "priority"},
            "the service tier priority",
        ),
        ("chat", {"prompt_tokens": 1, "completion_tokens": 1}, {"service_tier": "scale"}, "the service tier scale"),
        (
            "messages",
            {"input_tokens": 1, "output_tokens": 1, "service_tier": "priority"},
            {},
            "the service tier priority",
        ),
        ("responses", {"input_tokens": 1, "output_tokens": 1}, {"output": SEARCHED}, "web searches"),
    ],
)
def test_what_a_price_does_not_say_is_never_taken_for_standard(
    api: str, usage: dict[str, Any], more: dict[str, Any], part: str
) -> None:
    read = used(api, usage, **more)
    assert read is not None
    assert unsaid_part(Price("v", "p", "m", mtok("2", "8")), read) == part


@pytest.mark.parametrize(
    ("api", "usage"),
    [
        ("chat", {"prompt_tokens": 5, "completion_tokens": 5, "prompt_tokens_details": {"audio_tokens": 6}}),
        ("chat", {"prompt_tokens": 5, "completion_tokens": 5, "completion_tokens_details": {"audio_tokens": -1}}),
        ("messages", {"input_tokens": 1, "output_tokens": 1, "server_tool_use": {"web_search_requests": -1}}),
        ("messages", {}),
    ],
)
def test_figures_that_contradict_each_other_say_nothing(api: str, usage: dict[str, Any]) -> None:
    assert used(api, usage) is None
