"""A thousand callers at a wallet that affords a few hundred: never overspent by the provider's count, and all but 1 % used."""

from collections import Counter
from pathlib import Path

import pytest

from tests.journeys.books import Event, allocate, balance, issue_key, nanos, nothing_held, settled_events
from tests.journeys.crowd import ask_together, chat_bytes
from tests.journeys.policy_files import Policy, enforcing
from tests.journeys.processes import until
from tests.journeys.product import Key, running_product
from tests.journeys.web import ask

pytestmark = pytest.mark.xdist_group("journeys-race")

CALLERS = 1_000
AFFORDED = 300
COST_NANOS = 14 * 150 + 25 * 600
BUDGET_NANOS = AFFORDED * COST_NANOS
PROMPT = "Write a short haiku about cloud computing."


@pytest.mark.parametrize(("gateways", "workers"), [(1, 1), (2, 1), (1, 4), (8, 1)])
def test_a_thousand_concurrent_calls_on_a_wallet_for_three_hundred(tmp_path: Path, gateways: int, workers: int) -> None:
    with running_product(tmp_path, patient, workers) as product:
        ports = [product.gateway_port] + [product.start_another_gateway() for _ in range(gateways - 1)]
        key = issue_key(product, "team_race")
        known_everywhere(key, ports)
        allocate(product, "team_race", f"{BUDGET_NANOS / 1e9:.9f}")
        request = chat_bytes("gpt-4o-mini", PROMPT, key.headers, max_tokens=25)
        answers = ask_together(ports, [request] * CALLERS)

        statuses = Counter(answer.status for answer in answers)
        assert set(statuses) == {200, 402}, statuses
        truth = product.truth()
        truth_nanos = sum(served.cost_nanos for served in truth)
        assert truth_nanos <= BUDGET_NANOS, "the provider bills more than the wallet had"
        assert truth_nanos >= BUDGET_NANOS * 0.99, f"only {truth_nanos / BUDGET_NANOS:.2%} of the budget was used"

        rows = {event["request_id"]: event for event in settled_events(product, CALLERS, 30.0, team_id="team_race")}
        assert rows.keys() == {answer.headers["x-request-id"] for answer in answers}, "one row per call, no other"
        for answer in answers:
            row = rows[answer.headers["x-request-id"]]
            if answer.status == 200:
                assert (row["status"], nanos(row["cost_usd"])) == ("ok", COST_NANOS)
                assert answer.json["usage"]["total_tokens"] == 39
            else:
                assert (row["status"], row["cost"]) == ("blocked", None)
                assert_refusal(answer.error)
        assert {served.request_id for served in truth} == {i for i, row in rows.items() if row["status"] == "ok"}
        assert_holds_were_small(rows)

        assert nanos(nothing_held(product, "team_race")["spent"]) == truth_nanos
        assert product.gateway.stop() == 0
        for another in product.other_gateways:
            assert another.stop() == 0
        until(lambda: nanos(balance(product, "team_race")["leased"]) == 0, "the stopped gateways' leases returned")
        after = balance(product, "team_race")
        assert nanos(after["spent"]) == truth_nanos
        assert nanos(after["available"]) == BUDGET_NANOS - truth_nanos


def patient(provider_url: str, api_url: str) -> Policy:
    """A machine that is busy with other tests may need long for a thousand calls: no caller is to be told to come again."""
    return {**enforcing(provider_url, api_url), "gateway": {"reserve_wait_ms": 30_000}}


def known_everywhere(key: Key, ports: list[int]) -> None:
    for port in ports:
        url = f"http://127.0.0.1:{port}/v1/models"
        until(lambda url=url: ask("GET", url, headers=key.headers).status == 200, "the key is known")  # type: ignore[misc]


def assert_refusal(error: dict[str, object]) -> None:
    """The 402 body: these keys and no others, and figures that make sense of the refusal."""
    assert set(error) == {"message", "type", "code", "details"}
    assert error["message"] == "Budget exceeded for consumer group: race"
    assert (error["type"], error["code"]) == ("budget_exceeded", "insufficient_balance")
    details = error["details"]
    assert isinstance(details, dict)
    assert set(details) == {"team", "budget", "spent", "estimated_cost"}
    assert details["team"] == "race"
    assert nanos(details["budget"]) == BUDGET_NANOS
    assert 0 <= nanos(details["spent"]) <= BUDGET_NANOS
    assert nanos(details["estimated_cost"]) > 0


def assert_holds_were_small(rows: dict[str, Event]) -> None:
    """The 99 % are promised for holds of at most 1 % of the budget; the attempts say what was held."""
    holds = [nanos(attempt["hold"]) for row in rows.values() for attempt in row["attempts"]]
    assert holds
    assert all(COST_NANOS <= hold <= BUDGET_NANOS // 100 for hold in holds)
