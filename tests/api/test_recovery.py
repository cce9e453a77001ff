"""Recovery mode as operators see it: what the ledger waits for, and its end by their word."""

import pytest

from keeptrusts.control import recovery
from keeptrusts.control.context import Control
from tests.api.asgi import Caller

pytestmark = pytest.mark.anyio


async def test_a_ledger_in_order_says_so(admin: Caller) -> None:
    answer = await admin.get("/v1/ledger/recovery")
    assert answer.json == {"recovering": False, "since": None, "reason": None, "nodes": []}
    refused = await admin.post("/v1/ledger/recovery/finish", {})
    assert (refused.status, refused.code) == (409, "no_recovery")


async def test_a_recovery_is_shown_and_ended_and_its_end_is_in_the_audit_trail(admin: Caller, control: Control) -> None:
    await recovery.begin(control, "a test")
    shown = (await admin.get("/v1/ledger/recovery")).json
    assert (shown["recovering"], shown["reason"], shown["nodes"]) == (True, "a test", [])
    assert shown["since"] is not None
    assert "keeptrusts_ledger_recovering 1.0" in (await admin.get("/metrics")).text
    ended = await admin.post("/v1/ledger/recovery/finish", {})
    assert (ended.status, ended.json["recovering"], ended.json["reason"]) == (200, False, "a test")
    assert not (await admin.get("/v1/ledger/recovery")).json["recovering"]
    acts = (await admin.get("/v1/audit")).json["acts"]
    assert acts[0]["action"] == "ledger.recovery.finish"
