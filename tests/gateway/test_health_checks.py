"""A target that says it is ill gets no calls, and gets them again when it is well; asking costs no tokens and tells no key."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from keeptrusts.core.routing.target import HealthCheck, Target
from keeptrusts.gateway.provider_figures import provider_figures
from tests.gateway.hand_loop import HandLoop
from tests.gateway.house import MAIN, SECRET, House, answer, reply, with_rules
from tests.gateway.wires import Wire

CHECK = HealthCheck(interval_s=10.0, timeout_s=2.0, unhealthy_threshold=2, healthy_threshold=2)
WATCHED = msgspec.structs.replace(MAIN, health_check=CHECK)
SPARE = Target("openai-spare", "openai", base_url="http://spare/v1")
WELL = answer(200, b'{"data":[]}')


@pytest.fixture
def loop() -> Iterator[HandLoop]:
    loop = HandLoop()
    yield loop
    loop.close()
    assert loop.broken == []


@pytest.fixture
def house(loop: HandLoop, tmp_path: Path) -> Iterator[House]:
    house = House(loop, tmp_path, with_rules(targets=(WATCHED, SPARE)))
    yield house
    house.stop()


def asked(house: House) -> Wire:
    """The connection on which a check waits."""
    [wire] = [w for w in house.board.wires if w.protocol._exchange is not None and w.written.count(b"GET ")]
    return wire


def checked(house: House, said: bytes, times: int = 1) -> None:
    for _ in range(times):
        asked(house).says(said)
        house.loop.advance(10.0)


def served_by(house: House) -> str:
    told = house.call()
    [wire] = [w for w in house.board.wires if w.protocol._exchange is not None and b"POST " in w.written]
    wire.says(reply())
    assert told.status == 200
    return house.rows()[-1].attempts[-1].target


def figures(house: House) -> dict[str, Any]:
    found: dict[str, Any] = provider_figures(house.node)["targets"]["openai-main"]
    return found


def test_a_check_lists_models_with_the_targets_own_key_and_nothing_else(house: House) -> None:
    head = asked(house).written.decode().splitlines()
    assert head[0] == "GET /v1/models HTTP/1.1"
    assert f"authorization: Bearer {SECRET}" in head
    assert head[1] == "host: provider"


def test_a_target_that_fails_its_checks_is_passed_over_until_it_is_well(house: House) -> None:
    checked(house, answer(503, b"{}"))
    assert served_by(house) == "openai-main"
    checked(house, answer(503, b"{}"))
    assert served_by(house) == "openai-spare"
    assert house.rows()[-1].attempts[0].chosen == "cost-priority; openai-main is unhealthy"
    assert figures(house)["state"] == "unhealthy"
    checked(house, WELL)
    assert served_by(house) == "openai-spare"
    checked(house, WELL)
    assert served_by(house) == "openai-main"
    assert figures(house)["state"] == "up"


def test_one_good_answer_between_failures_ends_their_row(house: House) -> None:
    for _ in range(3):
        checked(house, answer(500, b"{}"))
        checked(house, WELL)
    assert served_by(house) == "openai-main"


@pytest.mark.parametrize("status", [401, 403, 500, 503])
def test_statuses_that_say_no_call_would_be_served(house: House, status: int) -> None:
    checked(house, answer(status, b"{}"), 2)
    assert figures(house)["healthy"] is False


@pytest.mark.parametrize("status", [200, 204, 301, 404, 405, 429])
def test_statuses_of_one_that_lives(house: House, status: int) -> None:
    checked(house, answer(status, b"{}"), 2)
    assert figures(house)["healthy"] is True


def test_silence_and_refused_connections_count(house: House, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        house.loop.advance(10.0)
        house.board.refuses = ConnectionRefusedError(111, "Connection refused")
        house.loop.advance(10.0)
    assert figures(house)["healthy"] is False
    assert "openai-main is unhealthy" in caplog.text
    assert SECRET not in caplog.text


def test_when_everybody_is_ill_a_call_is_tried_all_the_same(loop: HandLoop, tmp_path: Path) -> None:
    house = House(loop, tmp_path, with_rules(targets=(WATCHED,)))
    checked(house, answer(500, b"{}"), 2)
    assert served_by(house) == "openai-main"
    house.stop()


def follow(house: House, *targets: Target) -> None:
    async def put() -> None:
        house.node.targets.put(with_rules(targets=targets))

    house.loop.done(put())
    house.loop.turn()


def test_who_is_watched_follows_the_rules(house: House) -> None:
    checked(house, answer(500, b"{}"), 2)
    follow(house, MAIN, SPARE)
    assert house.node.targets.ready["openai-main"].state.healthy
    house.loop.advance(50.0)
    asks = sum(w.written.count(b"GET ") for w in house.board.wires)
    follow(house, WATCHED, SPARE)
    assert sum(w.written.count(b"GET ") for w in house.board.wires) == asks + 1


def test_the_figures_tell_what_calls_showed(house: House) -> None:
    served_by(house)
    told = house.call()
    [wire] = [w for w in house.board.wires if w.protocol._exchange is not None and b"POST " in w.written]
    house.loop.advance(1.5)
    wire.says(reply())
    assert told.status == 200
    found = figures(house)
    assert (found["attempts"], found["served"], found["failed"], found["in_flight"]) == (2, 2, 0, 0)
    assert found["latency_ms"]["p95"] == 1_500.0
    assert found["tokens_per_second"] == pytest.approx(25 / 1.5, abs=0.01)
    assert found["breaker"] == {"state": "closed", "failures_in_a_row": 0, "retry_in_seconds": None}
    assert SECRET not in msgspec.json.encode(provider_figures(house.node)).decode()
