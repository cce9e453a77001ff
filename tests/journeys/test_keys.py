"""A gateway key's life: provisioned, active by its first use, suspended, resumed, revoked; heard everywhere within a second."""

import threading
import time

import pytest

from tests.journeys.books import funded_key, issue_key, models_status, settled_events
from tests.journeys.processes import until
from tests.journeys.product import PROVIDER_SECRET, Key, Product

pytestmark = pytest.mark.xdist_group("journeys-calls")

HEARD_WITHIN_S = 1.0


def refused_after(product: Product, key: Key, status: int) -> float:
    """Seconds until the gateway answers this key with ``status``."""
    start = time.monotonic()
    until(lambda: models_status(product, key) == status, f"the gateway says {status}", 5.0)
    return time.monotonic() - start


def test_a_key_becomes_active_by_its_first_use(product: Product, team: str) -> None:
    key = funded_key(product, team)
    assert product.admin("GET", f"/v1/tokens/{key.id}").json["status"] == "provisioned"
    assert product.chat(key).status == 200
    settled_events(product, 1, team_id=team)
    until(lambda: product.admin("GET", f"/v1/tokens/{key.id}").json["status"] == "active", "active after use")
    assert product.admin("GET", f"/v1/tokens/{key.id}").json["last_used_at"]


def test_a_suspended_key_is_refused_within_a_second_and_works_again_when_resumed(product: Product, team: str) -> None:
    key = funded_key(product, team)
    assert product.chat(key).status == 200
    assert product.admin("PATCH", f"/v1/tokens/{key.id}", {"status": "suspended"}).status == 200
    assert refused_after(product, key, 403) <= HEARD_WITHIN_S
    refused = product.chat(key)
    assert (refused.status, refused.error["code"]) == (403, "key_suspended")
    assert key.secret not in refused.body.decode()
    assert product.admin("PATCH", f"/v1/tokens/{key.id}", {"status": "active"}).status == 200
    assert refused_after(product, key, 200) <= HEARD_WITHIN_S
    assert product.chat(key).status == 200


def test_a_revoked_key_is_refused_within_a_second_and_for_ever(product: Product, team: str) -> None:
    key = funded_key(product, team)
    assert product.chat(key).status == 200
    assert product.admin("DELETE", f"/v1/tokens/{key.id}").status in (200, 204)
    assert refused_after(product, key, 403) <= HEARD_WITHIN_S
    assert product.chat(key).error["code"] == "key_revoked"
    resumed = product.admin("PATCH", f"/v1/tokens/{key.id}", {"status": "active"})
    assert resumed.status in (400, 404, 409, 422)
    assert product.chat(key).error["code"] == "key_revoked"


def test_a_call_in_flight_when_its_key_is_revoked_ends_well(product: Product, team: str) -> None:
    """Revoking stops the next call; the one that the provider is already paid for is answered and booked."""
    key = funded_key(product, team)
    before = len(product.truth())
    answers = []
    caller = threading.Thread(target=lambda: answers.append(product.chat(key, "Slowly. [[first_ms=600]]")))
    caller.start()
    until(lambda: len(product.truth()) > before, "the provider has the call")
    product.admin("DELETE", f"/v1/tokens/{key.id}")
    caller.join(30)
    assert answers[0].status == 200
    [event] = settled_events(product, 1, team_id=team)
    assert event["status"] == "ok"


def test_a_keys_own_rate_limit_holds(product: Product, team: str) -> None:
    key = funded_key(product, team, rate_limit=2)
    assert [product.chat(key).status for _ in range(3)] == [200, 200, 429]


def test_lifting_a_keys_rate_limit_is_heard_within_a_second(product: Product, team: str) -> None:
    key = funded_key(product, team, rate_limit=1)
    assert [product.chat(key).status for _ in range(2)] == [200, 429]
    assert product.admin("PATCH", f"/v1/tokens/{key.id}", {"rate_limit": 1000}).status == 200
    until(lambda: product.chat(key).status == 200, "the new limit holds", HEARD_WITHIN_S)


def test_a_star_allows_every_model(product: Product, team: str) -> None:
    key = funded_key(product, team, allowed_models=["*"])
    assert product.chat(key, model="gpt-4o").status == 200
    assert product.chat(key, model="gpt-4o-mini").status == 200


def test_a_refused_model_is_an_event_without_cost_and_reaches_no_provider(product: Product, team: str) -> None:
    key = funded_key(product, team, allowed_models=["gpt-4o-mini"])
    before = len(product.truth())
    assert product.chat(key, model="gpt-4o").status == 403
    [event] = settled_events(product, 1, team_id=team)
    assert (event["status"], event["reason"], event["cost"]) == ("refused", "model_not_allowed", None)
    assert event["usage"]["total_tokens"] == 0
    assert len(product.truth()) == before


def test_the_dimensions_bound_to_a_key_are_on_its_events(product: Product, team: str) -> None:
    bound = {"application": "search", "feature": "autocomplete", "environment": "staging"}
    key = funded_key(product, team, attribution=bound)
    assert product.chat(key).status == 200
    [event] = settled_events(product, 1, team_id=team)
    assert {name: event[name] for name in bound} == bound
    assert event["gateway_key"] == key.id


def test_a_key_of_no_team_is_refused_where_wallets_are_enforced(product: Product) -> None:
    """No metadata, no call: the answer names what is missing."""
    key = issue_key(product, None, name="of nobody")
    refused = product.chat(key)
    assert (refused.status, refused.error["code"]) == (403, "attribution_required")
    assert "team" in refused.error["message"]


def test_the_provider_sees_its_own_key_and_nothing_of_the_callers(product: Product, team: str) -> None:
    key = funded_key(product, team)
    answer = product.chat(key)
    [served] = [entry for entry in product.truth() if entry.request_id == answer.headers["x-request-id"]]
    assert served.bearer == f"Bearer {PROVIDER_SECRET}"
    assert not {"x-consumer-group", "x-api-key", "cookie"} & set(served.headers)
    assert not [name for name in served.headers if name.startswith("x-keeptrusts")]


def test_a_secret_is_shown_once_and_never_written_to_a_log(product: Product, team: str) -> None:
    key = funded_key(product, team)
    assert product.chat(key).status == 200
    again = product.admin("GET", f"/v1/tokens/{key.id}").body.decode()
    listed = product.admin("GET", "/v1/tokens").body.decode()
    assert key.secret not in again + listed
    logs = product.gateway.output + product.api.output
    assert key.secret not in logs
    assert PROVIDER_SECRET not in logs
    stored = b"".join(path.read_bytes() for path in product.data_dir.rglob("*") if path.is_file())
    assert key.secret.encode() not in stored
    assert PROVIDER_SECRET.encode() not in stored
