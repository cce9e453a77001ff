"""A token's life through the API: issued once, shown without its secret, changed, suspended, resumed, revoked."""

from datetime import timedelta
from typing import Any

import pytest

from keeptrusts.api.resources.token_shapes import IssuedToken, Token, TokenPage
from keeptrusts.control.context import Control
from keeptrusts.core.identity.gateway_key import has_valid_checksum
from tests.api.asgi import Caller
from tests.hand_clock import HandClock
from tests.ledger_node import LedgerNode, event

pytestmark = pytest.mark.anyio


async def issue(admin: Caller, **fields: Any) -> dict[str, Any]:
    answer = await admin.post("/v1/tokens", {"token_type": "gateway", "name": "k", **fields})
    assert answer.status == 201, answer.text
    found: dict[str, Any] = answer.json
    return found


async def test_the_documents_token_is_issued_as_asked(admin: Caller) -> None:
    issued = await issue(
        admin,
        name="search-service-prod",
        description="Production search service",
        rate_limit=5000,
        allowed_models=["gpt-4o-mini"],
    )
    IssuedToken.model_validate(issued)
    assert issued["token"].startswith("kt_gk_")
    assert has_valid_checksum(issued["token"])
    assert (issued["status"], issued["rate_limit"], issued["allowed_models"]) == ("provisioned", 5000, ["gpt-4o-mini"])
    assert issued["hint"] == f"kt_gk_...{issued['token'][-4:]}"


async def test_the_secret_is_in_the_first_answer_alone(admin: Caller) -> None:
    issued = await issue(admin)
    one = await admin.get(f"/v1/tokens/{issued['id']}")
    listed = await admin.get("/v1/tokens")
    changed = await admin.patch(f"/v1/tokens/{issued['id']}", {"name": "n"})
    Token.model_validate(one.json)
    TokenPage.model_validate(listed.json)
    for answer in (one, listed, changed):
        assert issued["token"] not in answer.text
        assert "digest" not in answer.text


@pytest.mark.parametrize(
    ("key_class", "rate_limit", "models"),
    [
        ("production", 5000, ["gpt-4o-mini"]),
        ("development", 500, ["gpt-4o", "gpt-4o-mini", "claude-sonnet-4-20250514"]),
        ("sandbox", 100, ["*"]),
    ],
)
async def test_a_class_presets_limit_and_models(
    admin: Caller, key_class: str, rate_limit: int, models: list[str]
) -> None:
    preset = await issue(admin, **{"class": key_class})
    assert (preset["class"], preset["rate_limit"], preset["allowed_models"]) == (key_class, rate_limit, models)
    own = await issue(admin, rate_limit=7, allowed_models=["m"], **{"class": key_class})
    assert (own["rate_limit"], own["allowed_models"]) == (7, ["m"])


async def test_a_key_carries_its_dimensions(admin: Caller) -> None:
    bound = {"team": "team_a", "application": "a", "feature": "f", "environment": "e", "customer": "c"}
    issued = await issue(admin, attribution=bound, consumer_group="development")
    assert issued["team_id"] == "team_a"
    assert issued["attribution"] == {"application": "a", "feature": "f", "environment": "e", "customer": "c"}
    assert issued["consumer_group"] == "development"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"token_type": "gateway"}, "name"),
        ({"name": "k", "token_type": "other"}, "token_type"),
        ({"name": "k", "token_type": "gateway", "rate_limit": 0}, "rate_limit"),
        ({"name": "k", "token_type": "gateway", "rate_limit": True}, "rate_limit"),
        ({"name": "k", "token_type": "gateway", "rate_limit": "5"}, "rate_limit"),
        ({"name": "k", "token_type": "gateway", "rate_limit": 1.5}, "rate_limit"),
        ({"name": "k", "token_type": "gateway", "allowed_models": []}, "allowed_models"),
        ({"name": "k", "token_type": "gateway", "allowed_models": "gpt-4o"}, "allowed_models"),
        ({"name": "k", "token_type": "gateway", "attribution": {"colour": "red"}}, "attribution.colour"),
        ({"name": "k", "token_type": "gateway", "team_id": "a", "attribution": {"team": "b"}}, "team_id"),
        ({"name": "k", "token_type": "gateway", "role": "admin"}, "role"),
        ({"name": "k", "token_type": "access", "role": "finance"}, "role"),
        ({"name": "k", "token_type": "access", "rate_limit": 5}, "rate_limit"),
        ({"name": "k", "token_type": "gateway", "expires_at": "tomorrow"}, "expires_at"),
        ({"name": "k", "token_type": "gateway", "class": "gold"}, "class"),
        ({"name": "k\n", "token_type": "gateway"}, "name"),
    ],
)
async def test_what_a_token_cannot_be(admin: Caller, fields: dict[str, Any], field: str) -> None:
    answer = await admin.post("/v1/tokens", fields)
    assert answer.status == 400
    assert [problem["field"] for problem in answer.json["error"]["details"]["problems"]] == [field]
    assert (await admin.get("/v1/tokens")).json["data"] == []


async def test_an_end_in_the_past_is_refused(admin: Caller) -> None:
    answer = await admin.post(
        "/v1/tokens", {"token_type": "gateway", "name": "k", "expires_at": "2020-01-01T00:00:00Z"}
    )
    assert answer.status == 400
    assert "past" in answer.json["error"]["message"]


async def test_a_key_expires_by_itself(admin: Caller, clock: HandClock) -> None:
    issued = await issue(admin, expires_at="2026-04-16T00:00:00+02:00")
    assert issued["expires_at"] == "2026-04-15T22:00:00Z"
    clock.turn(timedelta(days=1))
    assert (await admin.get(f"/v1/tokens/{issued['id']}")).json["status"] == "expired"
    assert [row["id"] for row in (await admin.get("/v1/tokens", status="expired")).json["data"]] == [issued["id"]]
    assert (await admin.get("/v1/tokens", status="provisioned")).json["data"] == []


async def test_states_go_only_where_they_may(admin: Caller, control: Control, node: LedgerNode) -> None:
    issued = await issue(admin)
    path = f"/v1/tokens/{issued['id']}"

    async def ask(status: str) -> tuple[int, str]:
        answer = await admin.patch(path, {"status": status})
        return answer.status, (await admin.get(path)).json["status"]

    assert await ask("active") == (409, "provisioned"), "only its first use activates a key"
    assert await ask("suspended") == (200, "suspended")
    assert await ask("suspended") == (200, "suspended")
    assert await ask("active") == (200, "provisioned"), "it was never used"
    node.write(event("evt_1", key_id=issued["id"], at_ns=control.tools.clock.unix_ns()))
    await node.ship()
    assert (await admin.get(path)).json["status"] == "active"
    assert (await admin.get(path)).json["last_used_at"] == "2026-04-15T09:30:00Z"
    assert await ask("suspended") == (200, "suspended")
    assert await ask("active") == (200, "active")
    assert await ask("revoked") == (200, "revoked")
    assert await ask("active") == (409, "revoked")
    assert (await admin.patch(path, {"name": "n"})).code == "token_revoked"
    assert (await admin.delete(path)).json["status"] == "revoked", "revoking again changes nothing"


async def test_a_suspended_keys_late_calls_do_not_wake_it(admin: Caller, node: LedgerNode) -> None:
    issued = await issue(admin)
    await admin.patch(f"/v1/tokens/{issued['id']}", {"status": "suspended"})
    node.write(event("evt_1", key_id=issued["id"], at_ns=node.tools.clock.unix_ns()))
    await node.ship()
    assert (await admin.get(f"/v1/tokens/{issued['id']}")).json["status"] == "suspended"


async def test_null_takes_a_limit_away_and_what_is_left_out_stays(admin: Caller) -> None:
    issued = await issue(admin, rate_limit=5, allowed_models=["m"], team_id="t", expires_at="2027-01-01T00:00:00Z")
    path = f"/v1/tokens/{issued['id']}"
    changed = (await admin.patch(path, {"rate_limit": None, "allowed_models": None, "expires_at": None})).json
    assert (changed["rate_limit"], changed["allowed_models"], changed["expires_at"]) == (None, None, None)
    assert (changed["team_id"], changed["name"]) == ("t", "k")
    assert (await admin.patch(path, {"name": None})).status == 400
    moved = (await admin.patch(path, {"attribution": {"team": "u", "feature": "f"}})).json
    assert (moved["team_id"], moved["attribution"]) == ("u", {"feature": "f"})


async def test_pages_go_from_the_newest_to_the_oldest_without_a_gap(admin: Caller) -> None:
    ids = [(await issue(admin, team_id=f"t{n % 2}"))["id"] for n in range(7)]
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await admin.get("/v1/tokens", limit=3, **cursor)).json
        seen += [row["id"] for row in page["data"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert sorted(seen) == sorted(ids)
    assert seen == sorted(seen, reverse=True)
    assert {row["team_id"] for row in (await admin.get("/v1/tokens", team_id="t1")).json["data"]} == {"t1"}


async def test_an_unknown_token_is_a_404(admin: Caller) -> None:
    for answer in (
        await admin.get("/v1/tokens/tok_no"),
        await admin.patch("/v1/tokens/tok_no", {"name": "n"}),
        await admin.delete("/v1/tokens/tok_no"),
    ):
        assert (answer.status, answer.code) == (404, "token_not_found")


async def test_each_change_is_on_the_audit_trail_without_the_secret(admin: Caller, control: Control) -> None:
    issued = await issue(admin)
    await admin.patch(f"/v1/tokens/{issued['id']}", {"rate_limit": 9})
    await admin.delete(f"/v1/tokens/{issued['id']}")
    async with control.store.read() as books:
        rows = await books.audit.of_subject(issued["id"])
    assert [(row.actor, row.action) for row in rows] == [
        ("admin", "token.create"),
        ("admin", "token.update"),
        ("admin", "token.revoke"),
    ]
    assert (rows[1].before, rows[1].after) == ('{"rate_limit":null}', '{"rate_limit":9}')
    assert issued["token"] not in str(rows)
    assert "digest" not in str(rows)
