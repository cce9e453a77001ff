"""What the ledger says of a journey's calls, read through the API as anybody would."""

import http.client
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from tests.journeys.processes import until
from tests.journeys.product import Key, Product
from tests.journeys.web import ask

NANOS_PER_USD = 1_000_000_000
Event = dict[str, Any]


def nanos(usd: float | str | None) -> int:
    """A JSON amount of USD, with at most nine decimals, in nano-USD."""
    return int((Decimal(str(usd or 0)) * NANOS_PER_USD).to_integral_value())


def events(product: Product, **filters: str) -> list[Event]:
    """All events that the filters select, whatever the page size."""
    found: list[Event] = []
    query = {"limit": "500", **filters}
    while True:
        answer = product.admin("GET", "/v1/events", None, **query)
        assert answer.status == 200, answer.body
        found += answer.json["events"]
        if not answer.json.get("next_cursor"):
            return found
        query["cursor"] = answer.json["next_cursor"]


def settled_events(product: Product, count: int, deadline_s: float = 10.0, **filters: str) -> list[Event]:
    """The events of ``count`` calls, as soon as they have reached the store; more than that is an error too."""
    seen: list[Event] = []

    def enough() -> bool:
        seen[:] = events(product, **filters)
        return len(seen) >= count

    until(enough, f"{count} events with {filters}", deadline_s)
    assert len(seen) == count
    return seen


def balance(product: Product, team: str) -> dict[str, Any]:
    answer = product.admin("GET", "/v1/wallets/balance", team_id=team)
    assert answer.status == 200, answer.body
    found = answer.json
    assert isinstance(found, dict)
    return found


def nothing_held(product: Product, team: str, deadline_s: float = 10.0) -> dict[str, Any]:
    """The balance once no hold of a live call is left; nothing may hang in suspense either."""

    def at_rest() -> dict[str, Any] | None:
        now = balance(product, team)
        return now if nanos(now["reserved"]) == 0 else None

    rest = until(at_rest, f"no hold on {team}", deadline_s)
    assert nanos(rest["suspense"]) == 0
    assert nanos(rest["available"]) == nanos(rest["balance"]) == nanos(rest["allocated"]) - nanos(rest["spent"])
    return rest


def allocate(product: Product, team: str, usd: str) -> dict[str, Any]:
    answer = product.admin("POST", "/v1/wallets/allocate", {"team_id": team, "amount": usd, "currency": "USD"})
    assert answer.status == 200, answer.body
    found = answer.json
    assert isinstance(found, dict)
    return found


def issue_key(product: Product, team: str | None, **fields: object) -> Key:
    """A new gateway key for a team, known to the gateway."""
    body = {"token_type": "gateway", "name": f"key of {team}", **({"team_id": team} if team else {}), **fields}
    answer = product.admin("POST", "/v1/tokens", body)
    assert answer.status == 201, answer.body
    key = Key(answer.json["id"], answer.json["token"])
    until(lambda: 401 not in models_statuses(product, key), "the gateway knows the new key", 5.0)
    return key


def models_statuses(product: Product, key: Key) -> set[int]:
    """What the workers say to this key. Connections that are open together are shared out among them."""
    parts = urlsplit(product.gateway_url)
    connections = [
        http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
        for _ in range(1 if product.workers == 1 else 4 * product.workers)
    ]
    statuses = set()
    try:
        for connection in connections:
            connection.connect()
        for connection in connections:
            connection.request("GET", "/v1/models", headers=key.headers)
            response = connection.getresponse()
            response.read()
            statuses.add(response.status)
    finally:
        for connection in connections:
            connection.close()
    return statuses


def models_status(product: Product, key: Key) -> int:
    """What ``GET /v1/models`` says to this key: a question that costs nothing."""
    return ask("GET", f"{product.gateway_url}/v1/models", headers=key.headers).status


def funded_key(product: Product, team: str, usd: str = "10", **fields: object) -> Key:
    """A new team with money and a key of it."""
    allocate(product, team, usd)
    return issue_key(product, team, **fields)
