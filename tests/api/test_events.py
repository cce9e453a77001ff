"""The event ledger through the API: one row per call, every filter, every question of the documents, exact sums."""

import csv
import io
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from keeptrusts.api.resources.events import EventPage
from keeptrusts.control import nodes
from keeptrusts.control.context import Control
from keeptrusts.core.calls.usage import Usage
from keeptrusts.core.identity.attribution import Attribution
from keeptrusts.core.ledger.alerts import Threshold
from keeptrusts.core.limits.limit_set import LimitSet
from keeptrusts.core.link import RegisteredGroup, Registration
from tests.api.asgi import Answer, Caller
from tests.hand_clock import HandClock
from tests.ledger_node import LedgerNode, attempt, event

pytestmark = pytest.mark.anyio


class Calls:
    """Records calls one minute apart."""

    def __init__(self, node: LedgerNode, clock: HandClock) -> None:
        self.node = node
        self.clock = clock

    async def add(self, call_id: str, cost: int | None = 100, **more: Any) -> None:
        attempts = () if cost is None else (attempt(None, cost),)
        self.node.write(event(call_id, attempts, at_ns=self.clock.unix_ns(), **more))
        await self.node.ship()
        self.clock.turn(timedelta(minutes=1))


@pytest.fixture
def calls(node: LedgerNode, clock: HandClock) -> Calls:
    return Calls(node, clock)


def ids(answer: Answer) -> list[str]:
    assert answer.status == 200, answer.text
    return [row["id"] for row in answer.json["events"]]


async def test_a_call_is_told_with_every_field_of_the_documents(admin: Caller, calls: Calls) -> None:
    issued = (await admin.post("/v1/tokens", {"token_type": "gateway", "name": "search"})).json
    who = Attribution("search-team", "app", "f", "e", "p", "c", "d", "usr_jane")
    await calls.add(
        "evt_abc",
        344_000,
        key_id=issued["id"],
        group="production",
        attribution=who,
        policy_actions=("pii_redacted",),
        usage=Usage(input=200, cache_read=45, output=512, reasoning=12),
        latency_ms=890,
    )
    page = (await admin.get("/v1/events")).json
    EventPage.model_validate(page)
    [row] = page["events"]
    assert {
        "id": "evt_abc",
        "type": "call",
        "timestamp": "2026-04-15T09:30:00.000Z",
        "gateway_key": issued["id"],
        "gateway_key_name": "search",
        "consumer_group": "production",
        "team_id": "search-team",
        "team": "search-team",
        "user_id": "usr_jane",
        "application": "app",
        "feature": "f",
        "environment": "e",
        "project": "p",
        "customer": "c",
        "department": "d",
        "provider": "openai",
        "model": "gpt-4o-mini",
        "tokens_input": 245,
        "tokens_output": 512,
        "tokens_cached": 45,
        "tokens_cache_write": 0,
        "tokens_reasoning": 12,
        "usage": {"prompt_tokens": 245, "completion_tokens": 512, "total_tokens": 757},
        "cost": Decimal("0.000344"),
        "cost_usd": Decimal("0.000344"),
        "latency_ms": 890,
        "policy_actions": ["pii_redacted"],
        "cache_hit": False,
        "status": "ok",
        "reason": None,
        "usage_source": "provider",
        "unpriced": False,
        "price_version": "prc_1",
        "request_id": "req_evt_abc",
        "ticket": None,
    }.items() <= row.items()
    [tried] = row["attempts"]
    assert (tried["outcome"], tried["cost"], tried["usage"]["input"]) == ("settled", Decimal("0.000344"), 14)


async def test_a_blocked_call_has_no_cost_and_no_tokens(admin: Caller, calls: Calls) -> None:
    await calls.add("evt_1", None, status="blocked", reason="insufficient_balance")
    [row] = (await admin.get("/v1/events")).json["events"]
    assert (row["cost"], row["usage"]["total_tokens"], row["status"]) == (None, 0, "blocked")


async def test_the_newest_recording_comes_first_and_pages_have_no_gap(admin: Caller, calls: Calls) -> None:
    for number in range(7):
        await calls.add(f"evt_{number}")
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await admin.get("/v1/events", limit=3, **cursor)
        seen += ids(answer)
        if answer.json["next_cursor"] is None:
            break
        await calls.add(f"evt_late_{len(seen)}")
        cursor = {"cursor": answer.json["next_cursor"]}
    assert seen == [f"evt_{number}" for number in range(6, -1, -1)], "what comes meanwhile moves no page"
    oldest = await admin.get("/v1/events", limit=2, order="asc")
    assert ids(oldest) == ["evt_0", "evt_1"]
    assert ids(await admin.get("/v1/events", limit=2, order="asc", cursor=oldest.json["next_cursor"])) == [
        "evt_2",
        "evt_3",
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("team_id", "team_x"),
        ("team", "x"),
        ("consumer_group", "prod"),
        ("user_id", "usr_1"),
        ("provider", "azure"),
        ("model", "gpt-x"),
        ("asked_model", "fast"),
        ("application", "app_1"),
        ("feature", "feature_1"),
        ("environment", "staging"),
        ("project", "project_1"),
        ("customer", "customer_1"),
        ("department", "department_1"),
        ("status", "interrupted"),
        ("reason", "because"),
        ("request_id", "req_x"),
        ("id", "evt_x"),
    ],
)
async def test_every_filter_finds_its_call_and_no_other(admin: Caller, calls: Calls, name: str, value: str) -> None:
    await admin.post("/v1/wallets/allocate", {"team_id": "team_x", "amount": 1})
    await calls.add("evt_1")
    await calls.add(
        "evt_x",
        attribution=Attribution(
            "team_x", "app_1", "feature_1", "staging", "project_1", "customer_1", "department_1", "usr_1"
        ),
        group="prod",
        provider="azure",
        model="gpt-x",
        asked_model="fast",
        status="interrupted",
        reason="because",
        request_id="req_x",
    )
    assert ids(await admin.get("/v1/events", **{name: value})) == ["evt_x"]
    assert ids(await admin.get("/v1/events", **{name: "no such thing"})) == []


async def test_a_key_is_found_by_its_id_its_name_and_its_hint(admin: Caller, calls: Calls) -> None:
    issued = (await admin.post("/v1/tokens", {"token_type": "gateway", "name": "search"})).json
    await calls.add("evt_1", key_id=issued["id"])
    await calls.add("evt_2")
    for value in (issued["id"], "search", issued["hint"]):
        assert ids(await admin.get("/v1/events", gateway_key=value)) == ["evt_1"]


async def test_what_belongs_to_nobody_is_found_as_unassigned(admin: Caller, calls: Calls) -> None:
    await calls.add("evt_1", attribution=Attribution())
    await calls.add("evt_2")
    assert ids(await admin.get("/v1/events", team_id="unassigned")) == ["evt_1"]


async def test_a_time_is_half_open(admin: Caller, calls: Calls, clock: HandClock) -> None:
    for number in range(3):
        await calls.add(f"evt_{number}")
        clock.turn(timedelta(days=1))
    assert ids(await admin.get("/v1/events", since="2026-04-16", until="2026-04-17")) == ["evt_1"]
    assert ids(await admin.get("/v1/events", since="2026-04-16T09:31:00Z", until="2026-04-17T09:32:00Z")) == ["evt_1"]
    assert ids(await admin.get("/v1/events", since="2026-04-16T09:31:00+00:00")) == ["evt_2", "evt_1"]
    assert ids(await admin.get("/v1/events", since="30h")) == ["evt_2"]
    assert ids(await admin.get("/v1/events", since="30d")) == ["evt_2", "evt_1", "evt_0"]
    assert ids(await admin.get("/v1/events", until="2026-04-16")) == ["evt_0"]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"colour": "red"}, "there is no parameter 'colour': there are team_id"),
        ({"aggregate": "by_colour"}, "there are usage_by_team, cost_by_team, by_model, usage_daily, daily, cost_total"),
        ({"group_by": "team,colour"}, "no dimension 'colour': there are team, team_id"),
        ({"interval": "month"}, "interval is one of hour, day"),
        ({"aggregate": "daily", "group_by": "team"}, "leave group_by"),
        ({"since": "soon"}, "30d"),
        ({"limit": "0"}, "from 1 to 1000"),
        ({"limit": "1001"}, "from 1 to 1000"),
        ({"limit": "٣"}, "from 1 to 1000"),
        ({"cursor": "x"}, "next_cursor"),
        ({"order": "up"}, "desc, asc"),
        ({"type": "other"}, "call, budget_alert, all"),
        ({"format": "xml"}, "json, csv"),
        ({"fields": "team,colour"}, "no field 'colour'"),
        ({"model": "x" * 501}, "500 characters"),
    ],
)
async def test_a_query_that_means_nothing_is_told_what_there_is(
    admin: Caller, query: dict[str, str], says: str
) -> None:
    answer = await admin.get("/v1/events", **query)
    assert answer.status == 400
    assert says in answer.json["error"]["message"]


async def test_usage_and_cost_by_team(admin: Caller, calls: Calls, control: Control) -> None:
    groups = (RegisteredGroup("engineering", "team_engineering", LimitSet()),)
    await nodes.register(control, Registration("node_9", "h", "1", (), True, (), groups, ()))
    await calls.add("evt_1", 1_500_000_000_000, team="team_engineering")
    await calls.add("evt_2", 100, team="team_engineering")
    await calls.add("evt_3", 250, team="marketing")
    await calls.add("evt_4", None, team="marketing", status="blocked", reason="insufficient_balance")
    await calls.add("evt_5", None, team="marketing", status="refused", reason="rate_limit_exceeded")
    await calls.add("evt_6", 0, team="marketing", status="upstream_error")
    await calls.add("evt_7", 5, team="marketing", status="upstream_error")
    await calls.add("evt_8", 0, team="marketing", status="cached", saved_nanos=17)
    await calls.add("evt_9", 7, attribution=Attribution())
    rows = (await admin.get("/v1/events", aggregate="usage_by_team")).json["teams"]
    engineering, marketing, nobody = rows
    assert (engineering["name"], engineering["team_id"]) == ("engineering", "team_engineering")
    assert (engineering["count"], engineering["total_tokens"]) == (2, 78)
    assert engineering["total_cost"] == Decimal("1500.0000001")
    assert (marketing["count"], marketing["blocked"], marketing["refused"], marketing["failed"]) == (3, 1, 1, 1)
    assert (marketing["cached"], marketing["total_saved"]) == (1, Decimal("0.000000017"))
    assert marketing["total_cost"] == Decimal("0.000000255")
    assert nobody["name"] == "unassigned"
    tiers = (await admin.get("/v1/events", aggregate="cost_by_team")).json["teams"]
    assert [(row["name"], row["tier"]) for row in tiers] == [
        ("engineering", "Growth"),
        ("marketing", "Base"),
        ("unassigned", "Base"),
    ]


async def test_days_models_and_the_total(admin: Caller, calls: Calls, clock: HandClock) -> None:
    await calls.add("evt_1", 100)
    await calls.add("evt_2", 200, model="gpt-4o")
    clock.turn(timedelta(days=1))
    await calls.add("evt_3", 400, model="gpt-4o", team="team_b")
    for name in ("daily", "usage_daily"):
        days = (await admin.get("/v1/events", aggregate=name, since="90d")).json["days"]
        assert [(day["date"], day["count"], day["total_cost"]) for day in days] == [
            ("2026-04-15", 2, Decimal("0.0000003")),
            ("2026-04-16", 1, Decimal("0.0000004")),
        ]
    models = (await admin.get("/v1/events", aggregate="by_model", since="30d")).json["models"]
    assert [(row["provider"], row["model"], row["count"], row["total_cost"]) for row in models] == [
        ("openai", "gpt-4o", 2, Decimal("0.0000006")),
        ("openai", "gpt-4o-mini", 1, Decimal("0.0000001")),
    ]
    total = (await admin.get("/v1/events", aggregate="cost_total", team_id="team_b")).json
    assert (total["team_id"], total["total_cost"], total["count"], total["currency"]) == (
        "team_b",
        Decimal("0.0000004"),
        1,
        "USD",
    )


async def test_sums_by_any_dimensions_and_interval(admin: Caller, calls: Calls) -> None:
    await calls.add("evt_1", 100)
    await calls.add("evt_2", 200, model="gpt-4o")
    await calls.add("evt_3", 300, model="gpt-4o")
    rows = (await admin.get("/v1/events", group_by="team,model", interval="day")).json["groups"]
    assert [(row["team"], row["model"], row["date"], row["count"]) for row in rows] == [
        ("a", "gpt-4o", "2026-04-15", 2),
        ("a", "gpt-4o-mini", "2026-04-15", 1),
    ]
    hours = (await admin.get("/v1/events", interval="hour")).json["groups"]
    assert [(row["start"], row["count"]) for row in hours] == [("2026-04-15T09:00:00Z", 3)]


async def test_rates_stand_beside_the_groups_limits(
    admin: Caller, calls: Calls, control: Control, clock: HandClock
) -> None:
    limits = LimitSet(requests_per_minute=10, tokens_per_minute=1_000, concurrent_requests=5)
    groups = (RegisteredGroup("sandbox", None, limits),)
    await nodes.register(control, Registration("node_9", "h", "1", (), True, (), groups, ()))
    for number in range(3):
        calls.node.write(event(f"evt_{number}", (attempt(None, 1),), group="sandbox", at_ns=clock.unix_ns()))
    await calls.node.ship()
    clock.turn(timedelta(minutes=5))
    await calls.add("evt_9", group="sandbox")
    clock.turn(timedelta(seconds=-30))
    [row] = (await admin.get("/v1/events", since="1h", aggregate="rate_by_consumer_group")).json["consumer_groups"]
    assert (row["name"], row["count"]) == ("sandbox", 4)
    assert (row["requests_per_minute"], row["peak_requests_per_minute"]) == (1, 3)
    assert (row["limit_requests_per_minute"], row["utilization"]) == (10, Decimal("0.1"))


async def test_budget_alerts_are_rows_of_their_own_type(admin: Caller, control: Control) -> None:
    node = LedgerNode(control.store, control.tools, thresholds=(Threshold(50, "notify"),))
    await admin.post("/v1/wallets/allocate", {"team_id": "team_a", "amount": "0.0000001"})
    await node.ask("lse_1", need=80)
    await node.settle("evt_1", "lse_1", 60)
    assert ids(await admin.get("/v1/events")) == ["evt_1"], "lists are of calls unless asked otherwise"
    assert len(ids(await admin.get("/v1/events", type="all"))) == 2
    [alert] = (await admin.get("/v1/events", type="budget_alert", team_id="team_a")).json["events"]
    assert (alert["type"], alert["threshold_percent"], alert["team"], alert["period"]) == (
        "budget_alert",
        50,
        "a",
        "monthly:2026-04-01",
    )
    assert (alert["budget"], alert["spent"]) == (Decimal("0.0000001"), Decimal("0.00000006"))
    assert (await admin.get("/v1/events", aggregate="cost_total")).json["count"] == 1


async def test_csv_has_exact_amounts_and_runs_nothing(admin: Caller, calls: Calls) -> None:
    await calls.add("evt_1", 1, attribution=Attribution(team="=HYPERLINK(1)", application='a "b", c'))
    answer = await admin.get("/v1/events", format="csv", fields="team_id,application,model,cost,usage.total_tokens")
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.text.endswith("\r\n")
    [row] = csv.DictReader(io.StringIO(answer.text))
    assert row == {
        "team_id": "'=HYPERLINK(1)",
        "application": 'a "b", c',
        "model": "gpt-4o-mini",
        "cost": "0.000000001",
        "usage.total_tokens": "39",
    }
    blocked = await admin.get("/v1/events", format="csv", status="blocked")
    assert blocked.text.count("\r\n") == 1, "a heading even when there is nothing"


async def test_sums_are_csv_too(admin: Caller, calls: Calls) -> None:
    await calls.add("evt_1", 100)
    answer = await admin.get("/v1/events", format="csv", aggregate="cost_by_team")
    [row] = csv.DictReader(io.StringIO(answer.text))
    assert (row["name"], row["total_cost"], row["tier"]) == ("a", "0.0000001", "Base")


async def test_a_long_csv_says_where_it_goes_on(admin: Caller, calls: Calls) -> None:
    for number in range(3):
        await calls.add(f"evt_{number}")
    first = await admin.get("/v1/events", format="csv", fields="id", limit=2)
    assert first.text == "id\r\nevt_2\r\nevt_1\r\n"
    rest = await admin.get("/v1/events", format="csv", fields="id", limit=2, cursor=first.headers["x-next-cursor"])
    assert rest.text == "id\r\nevt_0\r\n"
    assert "x-next-cursor" not in rest.headers


async def test_a_csv_without_a_limit_has_everything(
    admin: Caller, node: LedgerNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keeptrusts.control.event_query.LIMIT_MAX", 4)
    node.write(*(event(f"evt_{number:02}", at_ns=node.tools.clock.unix_ns()) for number in range(11)))
    await node.ship()
    answer = await admin.get("/v1/events", format="csv", fields="id")
    assert answer.text.split("\r\n") == ["id", *(f"evt_{number:02}" for number in range(10, -1, -1)), ""]


async def test_fields_narrow_json_too(admin: Caller, calls: Calls) -> None:
    await calls.add("evt_1")
    answer = await admin.get("/v1/events", fields="team,provider,model,cost,timestamp")
    assert answer.json["events"] == [
        {
            "team": "a",
            "provider": "openai",
            "model": "gpt-4o-mini",
            "cost": Decimal("0.0000001"),
            "timestamp": "2026-04-15T09:30:00.000Z",
        }
    ]


async def test_the_period_that_paid_stands_on_the_row(admin: Caller, control: Control, node: LedgerNode) -> None:
    await admin.post("/v1/wallets/allocate", {"team_id": "team_a", "amount": 1})
    await node.ask("lse_1", need=100)
    await node.settle("evt_1", "lse_1", 60)
    await node.settle("evt_2", None, 5, team="team_nobody")
    assert {row["id"]: row["period"] for row in (await admin.get("/v1/events")).json["events"]} == {
        "evt_1": "monthly:2026-04-01",
        "evt_2": None,
    }


async def test_a_cost_center_is_told_of_the_calls_that_have_one(admin: Caller, calls: Calls) -> None:
    await calls.add("evt_1", attribution=Attribution("t", cost_center="4711"))
    await calls.add("evt_2", attribution=Attribution("t"))
    whole = (await admin.get("/v1/events")).json["events"]
    assert {row["id"]: row["cost_center"] for row in whole} == {"evt_1": "4711", "evt_2": None}
    answer = await admin.get("/v1/events", format="csv", fields="id,cost_center", order="asc")
    assert answer.text.splitlines() == ["id,cost_center", "evt_1,4711", "evt_2,"]
