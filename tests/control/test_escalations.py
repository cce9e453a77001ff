"""Tickets of calls that policies leave to a person: opened once, decided once, used by one call, and no money moves. On both
engines."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from keeptrusts.api.app import create_app
from keeptrusts.control import escalations, tickets
from keeptrusts.control.context import Actor, Control
from keeptrusts.control.denial import Denial
from keeptrusts.control.examination import examine
from keeptrusts.control.opening import open_control
from keeptrusts.core.ledger.ticket import EscalationRequest, TicketLeft
from tests.api.asgi import Caller
from tests.control.conftest import ADMIN_TOKEN
from tests.hand_clock import HandClock
from tests.store.real_postgres import empty_database

pytestmark = pytest.mark.anyio

ADMIN = Actor("admin", "admin")
FOUND = "keyword_escalated:code-names"


@pytest.fixture(params=["sqlite", "postgres"])
async def control(request: pytest.FixtureRequest, tmp_path: Path, clock: HandClock) -> AsyncIterator[Control]:
    if request.param == "sqlite":
        async with open_control(tmp_path / "data", ADMIN_TOKEN, clock) as opened:
            yield opened
        return
    async with (
        empty_database() as url,
        open_control(tmp_path / "data", ADMIN_TOKEN, clock, database_url=url) as opened,
    ):
        yield opened


def asked(number: int = 1, retry: str | None = None, **changes: Any) -> EscalationRequest:
    request = EscalationRequest(
        f"tkt_{number}", None, "tok_1", None, "gpt-4o", f"evt_{number}", "req", ("names",), (FOUND,), retry
    )
    return msgspec.structs.replace(request, **changes)


async def ask(control: Control, *args: Any, node: str = "node_1", **more: Any) -> tuple[str, str]:
    answer = await escalations.ask(control, node, asked(*args, **more))
    assert answer.granted_nanos == 0
    return answer.ticket_id, answer.status


async def decide(control: Control, number: int = 1, approve: bool = True) -> None:
    await tickets.decide(control, ADMIN, f"tkt_{number}", approve=approve, top_up_nanos=0, why="a demo")


async def test_an_approval_lets_one_call_through(control: Control) -> None:
    assert await ask(control) == ("tkt_1", "waiting")
    await decide(control)
    for _ in range(2):
        assert await ask(control) == ("tkt_1", "approved"), "asking again changes nothing"
    found = await tickets.get(control, "tkt_1")
    assert (found.status, found.used_by, found.hold_nanos, found.wallet_id) == ("redeemed", "evt_1", 0, None)
    assert await ask(control, 2) == ("tkt_2", "waiting")
    verdicts = await examine(control.store, control.tools.clock.unix_ns())
    assert [finding for verdict in verdicts.all for finding in verdict.findings] == []


async def test_a_denial_is_final(control: Control) -> None:
    await ask(control, retry="once")
    await decide(control, approve=False)
    assert await ask(control, retry="once") == ("tkt_1", "denied")
    assert await ask(control, 2, retry="once") == ("tkt_1", "denied")
    with pytest.raises(Denial, match="is denied"):
        await decide(control)


async def test_a_retry_picks_its_ticket_up_on_any_node_and_uses_it_once(control: Control) -> None:
    await ask(control, retry="once")
    await tickets.leave(control, "node_1", TicketLeft("tkt_1", "open"))
    assert (await tickets.get(control, "tkt_1")).status == "open"
    assert await ask(control, 2, retry="once", node="node_2") == ("tkt_1", "waiting")
    await decide(control)
    assert await ask(control, 3, retry="once", node="node_2") == ("tkt_1", "approved")
    assert await ask(control, 3, retry="once", node="node_2") == ("tkt_1", "approved"), "the answer may have been lost"
    assert await ask(control, 4, retry="once") == ("tkt_4", "waiting"), "what is used is used up"
    assert await ask(control, 5, retry="another") == ("tkt_5", "waiting")


async def test_of_two_that_wait_with_one_ticket_one_goes_on(control: Control) -> None:
    await ask(control, retry="once")
    assert await ask(control, 2, retry="once", node="node_2") == ("tkt_1", "waiting")
    await decide(control)
    assert await ask(control, 2, retry="once", node="node_2") == ("tkt_1", "approved")
    assert await ask(control, retry="once") == ("tkt_1", "redeemed")
    assert await ask(control, 3, retry="once", ticket_id="tkt_1") == ("tkt_1", "redeemed"), "who joined asks by its id"


async def test_what_nobody_decides_expires(control: Control, clock: HandClock) -> None:
    await ask(control, retry="once")
    clock.turn(timedelta(hours=1))
    assert await ask(control) == ("tkt_1", "expired")
    with pytest.raises(Denial, match="is expired"):
        await decide(control)
    assert await ask(control, 2, retry="once") == ("tkt_2", "waiting")


async def test_approving_moves_no_money(control: Control) -> None:
    await ask(control, team_id="team_a")
    with pytest.raises(Denial, match="no wallet to top up"):
        await tickets.decide(control, ADMIN, "tkt_1", approve=True, top_up_nanos=5, why=None)
    assert (await tickets.get(control, "tkt_1")).status == "waiting"


@pytest.mark.parametrize("changes", [{"found": ()}, {"policies": ()}, {"found": (FOUND,) * 101}])
async def test_a_request_that_says_nothing_is_refused(control: Control, changes: dict[str, Any]) -> None:
    with pytest.raises(Denial, match="findings"):
        await escalations.ask(control, "node_1", asked(**changes))


async def test_people_see_who_asks_and_what_was_found_and_speak_over_http(control: Control) -> None:
    await ask(control, team_id="team_a")
    admin = Caller(create_app(control), ADMIN_TOKEN)
    [told] = (await admin.get("/v1/cost-tickets")).json["data"]
    assert (told["kind"], told["policies"], told["found"], told["needed"]) == ("policy", ["names"], [FOUND], None)
    assert (told["team_id"], told["key_id"], told["model"], told["wallet_id"]) == ("team_a", "tok_1", "gpt-4o", None)
    path = "/v1/cost-tickets/tkt_1/approve"
    refused = await admin.post(path, {"top_up": "5"})
    assert (refused.status, "no wallet to top up" in refused.text) == (400, True)
    approved = (await admin.post(path, {"note": "a demo"})).json
    assert (approved["status"], approved["actor"], approved["note"]) == ("approved", "admin", "a demo")
    assert (await admin.post(path, {})).code == "ticket_decided"
    acts = (await admin.get("/v1/audit")).json["acts"]
    assert acts[0]["action"] == "ticket.approve"
    assert acts[0]["after"] == {"found": [FOUND], "note": "a demo"}
    for nobody in (Caller(create_app(control), None), Caller(create_app(control), "kt_ak_wrong")):
        assert (await nobody.post("/v1/gateway/escalations", {})).status == 401
        assert (await nobody.post(path, {})).status == 401
    assert (await admin.post("/v1/gateway/escalations", {})).status == 403
