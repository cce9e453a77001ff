"""A call's story and sums, from its row alone and the prices that it names."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from keeptrusts.control.call_story import explain
from keeptrusts.control.event_rows import call_row
from keeptrusts.core.calls.other_usage import Other
from keeptrusts.core.calls.usage import Usage, UsageSource
from keeptrusts.core.ledger.records import Attempt
from keeptrusts.core.ledger.ticket import Ticket
from keeptrusts.core.metering.rendering import Names
from keeptrusts.core.pricing.pieces import Pieces
from keeptrusts.core.pricing.price import Price, Rates, ServiceTier, Tier, cost_nanos
from tests.ledger_node import event

PRICE = Price(
    "prc_1",
    "openai",
    "gpt-4o-mini",
    Rates(150_000, 600_000, cache_read=75_000, reasoning=700_000),
    tiers=(Tier(1_000, Rates(300_000, 600_000)),),
    request_nanos=5,
)
NAMES = Names({"team_a": "alpha"}, {"key_1": "search-prod"})


def attempt(number: int, outcome: str, cost: int, **more: Any) -> Attempt:
    made = Attempt(number, "openai-main", "openai", "gpt-4o-mini", "void", 20_000, cost, lease_id="lse_1")
    return msgspec.structs.replace(made, outcome=outcome, **more)


def explained(*attempts: Attempt, prices: dict[str, Price] | None = None, **more: Any) -> dict[str, Any]:
    row = call_row(event("evt_1", attempts, **more), "nod_1", 1, None)
    known = {"prc_1": PRICE} if prices is None else prices
    return explain(row, NAMES, known, {"lse_1": ["team:team_a monthly:2026-04-01"]})


USAGE = Usage(input=14, cache_read=4, output=25, reasoning=5)
COST = 14 * 150 + 4 * 75 + 20 * 600 + 5 * 700 + 5


def settled(number: int = 1, **more: Any) -> Attempt:
    fields = {"usage": USAGE, "usage_source": UsageSource.PROVIDER, "price_version": "prc_1", **more}
    return attempt(number, "settled", COST, **fields)


WENT = "went to openai-main for gpt-4o-mini"
HELD = "$0.00002 held from team:team_a monthly:2026-04-01"


def test_a_call_that_fell_back_is_told_step_by_step_and_adds_up() -> None:
    first = attempt(1, "void", 0, status=500, reason="the provider answered 500", chosen="weighted")
    found = explained(first, settled(2, chosen="fallback"), key_id="key_1", policy_actions=("pii_redacted",))
    assert found["story"] == [
        "search-prod, of team alpha, asked for gpt-4o-mini, whole.",
        "Policies acted: pii_redacted.",
        f"Attempt 1 {WENT}, because: weighted; {HELD}; nothing was billed (the provider answered 500).",
        f"Attempt 2 {WENT}, because: fallback; {HELD}; it cost ${Decimal(COST) / 10**9:f}.",
        "It ended as ok, with HTTP 200, after 12 ms.",
    ]
    assert found["sums"]["agree"] is True
    assert found["attempts"][1]["arithmetic"] == [
        {"bucket": "input", "tokens": 14, "usd_per_1k_tokens": Decimal("0.00015")},
        {"bucket": "cache_read", "tokens": 4, "usd_per_1k_tokens": Decimal("0.000075")},
        {"bucket": "output", "tokens": 20, "usd_per_1k_tokens": Decimal("0.0006")},
        {"bucket": "reasoning", "tokens": 5, "usd_per_1k_tokens": Decimal("0.0007")},
        {"bucket": "request", "usd": Decimal("0.000000005")},
    ]
    assert found["attempts"][1]["agrees"] is True


def test_what_is_used_beside_words_shows() -> None:
    price = msgspec.structs.replace(
        PRICE, service_tiers=(ServiceTier("flex", 50),), pieces=Pieces(web_search=10_000_000), tiers=()
    )
    usage = Usage(input=10, output=2, other=Other(audio_input=4, web_searches=2, service_tier="flex"))
    call = msgspec.structs.replace(settled(), usage=usage, cost_nanos=cost_nanos(price, usage))
    [attempt] = explained(call, prices={"prc_1": price})["attempts"]
    assert attempt["agrees"] is True
    assert [line["bucket"] for line in attempt["arithmetic"]] == [
        "input",
        "output",
        "audio_input",
        "service tier flex",
        "what is billed by the piece",
        "request",
    ]


def test_a_price_tier_shows_in_the_arithmetic() -> None:
    usage = Usage(input=2_000, output=1)
    cost = 2_000 * 300 + 600 + 5
    found = explained(msgspec.structs.replace(settled(), usage=usage, cost_nanos=cost))
    [into, *_] = found["attempts"][0]["arithmetic"]
    assert into["usd_per_1k_tokens"] == Decimal("0.0003")
    assert found["attempts"][0]["agrees"] is True


def test_a_cost_that_its_price_does_not_make_is_told() -> None:
    found = explained(msgspec.structs.replace(settled(), cost_nanos=COST + 1))
    assert found["attempts"][0]["agrees"] is False


def test_a_price_that_only_a_policy_file_has_is_not_made_up() -> None:
    found = explained(settled(price_version="file:openai:abc"), prices={})
    assert "arithmetic" not in found["attempts"][0]
    assert found["attempts"][0]["price_version"] == "file:openai:abc"
    assert found["story"][2].endswith(
        f"it cost ${Decimal(COST) / 10**9:f}, of 18 tokens in and 25 out, by a price that stands in the gateway's policy file."
    )


@pytest.mark.parametrize(
    ("outcome", "said"), [("indeterminate", "nobody knows what it cost"), ("void", "nothing was billed")]
)
def test_attempts_without_a_bill_say_what_was_posted(outcome: str, said: str) -> None:
    found = explained(attempt(1, outcome, 20_000 if outcome == "indeterminate" else 0))
    assert said in found["story"][2]


def test_a_call_that_was_never_sent_has_no_attempts_and_no_cost() -> None:
    found = explained(status="refused", reason="rate_limit_exceeded", http_status=429)
    assert found["attempts"] == []
    assert found["sums"] == {"attempts": Decimal(0), "call": None, "agree": True}
    assert found["story"][-1] == "It ended as refused: rate_limit_exceeded, with HTTP 429, after 12 ms."


@pytest.mark.parametrize(
    ("decided", "said"),
    [
        ({}, "not decided: open."),
        ({"status": "redeemed", "actor": "admin", "note": "they may"}, "decided by admin (they may): redeemed."),
    ],
)
def test_a_call_that_was_held_says_who_decided(decided: dict[str, str], said: str) -> None:
    row = call_row(event("evt_1", ticket="tkt_1"), "nod_1", 1, None)
    ticket = Ticket(
        "tkt_1",
        "open",
        None,
        None,
        "[]",
        None,
        "g",
        "m",
        "evt_1",
        "req",
        None,
        "nod_1",
        None,
        0,
        0,
        1,
        2,
        policies="[]",
    )
    told = explain(row, NAMES, {}, {}, msgspec.structs.replace(ticket, **decided))
    assert told["event"]["ticket"] == "tkt_1"
    assert told["story"][2] == f"It was held for an approver with ticket tkt_1, {said}"
