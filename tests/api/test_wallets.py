"""Budgets through the API: set, replaced, spent, told; nothing is lost, and every line of the statement adds up."""

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from keeptrusts.api.resources.wallet_shapes import BalanceShape, TransactionPage, WalletPage
from keeptrusts.control import nodes
from keeptrusts.control.context import Control
from keeptrusts.core.ledger.alerts import Threshold
from keeptrusts.core.link import Registration
from tests.api.asgi import Caller
from tests.hand_clock import HandClock
from tests.ledger_node import LedgerNode

pytestmark = pytest.mark.anyio

USD = 1_000_000_000


async def allocate(admin: Caller, amount: str, **fields: Any) -> dict[str, Any]:
    answer = await admin.post("/v1/wallets/allocate", {"team_id": "team_a", "amount": amount, **fields})
    assert answer.status == 200, answer.text
    found: dict[str, Any] = answer.json
    return found


async def test_the_first_allocation_makes_the_wallet_and_answers_its_balance(admin: Caller) -> None:
    found = await allocate(admin, "500")
    BalanceShape.model_validate(found)
    assert found["period"] == {"name": "monthly", "start": "2026-04-01T00:00:00Z", "end": "2026-05-01T00:00:00Z"}
    assert (found["team_id"], found["team"], found["currency"]) == ("team_a", "a", "USD")
    assert [found[name] for name in ("allocated", "spent", "reserved", "suspense", "available", "balance")] == [
        500,
        0,
        0,
        0,
        500,
        500,
    ]
    assert (await admin.get("/v1/wallets/balance", team_id="team_a")).json == found


async def test_an_allocation_replaces_the_one_before(admin: Caller) -> None:
    await allocate(admin, "100")
    assert (await allocate(admin, "0.01"))["allocated"] == Decimal("0.01")


async def test_spent_reserved_and_available_add_up(admin: Caller, node: LedgerNode, control: Control) -> None:
    wallet_id = (await allocate(admin, "1"))["wallet_id"]
    await node.ask("lse_1", need=USD // 2)
    await node.settle("evt_1", "lse_1", USD // 10)
    control.presence.heard("node_1", control.tools.clock.monotonic_s(), {wallet_id: USD // 5})
    found = (await admin.get("/v1/wallets/balance", team_id="team_a")).json
    assert [found[name] for name in ("spent", "reserved", "leased", "balance", "available")] == [
        Decimal("0.1"),
        Decimal("0.2"),
        Decimal("0.4"),
        Decimal("0.9"),
        Decimal("0.7"),
    ]


async def test_a_budget_lowered_under_the_spend_has_nothing_available(admin: Caller, node: LedgerNode) -> None:
    await allocate(admin, "1")
    await node.ask("lse_1", need=USD)
    await node.settle("evt_1", "lse_1", USD // 2)
    found = await allocate(admin, "0.01")
    assert (found["available"], found["balance"]) == (0, Decimal("-0.49"))


async def test_a_budget_stands_for_the_periods_that_follow(admin: Caller, node: LedgerNode, clock: HandClock) -> None:
    await allocate(admin, "1", period="daily")
    await node.ask("lse_1", need=USD)
    await node.settle("evt_1", "lse_1", USD // 2)
    clock.turn(timedelta(days=1))
    found = (await admin.get("/v1/wallets/balance", team_id="team_a")).json
    assert (found["period"]["start"], found["allocated"], found["spent"]) == ("2026-04-16T00:00:00Z", 1, 0)


async def test_several_periods_stand_together_and_the_month_is_shown_unless_another_is_named(admin: Caller) -> None:
    await allocate(admin, "5", period="daily")
    await allocate(admin, "100")
    assert (await admin.get("/v1/wallets/balance", team_id="team_a")).json["period"]["name"] == "monthly"
    daily = await admin.get("/v1/wallets/balance", team_id="team_a", period="daily")
    assert daily.json["allocated"] == 5
    assert (await admin.get("/v1/wallets/balance", team_id="team_a", period="weekly")).status == 400
    listed = (await admin.get("/v1/wallets")).json
    WalletPage.model_validate(listed)
    assert [row["period"]["name"] for row in listed["data"]] == ["daily", "monthly"]


async def test_wallets_are_listed_page_by_page(admin: Caller) -> None:
    for number in range(5):
        await admin.post("/v1/wallets/allocate", {"team_id": f"t{number}", "amount": 1})
    first = (await admin.get("/v1/wallets", limit=3)).json
    rest = (await admin.get("/v1/wallets", limit=3, cursor=first["next_cursor"])).json
    assert [row["team_id"] for row in first["data"] + rest["data"]] == ["t0", "t1", "t2", "t3", "t4"]
    assert rest["next_cursor"] is None


async def test_a_team_without_a_wallet_is_a_404_that_says_what_to_do(admin: Caller) -> None:
    answer = await admin.get("/v1/wallets/balance", team_id="nobody")
    assert (answer.status, answer.code) == (404, "wallet_not_found")
    assert "allocate" in answer.json["error"]["message"]
    assert (await admin.get("/v1/wallets/transactions", team_id="nobody")).status == 404
    assert (await admin.get("/v1/wallets/balance")).status == 400


async def test_the_statement_adds_up_line_by_line(admin: Caller, node: LedgerNode) -> None:
    await allocate(admin, "1", description="April")
    await node.ask("lse_1", need=USD // 2)
    for number in range(1, 6):
        await node.settle(f"evt_{number}", "lse_1", number * 1_000_000)
    await allocate(admin, "2")
    seen: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await admin.get("/v1/wallets/transactions", team_id="team_a", since="90d", limit=3, **cursor)).json
        TransactionPage.model_validate(page)
        seen += page["transactions"]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert [line["type"] for line in seen] == ["allocate", *["settle"] * 5, "allocate"]
    assert seen[-1]["description"] == "April"
    assert seen[-1]["actor"] == "admin"
    assert len({line["id"] for line in seen}) == 7
    running = Decimal(1)
    for line in reversed(seen[1:-1]):
        running -= line["amount"]
        assert line["balance_after"] == running
        assert line["event_id"].startswith("evt_")
    assert seen[0]["balance_after"] == Decimal("1.985")


async def test_a_statement_of_a_time(admin: Caller, clock: HandClock) -> None:
    await allocate(admin, "1")
    clock.turn(timedelta(days=2))
    await allocate(admin, "2")

    async def amounts(**query: str) -> list[Decimal]:
        found = await admin.get("/v1/wallets/transactions", team_id="team_a", **query)
        return [line["amount"] for line in found.json["transactions"]]

    assert await amounts(since="1d") == [2]
    assert await amounts(until="2026-04-16") == [1]
    assert (await admin.get("/v1/wallets/transactions", team_id="team_a", since="yesterday")).status == 400


async def test_lowering_a_budget_past_a_threshold_alerts_at_once(
    admin: Caller, node: LedgerNode, control: Control
) -> None:
    rules = (Threshold(100, "block"),)
    await nodes.register(control, Registration("node_9", "h", "1", (), True, rules, (), ()))
    await allocate(admin, "1")
    await node.ask("lse_1", need=USD)
    await node.settle("evt_1", "lse_1", USD // 2)
    await allocate(admin, "0.1")
    [alert] = (await admin.get("/v1/events", type="budget_alert")).json["events"]
    assert (alert["threshold_percent"], alert["action"], alert["team_id"]) == (100, "block", "team_a")
    assert (alert["budget"], alert["spent"]) == (Decimal("0.1"), Decimal("0.5"))


async def test_an_allocation_is_on_the_audit_trail(admin: Caller, control: Control) -> None:
    wallet_id = (await allocate(admin, "1"))["wallet_id"]
    await allocate(admin, "2")
    async with control.store.read() as books:
        rows = await books.audit.of_subject(wallet_id)
    assert [(row.before, row.after) for row in rows] == [
        ('{"monthly":null}', '{"monthly":1000000000}'),
        ('{"monthly":1000000000}', '{"monthly":2000000000}'),
    ]


async def test_a_request_with_an_idempotency_key_acts_once(admin: Caller) -> None:
    await allocate(admin, "100")
    body = json.dumps({"team_id": "team_a", "amount": "5"}).encode()
    answers = [
        await admin.send("POST", "/v1/wallets/credit", body, {"idempotency-key": key}) for key in ("a", "a", "b", "a")
    ]
    assert [answer.json["allocated"] for answer in answers] == [105, 105, 110, 105], (
        "a repetition is told what was told"
    )
    assert (await admin.get("/v1/wallets/balance", team_id="team_a")).json["allocated"] == 110
    other = json.dumps({"team_id": "team_a", "amount": "6"}).encode()
    reused = await admin.send("POST", "/v1/wallets/credit", other, {"idempotency-key": "a"})
    assert (reused.status, reused.json["error"]["code"]) == (409, "idempotency_key_reused")
