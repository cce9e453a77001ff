"""Calls that a budget holds: approved, denied, funded or timed out, with the command line and over real sockets."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.journeys.books import funded_key, nanos, settled_events
from tests.journeys.policy_files import Policy, enforcing
from tests.journeys.processes import until
from tests.journeys.product import Key, Product, running_product
from tests.journeys.web import Answer

pytestmark = pytest.mark.xdist_group("journeys-held")

CALL_NANOS = 10 * 150 + 25 * 600
WAIT_S = 8


def rules(provider_url: str, api_url: str) -> Policy:
    gateway = {"hold_wait_s": WAIT_S, "reserve_wait_ms": 100}
    limits = {"per_provider": {"concurrent_requests": 1}}
    return {**enforcing(provider_url, api_url), "gateway": gateway, "rate_limits": limits}


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with running_product(tmp_path_factory.mktemp("held"), rules) as running:
        yield running


class Calling:
    """One call under way on a thread of its own."""

    def __init__(self, call: Callable[[], Answer]) -> None:
        self.answers: list[Answer] = []
        self._thread = threading.Thread(target=lambda: self.answers.append(call()))
        self._thread.start()

    def answer(self) -> Answer:
        self._thread.join(30)
        return self.answers[0]


def poor_key(product: Product, team: str) -> Key:
    """A key of a team that can't pay for one call, and escalates."""
    key = funded_key(product, team, "0.000001")
    product.kt("wallets", "allocate", "--team", team, "--amount", "0.000001", "--on-hard-cap", "escalate")
    return key


def held_ticket(product: Product, team: str) -> dict[str, Any]:
    """The ticket that a call of the team waits with."""

    def waiting() -> dict[str, Any] | None:
        found = product.admin("GET", "/v1/cost-tickets").json["data"]
        return next((t for t in found if t["team_id"] == team and t["status"] == "waiting"), None)

    return until(waiting, f"a ticket of {team}")


def test_an_approved_call_goes_on_and_costs_what_it_costs(product: Product) -> None:
    key = poor_key(product, "team_approved")
    calling = Calling(lambda: product.chat(key, max_tokens=25))
    ticket = held_ticket(product, "team_approved")
    assert ticket["model"] == "gpt-4o-mini"
    assert nanos(ticket["needed"]) >= CALL_NANOS
    rich = funded_key(product, "team_meanwhile", "1")
    assert product.chat(rich, max_tokens=25).status == 200, "who is held takes no place at the provider"
    assert "is approved" in product.kt("tickets", "approve", ticket["id"], "--note", "a demo")
    assert calling.answer().status == 200
    balance = "/v1/wallets/balance"

    def at_rest() -> bool:
        now = product.admin("GET", balance, team_id="team_approved").json
        return nanos(now["spent"]) == nanos(now["approved"]) == CALL_NANOS

    until(at_rest, "what the call did not use is not approved any more")
    assert "team_approved" in product.kt("tickets", "list", "--all")
    [event] = settled_events(product, 1, team_id="team_approved", type="call")
    assert (event["status"], event["ticket"]) == ("ok", ticket["id"])
    again = product.admin("POST", f"/v1/cost-tickets/{ticket['id']}/approve", {})
    assert (again.status, again.error["code"]) == (409, "ticket_decided")


def test_a_denied_call_is_refused_for_good(product: Product) -> None:
    key = poor_key(product, "team_denied")
    calling = Calling(lambda: product.chat(key, max_tokens=25))
    ticket = held_ticket(product, "team_denied")
    denied = product.admin("POST", f"/v1/cost-tickets/{ticket['id']}/deny", {"note": "not this month"})
    assert (denied.status, denied.json["status"]) == (200, "denied")
    refused = calling.answer()
    assert (refused.status, refused.error["code"]) == (402, "cost_denied")
    assert refused.error["details"]["ticket"] == ticket["id"]
    assert refused.headers["x-should-retry"] == "false"


def test_money_that_arrives_releases_the_call(product: Product) -> None:
    key = poor_key(product, "team_funded")
    calling = Calling(lambda: product.chat(key, max_tokens=25))
    ticket = held_ticket(product, "team_funded")
    product.kt("wallets", "credit", "--wallet", "team_funded", "--amount", "1")
    assert calling.answer().status == 200
    found = until(lambda: _status(product, ticket["id"], "funded"), "the ticket is funded")
    assert found


def test_a_wait_that_ends_names_the_ticket_and_a_retry_picks_it_up(product: Product) -> None:
    key = poor_key(product, "team_late")
    headers = {**key.headers, "Idempotency-Key": "order-66"}
    body = {"model": "gpt-4o-mini", "max_tokens": 25, "messages": [{"role": "user", "content": "Say a word."}]}
    refused = product.post_chat(body, headers)
    assert (refused.status, refused.error["code"]) == (402, "insufficient_balance")
    ticket = refused.error["details"]["ticket"]
    assert _status(product, ticket, "open")
    product.kt("tickets", "approve", ticket)
    assert product.post_chat(body, headers).status == 200
    assert _status(product, ticket, "redeemed")


def test_a_gateway_that_stops_answers_held_calls_with_their_ticket_at_once(product: Product) -> None:
    key = poor_key(product, "team_stopped")
    calling = Calling(lambda: product.chat(key, max_tokens=25))
    ticket = held_ticket(product, "team_stopped")
    assert product.gateway.stop() == 0
    refused = calling.answer()
    assert (refused.status, refused.error["details"]["ticket"]) == (402, ticket["id"])
    assert _status(product, ticket["id"], "open")
    product.start_gateway()


def test_a_call_that_fits_is_not_held(product: Product) -> None:
    key = funded_key(product, "team_rich", "1")
    assert product.chat(key, max_tokens=25).status == 200


def _status(product: Product, ticket_id: str, status: str) -> bool:
    return bool(product.admin("GET", f"/v1/cost-tickets/{ticket_id}").json["status"] == status)
