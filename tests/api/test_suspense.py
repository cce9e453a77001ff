"""Lost nodes and money in doubt through the API: listed, given up, accounted for; what can't be is a clear 4xx."""

from decimal import Decimal
from typing import Any

import pytest

from keeptrusts.api.resources.gateways import GatewayPage, GatewayShape
from keeptrusts.api.resources.suspense import Resolved, SuspensePage
from keeptrusts.control import nodes
from keeptrusts.control.context import Control
from keeptrusts.core.link import Heartbeat, Registration
from tests.api.asgi import Caller
from tests.ledger_node import LedgerNode

pytestmark = pytest.mark.anyio

USD = 1_000_000_000


@pytest.fixture
async def lost(admin: Caller, node: LedgerNode, control: Control) -> LedgerNode:
    """A node that is gone with half a dollar in its hands, a tenth of a dollar spent."""
    assert (await admin.post("/v1/wallets/allocate", {"team_id": "team_a", "amount": "2"})).status == 200
    await nodes.register(control, Registration("node_1", "host-a", "1", ("openai",), True, (), (), ()))
    await node.ask("lse_1", need=USD // 2)
    await node.settle("evt_1", "lse_1", USD // 10)
    return node


async def retired(admin: Caller, **body: Any) -> Any:
    return await admin.post("/v1/gateways/node_1/retire", body)


async def test_nodes_are_listed_and_a_lost_one_is_given_up(admin: Caller, lost: LedgerNode) -> None:
    page = await admin.get("/v1/gateways")
    GatewayPage.model_validate(page.json)
    [found] = page.json["data"]
    assert (found["id"], found["state"], found["alive"], found["leased"]) == ("node_1", "live", False, Decimal("0.4"))
    answer = await retired(admin)
    GatewayShape.model_validate(answer.json)
    told = [answer.json[name] for name in ("state", "leases", "leased", "suspense")]
    assert told == ["retired", 0, 0, Decimal("0.4")]
    assert (await retired(admin)).json == answer.json, "again changes nothing"
    balance = (await admin.get("/v1/wallets/balance", team_id="team_a")).json
    assert [balance[name] for name in ("spent", "suspense", "available")] == [
        *(Decimal("0.1"), Decimal("0.4"), Decimal("1.5")),
    ]


async def test_a_node_that_lives_needs_force(admin: Caller, lost: LedgerNode, control: Control) -> None:
    await nodes.heartbeat(control, "node_1", Heartbeat(control.bell.last_seq - 1, {}))
    refused = await retired(admin)
    assert (refused.status, refused.json["error"]["code"]) == (409, "node_alive")
    assert (await retired(admin, force=True)).json["state"] == "retired"


async def test_a_node_that_nobody_knows(admin: Caller) -> None:
    refused = await retired(admin)
    assert (refused.status, refused.json["error"]["code"]) == (404, "node_not_found")


async def test_suspense_is_listed_and_resolved(admin: Caller, lost: LedgerNode) -> None:
    await retired(admin)
    page = await admin.get("/v1/ledger/suspense")
    SuspensePage.model_validate(page.json)
    [item] = page.json["data"]
    assert (item["lease_id"], item["gateway_id"], item["hostname"]) == ("lse_1", "node_1", "host-a")
    assert (item["amount"], item["why"], item["since"]) == (
        *(Decimal("0.4"), "its node was retired", "2026-04-15T09:30:00Z"),
    )
    assert [(w["scope"], w["scope_id"], w["period"]) for w in item["wallets"]] == [
        ("team", "team_a", "monthly:2026-04-01")
    ]
    answer = await admin.post("/v1/ledger/suspense/lse_1/resolve", {"spent": 0.15, "note": "bill 7"})
    Resolved.model_validate(answer.json)
    assert (answer.json["spent"], answer.json["freed"]) == (Decimal("0.15"), Decimal("0.25"))
    assert (await admin.get("/v1/ledger/suspense")).json["data"] == []
    balance = (await admin.get("/v1/wallets/balance", team_id="team_a")).json
    assert [balance[name] for name in ("spent", "suspense", "available")] == [Decimal("0.25"), 0, Decimal("1.75")]
    [line, *_] = (await admin.get("/v1/wallets/transactions", team_id="team_a")).json["transactions"]
    assert (line["type"], line["amount"], line["balance_after"]) == ("adjust", Decimal("0.15"), Decimal("1.75"))


@pytest.mark.parametrize(
    ("lease", "body", "status", "code"),
    [
        ("lse_1", {"spent": "0.400000001"}, 400, "amount_out_of_range"),
        ("lse_1", {"spent": -1}, 400, "invalid_request"),
        ("lse_1", {"spent": "NaN"}, 400, "invalid_request"),
        ("lse_1", {"spent": "0.0000000001"}, 400, "invalid_request"),
        ("lse_1", {"spent": 1e300}, 400, "invalid_request"),
        ("lse_1", {}, 400, "invalid_request"),
        ("lse_1", {"spent": 0, "more": 1}, 400, "invalid_request"),
        ("lse_9", {"spent": 0}, 404, "not_in_suspense"),
    ],
)
async def test_what_can_not_be_is_a_clear_answer_and_changes_nothing(
    admin: Caller, lost: LedgerNode, lease: str, body: dict[str, Any], status: int, code: str
) -> None:
    await retired(admin)
    before = (await admin.get("/v1/wallets/balance", team_id="team_a")).json
    refused = await admin.post(f"/v1/ledger/suspense/{lease}/resolve", body)
    assert (refused.status, refused.json["error"]["code"]) == (status, code)
    assert (await admin.get("/v1/wallets/balance", team_id="team_a")).json == before


async def test_a_lease_is_resolved_once(admin: Caller, lost: LedgerNode) -> None:
    await retired(admin)
    assert (await admin.post("/v1/ledger/suspense/lse_1/resolve", {"spent": 0})).status == 200
    again = await admin.post("/v1/ledger/suspense/lse_1/resolve", {"spent": 0})
    assert (again.status, again.json["error"]["code"]) == (409, "already_resolved")


async def test_calls_of_unknown_outcome_are_found_among_the_events(admin: Caller, lost: LedgerNode) -> None:
    await lost.settle("evt_2", "lse_1", 5, usage_source="worst_case")
    found = (await admin.get("/v1/events", usage_source="worst_case")).json["events"]
    assert [event["id"] for event in found] == ["evt_2"]
