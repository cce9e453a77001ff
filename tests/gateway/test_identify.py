"""Which key was sent, whose it is, from where, and how it stands while its calls are under way."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from keeptrusts.core.identity.attribution import Attribution
from keeptrusts.core.identity.gateway_key import KeyRecord, key_digest
from keeptrusts.core.ledger.records import Event
from keeptrusts.core.refusal import Refused
from keeptrusts.core.routing.target import GroupModel, ModelGroup, Target
from keeptrusts.core.rulebook.rulebook import ConsumerGroup
from keeptrusts.gateway.client import Client
from keeptrusts.gateway.identify import identify
from tests.gateway.hand_loop import HandLoop
from tests.gateway.house import (
    BILL,
    COST,
    DONE,
    END,
    GROUP,
    KEY,
    MAIN,
    SAID,
    STREAM_HEAD,
    TEAM,
    House,
    ask,
    chunk,
    reply,
    with_rules,
)
from tests.gateway.house import answer as answered
from tests.gateway.keys import PEPPER, record, secret, tell

OFFICE = ConsumerGroup("office", allowed_ips=("192.0.2.0/24",), attribution={"application": "desk"})
SPARE = Target("openai-spare", "openai", base_url="http://spare/v1")
BEST = ModelGroup("best", "cost-priority", (GroupModel("openai", "gpt-4o-mini", None, 1),))
NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    loop = HandLoop()
    rules = with_rules(
        groups=(GROUP, OFFICE), targets=(MAIN, SPARE), model_groups=(BEST,), trusted_proxies=("10.0.0.0/8",)
    )
    house = House(loop, tmp_path, rules)
    yield house
    house.stop()
    loop.close()
    assert loop.broken == []


def client_of(*headers: tuple[str, str]) -> Client:
    pairs = [(name.encode(), value.encode()) for name, value in headers]
    scope = {"headers": pairs, "http_version": "1.1", "method": "POST", "client": ("127.0.0.1", 1)}
    return Client.of_asgi(scope, None, None)


def answer(house: House, *headers: tuple[str, str]) -> str | None:
    """The key that the headers stand for, or why they stand for none."""
    try:
        caller, refusal = identify(house.node.edition().callers, client_of(*headers))
    except Refused as refused:
        return refused.reason.value
    return caller.key_id or caller.group if refusal is None else refusal.reason.value


ONE, OTHER = f"Bearer {secret(1)}", f"Bearer {secret(2)}"


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ([("authorization", ONE)], "tok_1"),
        ([("x-api-key", secret(1))], "tok_1"),
        ([("x-consumer-group", KEY)], "marketing"),
        ([("authorization", ONE), ("x-api-key", secret(1))], "tok_1"),
        ([("x-consumer-group", KEY), ("authorization", "Bearer sk-unused")], "marketing"),
        ([("x-consumer-group", KEY), ("authorization", f"Bearer {KEY}")], "marketing"),
        ([("authorization", ONE), ("x-api-key", "sk-ant-someone")], "tok_1"),
        ([("authorization", ONE), ("x-api-key", secret(2))], "ambiguous_key"),
        ([("authorization", ONE), ("x-api-key", secret(9))], "ambiguous_key"),
        ([("x-consumer-group", KEY), ("authorization", ONE)], "ambiguous_key"),
        ([("x-consumer-group", KEY), ("x-api-key", secret(1))], "ambiguous_key"),
        ([("authorization", ONE), ("x-api-key", KEY)], "ambiguous_key"),
        ([("authorization", ONE), ("authorization", OTHER)], "invalid_key"),
        ([("authorization", ONE), ("authorization", ONE)], "invalid_key"),
        ([("x-api-key", secret(1)), ("x-api-key", secret(2))], "invalid_key"),
        ([("x-consumer-group", KEY), ("x-consumer-group", "kt_cg_else")], "invalid_key"),
        ([("authorization", "Basic abc")], "invalid_key"),
        ([("x-consumer-group", ""), ("authorization", ONE)], "tok_1"),
        ([("authorization", "Basic abc"), ("x-api-key", secret(1))], "tok_1"),
        ([("authorization", ""), ("x-api-key", "")], "invalid_key"),
        ([], "missing_key"),
    ],
)
def test_a_call_has_one_key_or_none(house: House, headers: list[tuple[str, str]], told: str) -> None:
    tell(house, record(1), record(2, key_id="tok_2"))
    assert answer(house, *headers) == told


def test_a_repeated_header_is_the_list_of_its_values() -> None:
    client = client_of(("x-forwarded-for", "1.1.1.1"), ("Accept", "a"), ("x-forwarded-for", "2.2.2.2"))
    assert client.headers[b"x-forwarded-for"] == b"1.1.1.1, 2.2.2.2"


@pytest.mark.parametrize(
    ("fields", "peer", "forwarded", "status"),
    [
        ({}, "198.51.100.1", "", 200),
        ({"allowed_ips": ("198.51.100.0/24",)}, "198.51.100.1", "", 200),
        ({"allowed_ips": ("198.51.100.0/24",)}, "203.0.113.1", "", 403),
        ({"allowed_ips": ("198.51.100.0/24",)}, "203.0.113.1", "198.51.100.1", 403),
        ({"allowed_ips": ("198.51.100.0/24",)}, "10.0.0.1", "198.51.100.1", 200),
        ({"allowed_ips": ("198.51.100.0/24",)}, "10.0.0.1", "198.51.100.1, 203.0.113.1", 403),
        ({"allowed_ips": ("2001:db8::/32",)}, "2001:db8::7", "", 200),
        ({"consumer_group": "office"}, "192.0.2.7", "", 200),
        ({"consumer_group": "office"}, "198.51.100.1", "", 403),
        ({"consumer_group": "office", "allowed_ips": ("198.51.100.0/24",)}, "192.0.2.7", "", 403),
    ],
)
def test_a_key_is_of_use_in_its_networks_only(
    house: House, fields: dict[str, Any], peer: str, forwarded: str, status: int
) -> None:
    tell(house, record(**fields))
    house.peer = peer
    told = house.call(x_consumer_group=secret(1), x_forwarded_for=forwarded)
    if status == 200:
        house.wire.says(reply())
    else:
        assert told.error["code"] == "ip_not_allowed"
        assert house.board.wires == []
    assert told.status == status
    assert [row.key_id for row in house.rows()] == ["tok_1"]


def test_a_key_of_a_group_carries_what_the_group_binds_unless_it_is_bound_itself(house: House) -> None:
    house.peer = "192.0.2.1"
    tell(house, record(consumer_group="office"), record(2, key_id="tok_2", consumer_group="office"))
    callers = house.node.edition().callers
    found = callers.find(secret(1).encode())
    assert found is not None
    assert found.attribution == Attribution(team=TEAM, application="desk")
    tell(house, record(consumer_group="office", attribution=Attribution(application="own")))
    found = callers.find(secret(1).encode())
    assert found is not None
    assert found.attribution == Attribution(team="office", application="own")


def rotated(until: datetime, **fields: Any) -> KeyRecord:
    """The key 1 after its rotation: its secret is that of 2."""
    return record(2, old_digest=key_digest(PEPPER, secret(1)), old_until=until, **fields)


def test_during_the_overlap_both_secrets_are_the_same_key(house: House) -> None:
    tell(house, record(rate_limit=2))
    assert answer(house, ("authorization", ONE)) == "tok_1"
    assert answer(house, ("authorization", OTHER)) == "invalid_key"
    tell(house, rotated(NOW + HOUR, rate_limit=2))
    old, new = (house.node.edition().callers.find(secret(n).encode()) for n in (1, 2))
    assert old is not None
    assert new is not None
    assert old.meters == new.meters
    assert old.key_id == new.key_id == "tok_1"
    for number in (1, 2):
        house.call(x_consumer_group=secret(number))
        house.wire.says(reply())
    assert house.call(x_consumer_group=secret(1)).error["code"] == "rate_limit_exceeded"


def test_when_the_overlap_has_ended_the_old_secret_is_refused_by_its_name(house: House) -> None:
    tell(house, rotated(NOW - timedelta(seconds=1)))
    told = house.call(x_consumer_group=secret(1))
    assert (told.status, told.error["code"]) == (403, "key_expired")
    assert "rotated" in told.error["message"]
    assert answer(house, ("authorization", OTHER)) == "tok_1"
    assert house.rows()[0].key_id == "tok_1"


def test_another_rotation_ends_the_oldest_secret(house: House) -> None:
    tell(house, rotated(NOW + HOUR))
    tell(house, record(3, old_digest=key_digest(PEPPER, secret(2)), old_until=NOW + HOUR))
    told = [answer(house, ("x-api-key", secret(number))) for number in (1, 2, 3)]
    assert told == ["invalid_key", "tok_1", "tok_1"]


@pytest.mark.parametrize("status", ["revoked", "suspended"])
def test_what_happens_to_a_key_happens_to_both_its_secrets(house: House, status: Any) -> None:
    tell(house, rotated(NOW + HOUR))
    tell(house, rotated(NOW + HOUR, status=status))
    assert [answer(house, ("x-api-key", secret(number))) for number in (1, 2)] == [f"key_{status}"] * 2


def test_a_key_expires_with_its_old_secret_in_its_second(house: House) -> None:
    tell(house, rotated(NOW + HOUR, expires_at=datetime.fromtimestamp(time.time(), UTC)))
    assert [answer(house, ("x-api-key", secret(number))) for number in (1, 2)] == ["key_expired"] * 2
    tell(house, rotated(NOW + HOUR, expires_at=NOW + HOUR))
    assert [answer(house, ("x-api-key", secret(number))) for number in (1, 2)] == ["tok_1"] * 2


def test_a_key_whose_budget_is_used_up_is_told_that_and_that_it_goes_on_by_itself(house: House) -> None:
    tell(house, record(status="suspended", suspended_reason="budget_exhausted"))
    told = house.call(x_consumer_group=secret(1))
    assert (told.status, told.error["type"], told.error["code"]) == (402, "budget_exceeded", "budget_exhausted")
    assert told.error["details"] == {"team": "marketing", "suspended_reason": "budget_exhausted"}
    assert told.headers["x-should-retry"] == "false"
    assert (house.rows()[0].status, house.rows()[0].reason) == ("blocked", "budget_exhausted")


def last_row(house: House) -> Event:
    return house.rows()[-1]


def test_a_stream_is_cut_when_its_key_is_revoked_and_costs_what_it_cost(house: House) -> None:
    tell(house, record())
    told = house.call(ask(stream=True), x_consumer_group=secret(1))
    house.wire.says(STREAM_HEAD + chunk(SAID))
    tell(house, record(name="renamed"))
    tell(house, record(status="revoked"))
    assert not told.ended
    house.wire.says(chunk(SAID.replace(b"A book", b"A secret")))
    assert told.ended
    assert b"key_revoked" in told.body
    assert b"A secret" not in told.body
    house.wire.says(chunk(BILL + DONE) + END)
    row = last_row(house)
    assert (row.status, row.reason, row.cost_nanos) == ("interrupted", "key_revoked", COST)
    house.settled()


def test_a_stream_goes_on_when_its_key_is_suspended_or_rotated(house: House) -> None:
    tell(house, record())
    told = house.call(ask(stream=True), x_consumer_group=secret(1))
    house.wire.says(STREAM_HEAD + chunk(SAID))
    tell(house, rotated(NOW - HOUR, status="suspended", suspended_reason="manual"))
    house.wire.says(chunk(BILL + DONE) + END)
    assert last_row(house).status == "ok"
    assert told.ended


@pytest.mark.parametrize("status", ["revoked", "suspended"])
def test_a_call_under_way_is_not_tried_elsewhere_once_its_key_has_ended(house: House, status: Any) -> None:
    tell(house, record())
    told = house.call(ask(model="best"), x_consumer_group=secret(1))
    tell(house, record(status=status))
    house.wire.says(answered(500, b"{}"))
    house.loop.advance(5.0)
    assert (told.status, told.error["code"]) == (502, "upstream_error")
    assert len(house.board.wires) == 1
    assert {attempt.outcome for attempt in last_row(house).attempts} == {"void"}
    house.settled()


def test_the_answer_that_a_provider_is_paid_for_already_is_given(house: House) -> None:
    tell(house, record())
    told = house.call(x_consumer_group=secret(1))
    tell(house, record(status="revoked"))
    house.wire.says(reply())
    assert told.status == 200
