"""Deny by default: who may use which route, and what strangers learn."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from keeptrusts.api.routes import ROUTES
from keeptrusts.control.context import Control
from keeptrusts.store.books import SqlStore
from keeptrusts.store.contracts import Connection, StoreAway
from tests.api.asgi import Caller
from tests.hand_clock import HandClock

pytestmark = pytest.mark.anyio

REGISTRATION = {
    "node_id": "node_1",
    "hostname": "h",
    "version": "1",
    "providers": ["openai"],
    "wallet_enforcement": True,
    "thresholds": [],
    "groups": [],
    "spend_controls": [],
}


async def node_caller(app: Any, admin: Caller) -> Caller:
    return Caller(app, (await admin.post("/v1/gateway/register", REGISTRATION)).json["node_token"])


async def access_key(admin: Caller) -> dict[str, Any]:
    answer = await admin.post("/v1/tokens", {"token_type": "access", "name": "ci"})
    assert answer.status == 201
    found: dict[str, Any] = answer.json
    return found


@pytest.mark.parametrize("token", [None, "", "wrong", "kt_ak_wrong", "kt_nk_wrong", "x" * 2_000, "ümlaut"])
async def test_no_route_but_health_answers_a_stranger(app: Any, token: str | None) -> None:
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    for route in ROUTES:
        if route.permission == "open":
            continue
        answer = await Caller(app, None).send(route.method, route.path.replace("{token_id}", "tok_1"), b"{}", headers)
        assert answer.status == 401, route.path
        assert answer.json["error"]["type"] == "authentication_error"
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_health_is_open_and_says_no_more_than_that(app: Any, path: str) -> None:
    answer = await Caller(app, None).get(path)
    assert (answer.status, list(answer.json)) == (200, ["status"])


@pytest.mark.parametrize("scheme", ["Basic", "bearer", "Bearer  "])
async def test_only_bearer_tokens_count(app: Any, scheme: str) -> None:
    answer = await Caller(app, None).send("GET", "/v1/tokens", b"", {"authorization": f"{scheme} the-admin-token"})
    assert answer.status == (401 if scheme == "Basic" else 200)


async def test_a_gateway_key_has_no_rights_here(app: Any, admin: Caller) -> None:
    issued = await admin.post("/v1/tokens", {"token_type": "gateway", "name": "k"})
    answer = await Caller(app, issued.json["token"]).get("/v1/tokens")
    assert (answer.status, answer.code) == (403, "gateway_key_has_no_rights")


async def test_a_node_may_use_the_machine_routes_alone_and_nobody_else_may(app: Any, admin: Caller) -> None:
    node = await node_caller(app, admin)
    for route in ROUTES:
        path = route.path.replace("{token_id}", "tok_1")
        if route.permission == "operate":
            assert (await node.send(route.method, path, b"{}")).status == 403, path
        if route.permission == "machine":
            assert (await admin.send(route.method, path, b"{}")).status == 403, path
    assert (await node.get("/v1/gateway/snapshot")).status == 200


async def test_an_access_key_works_until_it_is_suspended_revoked_or_expired(
    app: Any, admin: Caller, clock: HandClock
) -> None:
    key = await access_key(admin)
    program = Caller(app, key["token"])
    assert (await program.get("/v1/tokens")).status == 200
    assert (await admin.get(f"/v1/tokens/{key['id']}")).json["status"] == "active"
    await admin.patch(f"/v1/tokens/{key['id']}", {"status": "suspended"})
    assert (await program.get("/v1/tokens")).status == 401
    await admin.patch(f"/v1/tokens/{key['id']}", {"status": "active", "expires_at": "2026-04-16T00:00:00Z"})
    assert (await program.get("/v1/tokens")).status == 200
    clock.turn(timedelta(days=1))
    assert (await program.get("/v1/tokens")).status == 401
    await admin.delete(f"/v1/tokens/{key['id']}")
    assert (await program.get("/v1/tokens")).status == 401


async def test_an_access_key_is_noted_as_the_one_who_acted(app: Any, admin: Caller) -> None:
    key = await access_key(admin)
    await Caller(app, key["token"]).post("/v1/wallets/allocate", {"team_id": "t", "amount": 1})
    found = await admin.get("/v1/wallets/transactions", team_id="t")
    assert found.json["transactions"][0]["actor"] == key["id"]


async def test_errors_have_one_envelope_with_the_requests_id(app: Any, admin: Caller) -> None:
    for answer in (await admin.get("/v1/nothing"), await admin.post("/healthz"), await admin.get("/v1/tokens/tok_no")):
        assert set(answer.json) == {"error"}
        assert {"message", "type", "code", "request_id"} <= set(answer.json["error"])
        assert answer.headers["x-request-id"] == answer.json["error"]["request_id"]


async def test_the_callers_own_request_id_is_kept_if_it_is_sound(admin: Caller) -> None:
    kept = await admin.send("GET", "/healthz", b"", {"x-request-id": "abc-123"})
    assert kept.headers["x-request-id"] == "abc-123"
    odd = await admin.send("GET", "/healthz", b"", {"x-request-id": "a b\tc"})
    assert odd.headers["x-request-id"].startswith("req_")


class AwayDatabase:
    """A database that can't be reached."""

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        raise StoreAway("the ledger's database can't answer now: disk full")
        yield

    read = transaction

    async def close(self) -> None:
        pass


async def test_a_store_that_is_away_is_a_503_to_try_again(admin: Caller, control: Control) -> None:
    control.store = SqlStore(AwayDatabase())
    for answer in (
        await admin.get("/v1/wallets"),
        await admin.post("/v1/wallets/allocate", {"team_id": "t", "amount": 1}),
        await admin.get("/readyz"),
    ):
        assert (answer.status, answer.code) == (503, "store_unavailable")
        assert answer.headers["retry-after"] == "1"
    assert (await admin.get("/healthz")).status == 200
