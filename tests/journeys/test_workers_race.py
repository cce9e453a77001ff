"""A thousand callers at a wallet that affords three hundred, over many nodes: four workers on one port, eight gateways.

Never overspent by the provider's count, and all but 1 % used. ``tests/soak`` runs the race by the hundred on fewer nodes.
"""

from collections import Counter
from pathlib import Path

import pytest

from tests.journeys.books import allocate, balance, issue_key, nanos, nothing_held, settled_events
from tests.journeys.crowd import ask_together, chat_bytes
from tests.journeys.policy_files import Policy, enforcing
from tests.journeys.processes import until
from tests.journeys.product import Key, Product, running_product
from tests.journeys.web import ask

pytestmark = pytest.mark.xdist_group("journeys-workers")

CALLERS = 1_000
AFFORDED = 300
COST_NANOS = 14 * 150 + 25 * 600
BUDGET_NANOS = AFFORDED * COST_NANOS
PROMPT = "Write a short haiku about cloud computing."


def patient(provider_url: str, api_url: str) -> Policy:
    """A machine that is busy with other tests may need long for a thousand calls: no caller is to be told to come again."""
    return {**enforcing(provider_url, api_url), "gateway": {"reserve_wait_ms": 30_000}}


@pytest.mark.parametrize(("gateways", "workers"), [(1, 4), (8, 1)])
def test_a_thousand_calls_over_many_nodes(tmp_path: Path, gateways: int, workers: int) -> None:
    with running_product(tmp_path, patient, workers) as product:
        ports = [product.gateway_port] + [product.start_another_gateway() for _ in range(gateways - 1)]
        statuses = race(product, ports)
        assert set(statuses) == {200, 402}, statuses
        truth_nanos = sum(served.cost_nanos for served in product.truth())
        assert truth_nanos <= BUDGET_NANOS, "the provider bills more than the wallet had"
        assert truth_nanos >= BUDGET_NANOS * 0.99, f"only {truth_nanos / BUDGET_NANOS:.2%} of the budget was used"
        rows = settled_events(product, CALLERS, 60.0, team_id="team_race")
        assert sum(nanos(row["cost_usd"]) for row in rows) == truth_nanos
        assert nanos(nothing_held(product, "team_race", 30.0)["spent"]) == truth_nanos
        for gateway in [product.gateway, *product.other_gateways]:
            assert gateway.stop() == 0
        assert nanos(balance(product, "team_race")["leased"]) == 0


def race(product: Product, ports: list[int]) -> Counter[int]:
    """The answers' statuses of a thousand calls that are sent at one moment."""
    key = issue_key(product, "team_race")
    known_everywhere(key, ports)
    allocate(product, "team_race", f"{BUDGET_NANOS / 1e9:.9f}")
    request = chat_bytes("gpt-4o-mini", PROMPT, key.headers, max_tokens=25)
    return Counter(answer.status for answer in ask_together(ports, [request] * CALLERS))


def known_everywhere(key: Key, ports: list[int]) -> None:
    for port in ports:
        url = f"http://127.0.0.1:{port}/v1/models"
        until(lambda url=url: ask("GET", url, headers=key.headers).status == 200, "the key is known")  # type: ignore[misc]
