"""Calls that a policy leaves to a person: approved, denied, given up and timed out, over real sockets and through a crash."""

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.journeys.books import Event, allocate, events, issue_key, nothing_held
from tests.journeys.policy_files import Policy, enforcing
from tests.journeys.processes import until
from tests.journeys.product import Key, Product, running_product
from tests.journeys.test_held_calls import Calling

pytestmark = pytest.mark.xdist_group("journeys-escalations")

WAIT_S = 8
FOUND = "keyword_escalated:code-names"
TEAM = "team_secretive"
SAID = "Say a word about Project Aurora."


def rules(provider_url: str, api_url: str) -> Policy:
    names = {"name": "code-names", "type": "keyword", "action": "escalate", "config": {"words": ["project aurora"]}}
    return {**enforcing(provider_url, api_url), "gateway": {"hold_wait_s": WAIT_S}, "policies": [names]}


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with running_product(tmp_path_factory.mktemp("escalated"), rules) as running:
        allocate(running, TEAM, "10")
        yield running


@pytest.fixture(scope="module")
def key(product: Product) -> Key:
    return issue_key(product, TEAM)


def asking(product: Product, key: Key, said: str = SAID, **headers: str) -> Calling:
    body = {"model": "gpt-4o-mini", "max_tokens": 25, "messages": [{"role": "user", "content": said}]}
    return Calling(lambda: product.post_chat(body, {**key.headers, **headers}))


def held(product: Product) -> dict[str, Any]:
    """The ticket of the call that waits."""

    def waiting() -> dict[str, Any] | None:
        found = product.admin("GET", "/v1/cost-tickets").json["data"]
        return next((ticket for ticket in found if ticket["status"] == "waiting"), None)

    return until(waiting, "a ticket")


def status_of(product: Product, ticket: dict[str, Any]) -> str:
    return str(product.admin("GET", f"/v1/cost-tickets/{ticket['id']}").json["status"])


def event_of(product: Product, ticket: dict[str, Any]) -> Event:
    """The row of the call that waited last with this ticket."""

    def recorded() -> Event | None:
        return next((event for event in events(product) if event["ticket"] == ticket["id"]), None)

    return until(recorded, "its event")


def test_an_approver_lets_a_call_through_and_it_is_accounted_for_as_any_other(product: Product, key: Key) -> None:
    calling = asking(product, key)
    ticket = held(product)
    assert (ticket["kind"], ticket["policies"], ticket["found"]) == ("policy", ["code-names"], [FOUND])
    assert (ticket["team_id"], ticket["key_id"], ticket["model"]) == (TEAM, key.id, "gpt-4o-mini")
    assert "Aurora" not in json.dumps(ticket)
    assert FOUND in product.kt("tickets", "list")
    assert "is approved" in product.kt("tickets", "approve", ticket["id"], "--note", "they may")
    assert calling.answer().status == 200
    event = event_of(product, ticket)
    assert (event["status"], event["policy_actions"]) == ("ok", [FOUND])
    assert event["cost"] > 0
    now = product.admin("GET", f"/v1/cost-tickets/{ticket['id']}").json
    assert (now["status"], now["used_by"], now["actor"]) == ("redeemed", event["id"], "admin")
    story = product.kt("events", "explain", event["id"])
    assert f"held for an approver with ticket {ticket['id']}, decided by admin (they may): redeemed." in story
    nothing_held(product, TEAM)


def test_an_approver_refuses_a_call_for_good(product: Product, key: Key) -> None:
    served = len(product.truth())
    calling = asking(product, key)
    ticket = held(product)
    assert "is denied" in product.kt("tickets", "deny", ticket["id"])
    refused = calling.answer()
    assert (refused.status, refused.error["code"]) == (409, "policy_violation")
    assert refused.error["details"] == {"policy": "code-names", "phase": "input", "ticket": ticket["id"]}
    assert refused.headers["x-should-retry"] == "false"
    event = event_of(product, ticket)
    assert (event["status"], event["reason"], event["cost"]) == ("blocked", "policy_violation", None)
    assert len(product.truth()) == served
    assert product.kt_ends("tickets", "approve", ticket["id"])[0] != 0


def test_a_wait_that_nobody_ends_is_over_in_time_and_a_retry_uses_what_comes_late(product: Product, key: Key) -> None:
    headers = {"Idempotency-Key": "aurora-1"}
    refused = asking(product, key, **headers).answer()
    assert (refused.status, refused.error["code"]) == (409, "policy_violation")
    ticket = {"id": refused.error["details"]["ticket"]}
    assert status_of(product, ticket) == "open"
    product.kt("tickets", "approve", ticket["id"])
    other = asking(product, key, SAID + " And another.", **headers)
    product.kt("tickets", "deny", held(product)["id"])
    assert other.answer().status == 409, "the key alone buys nothing"
    assert asking(product, key, **headers).answer().status == 200
    assert status_of(product, ticket) == "redeemed"


def test_who_hangs_up_leaves_a_ticket_and_a_row(product: Product, key: Key) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", product.gateway_port, timeout=10)
    body = {"model": "gpt-4o-mini", "max_tokens": 25, "messages": [{"role": "user", "content": SAID}]}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), key.headers)
    ticket = held(product)
    connection.close()
    product.admin("POST", f"/v1/cost-tickets/{ticket['id']}/approve", {})
    event = event_of(product, ticket)
    assert status_of(product, ticket) == "approved", "an approval is not used up for nobody"
    assert (event["status"], event["reason"], event["http_status"]) == ("refused", "client_gone", 499)


def test_a_gateway_that_stops_refuses_who_is_held_at_once(product: Product, key: Key) -> None:
    calling = asking(product, key)
    ticket = held(product)
    assert product.gateway.stop() == 0
    refused = calling.answer()
    assert (refused.status, refused.error["details"]["ticket"]) == (409, ticket["id"])
    assert status_of(product, ticket) == "open"
    product.start_gateway()


def test_a_crash_of_the_gateway_loses_the_call_and_not_the_ticket(product: Product, key: Key) -> None:
    headers = {"Idempotency-Key": "aurora-2"}
    body = {"model": "gpt-4o-mini", "max_tokens": 25, "messages": [{"role": "user", "content": SAID}]}
    connection = http.client.HTTPConnection("127.0.0.1", product.gateway_port, timeout=10)
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {**key.headers, **headers})
    ticket = held(product)
    product.gateway.kill()
    connection.close()
    product.kt("tickets", "approve", ticket["id"])
    product.start_gateway()
    assert product.post_chat(body, {**key.headers, **headers}).status == 200
    assert status_of(product, ticket) == "redeemed"
    nothing_held(product, TEAM)


def test_a_restart_of_the_api_is_outlived_and_a_longer_one_lets_nothing_through(product: Product, key: Key) -> None:
    calling = asking(product, key)
    ticket = held(product)
    assert product.api.stop() == 0
    refused = asking(product, key).answer()
    assert (refused.status, refused.error["code"]) == (503, "policy_unavailable")
    product.start_api()
    product.admin("POST", f"/v1/cost-tickets/{ticket['id']}/approve", {})
    assert calling.answer().status == 200
    nothing_held(product, TEAM)
    product.kt("ledger", "verify", "--data-dir", str(product.data_dir))
