"""The API goes away: calls go on while their money is at hand, and no row is lost or doubled."""

import threading
from collections import Counter
from pathlib import Path

import pytest

from tests.journeys.books import allocate, events, funded_key, issue_key, nanos, nothing_held
from tests.journeys.processes import until
from tests.journeys.product import Product, running_product

pytestmark = pytest.mark.xdist_group("journeys-crash")


def every_call_has_its_row(product: Product, team: str) -> None:
    """One row per call of the provider's log, its cost the provider's bill; one that was cut off may be dearer."""
    truth = {served.request_id: served.cost_nanos for served in product.truth()}
    until(lambda: truth.keys() <= {row["request_id"] for row in events(product, team_id=team)}, "all rows", 15.0)
    rows = events(product, team_id=team)
    assert max(Counter(row["request_id"] for row in rows).values()) == 1
    for row in rows:
        if row["request_id"] in truth:
            cost, bill = nanos(row["cost_usd"]), truth[row["request_id"]]
            assert cost == bill or (row["status"] == "recovered" and cost > bill)
    assert nanos(nothing_held(product, team, 15.0)["spent"]) == sum(nanos(row["cost_usd"]) for row in rows)


def test_without_the_api_calls_go_on_and_their_rows_arrive_when_it_is_back(tmp_path: Path) -> None:
    with running_product(tmp_path) as product:
        key = funded_key(product, "team_outage", "10")
        assert product.chat(key).status == 200
        product.api.kill()
        assert [product.chat(key).status for _ in range(20)] == [200] * 20
        product.start_api()
        every_call_has_its_row(product, "team_outage")
        assert len(product.truth()) == 21
        product.gateway.wait_for_line("The control plane is in reach again.")
        assert product.gateway.output.count("The control plane is out of reach") == 1
        assert "the provider" not in product.gateway.output, "the API is none"

        revoked = issue_key(product, "team_outage")
        assert product.chat(revoked).status == 200, "the link works as before"
        product.admin("DELETE", f"/v1/tokens/{revoked.id}")
        until(lambda: product.chat(revoked).status == 403, "revoked again within a second", 1.5)


def test_without_the_api_nobody_spends_what_was_not_leased(tmp_path: Path) -> None:
    """A wallet that cannot be asked is no free pass: 503 with Retry-After, and the provider sees nothing."""
    with running_product(tmp_path) as product:
        allocate(product, "team_fresh", "10")
        key = issue_key(product, "team_fresh")
        product.api.kill()
        refused = product.chat(key)
        assert (refused.status, refused.error["code"]) == (503, "budget_unverifiable")
        assert int(refused.headers["retry-after"]) >= 1
        assert product.truth() == []
        product.start_api()
        until(lambda: product.chat(key).status == 200, "served when the API is back", 5.0)


def test_a_gateway_that_is_stopped_finishes_its_calls_first(tmp_path: Path) -> None:
    with running_product(tmp_path) as product:
        key = funded_key(product, "team_stop", "10")
        statuses: list[int] = []
        prompt = "Slowly. [[first_ms=500]]"
        callers = [threading.Thread(target=lambda: statuses.append(product.chat(key, prompt).status)) for _ in range(5)]
        for caller in callers:
            caller.start()
        until(lambda: len(product.truth()) == 5, "the provider has all five")
        assert product.gateway.stop() == 0
        for caller in callers:
            caller.join(30)
        assert statuses == [200] * 5
        every_call_has_its_row(product, "team_stop")
