"""Rules and keys older than ``max_stale_s`` serve nobody, whoever is first at the door when a node wakes up."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.hand_loop import HandLoop
from tests.gateway.house import House, with_rules

MAX_STALE_S = 10


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    loop = HandLoop()
    house = House(loop, tmp_path, with_rules(max_stale_s=MAX_STALE_S))
    yield house
    house.stop()
    loop.close()
    assert loop.broken == []


def test_a_call_that_waited_at_the_door_of_a_sleeping_node_is_not_sent(house: House) -> None:
    house.loop.stall(MAX_STALE_S + 1)
    told = house.call()
    assert (told.status, told.error["code"]) == (503, "not_ready")
    assert house.board.wires == []


def test_news_that_waited_with_the_calls_makes_the_rules_no_younger(house: House) -> None:
    """The answer to a question from before the sleep lies in the socket: it may be as old as the question."""
    house.loop.stall(MAX_STALE_S + 1)
    house.loop.turn()
    assert house.call().status == 503
    house.loop.advance(1.5)
    house.call()
    assert house.board.wires, "what was heard since is fresh"


def test_a_node_that_hears_from_the_control_plane_serves_for_ever(house: House) -> None:
    house.loop.advance(20 * MAX_STALE_S)
    house.call()
    assert house.board.wires
