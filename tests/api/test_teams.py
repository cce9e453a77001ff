"""The directory of teams, and what a strict one refuses."""

from pathlib import Path

import pytest

from keeptrusts.api.app import create_app
from keeptrusts.control.opening import open_control
from tests.api.asgi import Caller
from tests.api.conftest import ADMIN_TOKEN
from tests.hand_clock import HandClock

pytestmark = pytest.mark.anyio

ALLOCATE = "/v1/wallets/allocate"


async def test_an_entered_team_is_called_by_its_name(admin: Caller) -> None:
    answer = await admin.send("PUT", "/v1/teams/team_a", b'{"name": "Search"}')
    assert (answer.status, answer.json) == (200, {"id": "team_a", "name": "Search"})
    assert (await admin.post(ALLOCATE, {"team_id": "team_a", "amount": 1})).json["team"] == "Search"
    assert (await admin.get("/v1/wallets/balance", team_id="search")).json["team_id"] == "team_a"
    assert (await admin.get("/v1/teams")).json["data"] == [{"id": "team_a", "name": "Search"}]


async def test_a_strict_directory_gives_nothing_to_a_team_that_nobody_entered(tmp_path: Path, clock: HandClock) -> None:
    async with open_control(tmp_path / "data", ADMIN_TOKEN, clock, strict_teams=True) as control:
        admin = Caller(create_app(control), ADMIN_TOKEN)
        await admin.send("PUT", "/v1/teams/team_search", b"{}")
        slip = await admin.post(ALLOCATE, {"team_id": "team_serach", "amount": 1})
        assert (slip.status, slip.json["error"]["code"]) == (404, "unknown_team")
        assert "did you mean `team_search`?" in slip.json["error"]["message"]
        key = await admin.post("/v1/tokens", {"token_type": "gateway", "name": "k", "team_id": "team_serach"})
        assert (key.status, key.json["error"]["code"]) == (404, "unknown_team")
        assert (await admin.get("/v1/wallets")).json["data"] == []
        assert (await admin.get("/v1/tokens")).json["data"] == []
        assert (await admin.post(ALLOCATE, {"team_id": "team_search", "amount": 1})).status == 200
