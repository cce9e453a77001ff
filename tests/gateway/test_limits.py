"""Limits in the life of a call: whose they are, what a refusal costs, and what a client is told."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from keeptrusts.core.limits.gate import Gate, Permit
from keeptrusts.core.limits.limit_set import LimitSet
from keeptrusts.core.limits.meter import Meter, OwnMemory
from keeptrusts.core.limits.quotas import Quota, Quotas, quotas_of
from keeptrusts.core.limits.rules import LimitRules, Scoped
from keeptrusts.core.routing.target import Target
from keeptrusts.core.rulebook.rulebook import ConsumerGroup
from keeptrusts.gateway.limiting import limit_lines
from tests.gateway.hand_loop import HandLoop
from tests.gateway.house import (
    BILL,
    DONE,
    END,
    KEY,
    MAIN,
    SAID,
    STREAM_HEAD,
    TEAM,
    USAGE,
    House,
    answer,
    ask,
    chunk,
    reply,
    with_rules,
)  # fmt: skip

SPARE = Target("openai-spare", "openai", base_url="http://spare/v1")
OTHER = "kt_cg_another-group-of-the-team"


@pytest.fixture
def loop() -> Iterator[HandLoop]:
    loop = HandLoop()
    yield loop
    loop.close()


def house_of(loop: HandLoop, path: Path, *spare: Target, **limits: Any) -> House:
    groups = (
        ConsumerGroup("marketing", api_key=KEY, wallet_team_id=TEAM),
        ConsumerGroup("other", api_key=OTHER, wallet_team_id=TEAM),
    )
    house = House(loop, path, with_rules(targets=(MAIN, *spare), groups=groups, limits=LimitRules(**limits)))
    house.environment["OPENAI_API_KEY"] = "sk-spare"
    return house


def each(**limits: int) -> Scoped:
    return Scoped(quotas_of(LimitSet(**limits)))


def served(house: House, **headers: str) -> int:
    """The status of a call whose provider answers at once."""
    told = house.call(**headers)
    if not told.ended:
        house.wire.says(reply())
    return told.status


def refused_scope(house: House, **headers: str) -> Any:
    told = house.call(**headers)
    assert told.status == 429
    return told.error["details"]["scope"]


def test_a_team_shares_what_its_groups_use(loop: HandLoop, tmp_path: Path) -> None:
    house = house_of(loop, tmp_path, teams=each(requests_per_minute=2))
    assert [served(house), served(house, x_consumer_group=OTHER)] == [200, 200]
    assert refused_scope(house) == f"team {TEAM}"
    assert [row.status for row in house.rows()] == ["ok", "ok", "refused"]
    house.stop()


@pytest.mark.parametrize(
    ("limits", "scope"),
    [
        ({"keys": each(requests_per_minute=1)}, "key of group marketing"),
        ({"models": each(requests_per_minute=1)}, "model gpt-4o-mini"),
        ({"everybody": quotas_of(LimitSet(requests_per_minute=1))}, "everybody"),
        ({"everybody": Quotas((Quota("requests", 1, 90),))}, "everybody"),
        ({"users": each(requests_per_minute=1)}, "user '' of marketing"),
        ({"addresses": quotas_of(LimitSet(requests_per_minute=1))}, "address 127.0.0.1"),
        ({"targets": each(requests_per_minute=1)}, "target openai-main"),
        ({"everybody": quotas_of(LimitSet(requests_per_minute=3)), "nodes": 3}, "everybody"),
        ({"everybody": quotas_of(LimitSet(requests_per_minute=1)), "nodes": 3}, "everybody"),
    ],
)
def test_every_scope_refuses_by_its_name(loop: HandLoop, tmp_path: Path, limits: dict[str, Any], scope: str) -> None:
    house = house_of(loop, tmp_path, **limits)
    assert served(house) == 200
    assert refused_scope(house) == scope
    house.settled()
    house.stop()


def test_users_are_told_apart_by_a_header_within_their_key(loop: HandLoop, tmp_path: Path) -> None:
    house = house_of(loop, tmp_path, users=each(requests_per_minute=1))
    assert [served(house, x_user_id=name) for name in ("ann", "bob", "ann")] == [200, 200, 429]
    assert served(house, x_user_id="ann", x_consumer_group=OTHER) == 200, "another key's ann is somebody else"
    house.stop()


def test_an_address_is_what_trusted_proxies_say(loop: HandLoop, tmp_path: Path) -> None:
    house = house_of(loop, tmp_path, addresses=quotas_of(LimitSet(requests_per_minute=1)), trusted_proxies=1)
    assert served(house, x_forwarded_for="192.0.2.1") == 200
    assert refused_scope(house, x_forwarded_for="198.51.100.7, 192.0.2.1") == "address 192.0.2.1"
    assert served(house, x_forwarded_for="192.0.2.1, 192.0.2.2") == 200
    assert served(house, x_forwarded_for="2001:db8:1:2::1") == 200
    assert refused_scope(house, x_forwarded_for="[2001:db8:1:2:ffff::9]:443") == "address 2001:db8:1:2::/64"
    assert house.call(x_consumer_group="kt_cg_nobody", x_forwarded_for="192.0.2.9").status == 401
    assert house.call(x_consumer_group="kt_cg_nobody", x_forwarded_for="192.0.2.9").status == 429
    house.stop()


def test_a_target_at_its_limit_is_passed_over_and_its_place_is_free_when_it_failed(
    loop: HandLoop, tmp_path: Path
) -> None:
    house = house_of(loop, tmp_path, SPARE, targets=each(concurrent_requests=1))
    first, second = house.call(), house.call()
    at_main, at_spare = house.board.wires
    assert refused_scope(house) == "target openai-spare"
    at_spare.says(reply())
    assert second.status == 200
    at_main.says(answer(500, b"{}"))
    assert not first.ended, "it goes on at the spare target"
    third = house.call()
    assert refused_scope(house) == "target openai-spare"
    for wire in house.board.wires:
        if wire.protocol._exchange is not None and not wire.is_closing():
            wire.says(reply())
    assert (first.status, third.status) == (200, 200)
    used = {row.attempts[-1].chosen for row in house.rows() if row.attempts}
    assert used == {"cost-priority; openai-main is at its limit", "cost-priority", "fallback"}
    house.settled()
    house.stop()


def test_tokens_of_a_target_are_what_it_used(loop: HandLoop, tmp_path: Path) -> None:
    house = house_of(loop, tmp_path, targets=each(tokens_per_minute=USAGE["total_tokens"] * 2 + 30))
    assert [served(house) for _ in range(3)] == [200, 200, 429]
    house.settled()
    house.stop()


def test_a_client_is_told_what_is_left(loop: HandLoop, tmp_path: Path) -> None:
    limits = quotas_of(LimitSet(requests_per_minute=2, tokens_per_day=10_000))
    house = house_of(loop, tmp_path, everybody=limits)
    told = house.call()
    house.wire.says(reply())
    assert told.headers["x-ratelimit-limit-requests"] == "2"
    assert told.headers["x-ratelimit-remaining-requests"] == "1"
    assert told.headers["x-ratelimit-reset-requests"] == "1m1s"
    assert told.headers["x-ratelimit-limit-tokens"] == "10000"
    assert 9_000 < int(told.headers["x-ratelimit-remaining-tokens"]) < 10_000
    assert told.headers["x-ratelimit-reset-tokens"] == "24h5m0s"
    streamed = house.call(ask(stream=True))
    house.wire.says(STREAM_HEAD + chunk(SAID + BILL + DONE) + END)
    assert streamed.headers["x-ratelimit-remaining-requests"] == "0"
    refused = house.call()
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    assert 1 <= int(refused.headers["retry-after"]) <= 61
    house.stop()


def test_a_client_is_not_told_where_the_rules_say_so(loop: HandLoop, tmp_path: Path) -> None:
    house = house_of(loop, tmp_path, everybody=quotas_of(LimitSet(requests_per_minute=1)), shown=False)
    told = house.call()
    house.wire.says(reply())
    refused = house.call()
    for headers in (told.headers, refused.headers):
        assert not [name for name in headers if name.startswith("x-ratelimit")]
    assert "remaining" not in refused.error["details"]
    assert refused.headers["retry-after"]
    house.stop()


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_over_the_bound_is_paid_for_and_not_passed_on(loop: HandLoop, tmp_path: Path, stream: bool) -> None:
    house = House(loop, tmp_path, with_rules(max_response_bytes=1_024, targets=(MAIN,)))
    told = house.call(ask(stream=stream))
    if stream:
        house.wire.says(STREAM_HEAD + chunk(SAID))
        house.wire.says(chunk(SAID * 40))
        assert told.ended
        assert b"max_response_bytes" in told.body
        assert len(told.body) < 1_024
    else:
        house.wire.says(reply(padding="x" * 2_000))
        assert (told.status, told.error["code"]) == (502, "response_too_large")
        assert told.headers["x-should-retry"] == "false"
        assert "padding" not in told.body.decode()
    [row] = house.rows()
    assert (row.cost_nanos or 0) > 0
    assert len(json.dumps(row.reason)) < 100
    house.settled()
    house.stop()


def test_anthropics_names_are_told_at_its_door() -> None:
    gate = Gate([Meter("everybody", quotas_of(LimitSet(requests_per_minute=7, tokens_per_day=900)), OwnMemory())])
    permit = gate.enter(100, 0)
    assert isinstance(permit, Permit)
    lines = limit_lines(permit, "messages", 1_760_000_000 * 10**9).decode().split("\r\n")
    assert lines == [
        "anthropic-ratelimit-requests-limit: 7",
        "anthropic-ratelimit-requests-remaining: 6",
        "anthropic-ratelimit-requests-reset: 2025-10-09T08:54:21Z",
        "anthropic-ratelimit-tokens-limit: 900",
        "anthropic-ratelimit-tokens-remaining: 800",
        "anthropic-ratelimit-tokens-reset: 2025-10-10T08:58:20Z",
        "",
    ]
