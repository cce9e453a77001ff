"""Budgets as people set them: unallocated, lowered, raised, capped by the policy file, and alerts on the way."""

import time
from collections.abc import Iterator

import pytest

from tests.journeys.books import (
    allocate,
    balance,
    events,
    funded_key,
    issue_key,
    nanos,
    nothing_held,
    settled_events,
)
from tests.journeys.policy_files import Policy, enforcing
from tests.journeys.processes import until
from tests.journeys.product import Key, Product, running_product

pytestmark = pytest.mark.xdist_group("journeys-wallets")

CALL_NANOS = 10 * 150 + 25 * 600  # "Say a word." is three words, and seven tokens around them
CAPPED_NANOS = 20 * CALL_NANOS


def rules(provider_url: str, api_url: str) -> Policy:
    policy = enforcing(provider_url, api_url)
    policy["cost_tracking"]["budget_alerts"] = [
        {"threshold_percent": 50, "action": "notify"},
        {"threshold_percent": 80, "action": "notify"},
        {"threshold_percent": 100, "action": "block"},
    ]
    policy["spend_controls"] = [{"team": "team_capped", "hard_cap": CAPPED_NANOS / 1e9, "period": "monthly"}]
    return policy


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with running_product(tmp_path_factory.mktemp("wallets"), rules) as running:
        yield running


def calls_until_refused(product: Product, key: Key, limit: int = 60) -> int:
    """How many calls in a row are served before the first 402."""
    for served in range(limit):
        answer = product.chat(key, max_tokens=25)
        if answer.status == 402:
            return served
        assert answer.status == 200, answer.body
    raise AssertionError(f"{limit} calls and no 402")


def test_a_team_that_was_never_given_money_is_refused_at_its_first_call(product: Product, team: str) -> None:
    key = issue_key(product, team)
    refused = product.chat(key)
    assert (refused.status, refused.error["code"]) == (402, "insufficient_balance")
    assert set(refused.error["details"]) == {"team", "budget", "spent", "estimated_cost"}
    assert (refused.error["details"]["budget"], refused.error["details"]["spent"]) == (0, 0)


def test_money_that_arrives_is_spent_within_a_second(product: Product, team: str) -> None:
    key = issue_key(product, team)
    assert product.chat(key).status == 402
    allocate(product, team, "1")
    until(lambda: product.chat(key).status == 200, "served with the new money", 1.5)


def test_one_call_after_the_other_uses_the_budget_to_the_last_call_that_fits(product: Product, team: str) -> None:
    """With nothing in flight a call is refused only when its hold exceeds what is left."""
    budget = 30 * CALL_NANOS
    key = funded_key(product, team, f"{budget / 1e9:.9f}")
    served = calls_until_refused(product, key)
    last = product.chat(key, max_tokens=25)
    settled_events(product, served + 2, team_id=team)
    spent, hold = nanos(last.error["details"]["spent"]), nanos(last.error["details"]["estimated_cost"])
    assert spent == served * CALL_NANOS == nanos(nothing_held(product, team)["spent"])
    assert spent + hold > budget


def test_a_budget_lowered_under_what_is_spent_stops_the_next_call_within_a_second(product: Product, team: str) -> None:
    key = funded_key(product, team, "5")
    assert product.chat(key).status == 200
    settled_events(product, 1, team_id=team)
    answer = allocate(product, team, "0.000000001")
    assert nanos(answer["allocated"]) == 1
    start = time.monotonic()
    until(lambda: product.chat(key).status == 402, "refused under the lowered budget", 3.0)
    assert time.monotonic() - start <= 1.0
    last = product.chat(key)
    assert nanos(last.error["details"]["budget"]) == 1


def test_the_hard_cap_of_the_policy_file_holds_whatever_the_wallet_has(product: Product) -> None:
    key = funded_key(product, "team_capped", "100")
    served = calls_until_refused(product, key)
    assert served * CALL_NANOS <= CAPPED_NANOS
    assert served >= 18
    settled_events(product, served + 1, team_id="team_capped")
    until(lambda: balance(product, "team_capped")["reserved"] == 0, "no hold left")
    assert nanos(balance(product, "team_capped")["spent"]) == served * CALL_NANOS


def test_each_threshold_is_one_alert_and_no_more(product: Product, team: str) -> None:
    key = funded_key(product, team, f"{20 * CALL_NANOS / 1e9:.9f}")
    served = calls_until_refused(product, key)
    settled_events(product, served + 1, team_id=team)
    alerts = until(
        lambda: len(found := events(product, team_id=team, type="budget_alert")) >= 2 and found, "the alerts"
    )
    assert isinstance(alerts, list)
    assert sorted(alert["threshold_percent"] for alert in alerts) == [50, 80]
    assert {alert["status"] for alert in alerts} == {"alert"}
    assert len(events(product, team_id=team)) == served + 1, "alerts are no calls"


def test_the_statement_adds_up_to_the_balance(product: Product, team: str) -> None:
    key = funded_key(product, team, "2")
    for _ in range(3):
        assert product.chat(key).status == 200
    settled_events(product, 3, team_id=team)
    spent = nanos(nothing_held(product, team)["spent"])
    answer = product.admin("GET", "/v1/wallets/transactions", None, team_id=team)
    entries = answer.json["transactions"]
    settled = [entry for entry in entries if entry["type"] == "settle"]
    assert len(settled) == 3
    assert sum(abs(nanos(entry["amount"])) for entry in settled) == spent == 3 * CALL_NANOS
    assert [nanos(entry["amount"]) for entry in entries if entry["type"] == "allocate"] == [2_000_000_000]
