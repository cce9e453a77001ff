"""The audit trail and its checkpoints through the API: everything that operators did, page by page."""

import pytest

from keeptrusts.api.resources.audit import ActPage, CheckpointPage
from keeptrusts.control.checkpoints import make_checkpoint
from keeptrusts.control.context import Control
from tests.api.asgi import Caller
from tests.audited_ledger import fill

pytestmark = pytest.mark.anyio


async def allocate(admin: Caller, team: str, amount: str) -> None:
    answer = await admin.post("/v1/wallets/allocate", {"team_id": team, "amount": amount})
    assert answer.status == 200, answer.text


async def test_acts_come_newest_first_with_what_changed(admin: Caller) -> None:
    await allocate(admin, "team_a", "1")
    await allocate(admin, "team_a", "2.5")
    answer = await admin.get("/v1/audit")
    ActPage.model_validate(answer.json)
    newest, oldest = answer.json["acts"]
    assert (newest["actor"], newest["action"]) == ("admin", "wallet.allocate")
    assert (newest["before"], newest["after"]) == ({"monthly": 1_000_000_000}, {"monthly": 2_500_000_000})
    assert newest["timestamp"] == "2026-04-15T09:30:00.000Z"
    assert (oldest["number"], newest["number"], newest["id"]) == (1, 2, "act_000000002")
    assert answer.json["next_cursor"] is None


async def test_pages_and_filters(admin: Caller) -> None:
    for team in ("team_a", "team_b", "team_c"):
        await allocate(admin, team, "1")
    first = (await admin.get("/v1/audit", limit=2)).json
    rest = (await admin.get("/v1/audit", limit=2, cursor=first["next_cursor"])).json
    assert [act["number"] for act in (*first["acts"], *rest["acts"])] == [3, 2, 1]
    assert rest["next_cursor"] is None
    subject = first["acts"][0]["subject_id"]
    only = (await admin.get("/v1/audit", subject_id=subject, actor="admin", action="wallet.allocate")).json
    assert [act["number"] for act in only["acts"]] == [3]
    for nobody in ({"actor": "tok_x"}, {"action": "x"}, {"until": "2026-04-15"}, {"since": "2026-04-16"}):
        assert (await admin.get("/v1/audit", **nobody)).json["acts"] == []


@pytest.mark.parametrize(
    "query", [{"since": "soon"}, {"limit": 0}, {"limit": 1_001}, {"cursor": -1}, {"cursor": 2**63}, {"cursor": "x"}]
)
async def test_what_cannot_be_asked_is_said(admin: Caller, query: dict[str, object]) -> None:
    answer = await admin.get("/v1/audit", **query)
    assert answer.status == 400
    assert next(iter(query)) in answer.text


async def test_checkpoints_come_newest_first(admin: Caller, control: Control) -> None:
    await fill(control, 3, 1)
    assert await make_checkpoint(control) is None
    first = (await admin.get("/v1/audit/checkpoints", limit=2)).json
    CheckpointPage.model_validate(first)
    assert [each["number"] for each in first["checkpoints"]] == [3, 2]
    rest = (await admin.get("/v1/audit/checkpoints", limit=2, cursor=first["next_cursor"])).json
    assert [each["number"] for each in rest["checkpoints"]] == [1]
    newest = first["checkpoints"][0]
    assert newest["key"] == control.seal.public_key
    assert newest["rows"]["audit"] == 3
    assert newest["made_at"] == "2026-04-15T09:33:00Z"
    assert first["checkpoints"][1]["hash"] in newest["statement"]


async def test_a_checkpoint_that_was_spoiled_is_still_listed(admin: Caller, control: Control) -> None:
    await fill(control, 1, 1)
    async with control.store.write() as books:
        await books.meta._sql.execute("DROP TRIGGER checkpoint_no_update")
        await books.meta._sql.execute("UPDATE checkpoint SET statement = 'x'")
    (found,) = (await admin.get("/v1/audit/checkpoints")).json["checkpoints"]
    assert (found["root"], found["statement"]) == (None, "x")


@pytest.mark.parametrize("path", ["/v1/audit", "/v1/audit/checkpoints"])
async def test_it_is_for_administrators(app: object, path: str) -> None:
    assert (await Caller(app, None).get(path)).status == 401
