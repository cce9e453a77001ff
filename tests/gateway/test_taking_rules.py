"""New rules while calls go on: who is under way keeps theirs, who comes has the new ones, and nothing of the old ones stays."""

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from keeptrusts.core.identity.attribution import Attribution
from keeptrusts.core.identity.gateway_key import KeyRecord
from keeptrusts.core.limits.limit_set import LimitSet
from keeptrusts.core.link import Changes
from keeptrusts.core.routing.target import Target
from keeptrusts.core.rulebook.rulebook import ConsumerGroup, Rulebook
from keeptrusts.gateway.taking_rules import take_rules
from keeptrusts.gateway.targets import Answer
from tests.gateway.hand_loop import HandLoop
from tests.gateway.house import BILL, COST, DONE, END, GROUP, MAIN, STREAM_HEAD, House, ask, chunk, reply, with_rules

OTHER = Target("openai-other", "openai", base_url="http://other/v1", secret_env="PROVIDER_KEY")


@pytest.fixture
def loop() -> Iterator[HandLoop]:
    loop = HandLoop()
    yield loop
    loop.close()
    assert loop.broken == []


@pytest.fixture
def house(loop: HandLoop, tmp_path: Path) -> Iterator[House]:
    house = House(loop, tmp_path)
    yield house
    house.stop()


def take(house: House, rules: Rulebook) -> tuple[str, ...]:
    return house.loop.done(take_rules(house.node, rules))


def test_a_stream_under_way_outlives_its_target(house: House):
    call = house.call(ask(stream=True))
    wire = house.wire
    wire.says(STREAM_HEAD)
    take(house, with_rules(targets=(OTHER,)))
    wire.says(chunk(BILL) + chunk(DONE) + END)
    assert call.ended
    [row] = house.rows()
    assert (row.status, row.cost_nanos) == ("ok", COST)
    house.settled()
    assert wire.is_closing(), "the connection goes with its call"
    after = house.call()
    assert house.wire is not wire
    house.wire.says(reply())
    assert after.status == 200


def test_idle_connections_of_a_target_that_is_gone_are_closed_and_others_are_kept(house: House):
    house.call()
    house.wire.says(reply())
    wire = house.wire
    take(house, with_rules(targets=(MAIN, OTHER)))
    assert not wire.is_closing(), "an unchanged target keeps its connections"
    take(house, with_rules(targets=(OTHER,)))
    house.loop.turn()
    assert wire.is_closing()


def test_a_call_that_waits_for_money_may_still_use_the_target_it_had(house: House):
    old = house.node.edition()
    take(house, with_rules(targets=(OTHER,)))

    async def sent() -> Answer:
        return old.targets[MAIN.id].send("/chat/completions", b"", b"{}", b"req_1", True, house.node.journal)

    answer = house.loop.done(sent())
    house.wire.says(reply())
    assert answer.status == 200
    house.loop.turn()
    assert house.wire.is_closing()


def test_old_editions_are_forgotten(house: House):
    seen = weakref.ref(house.node.edition())
    shelved = weakref.ref(house.node.edition().targets[MAIN.id])
    house.call()
    house.wire.says(reply())
    for number in range(20):
        take(house, with_rules(targets=(OTHER if number % 2 else MAIN,), hold_wait_s=number + 1))
    house.loop.advance(2.0)
    gc.collect()
    assert seen() is None
    assert shelved() is None


def test_what_was_used_of_a_limit_stays_used(loop: HandLoop, tmp_path: Path):
    house = House(
        loop, tmp_path, with_rules(groups=(ConsumerGroup("g", GROUP.api_key, GROUP.wallet_team_id, LimitSet(2)),))
    )
    house.call()
    house.wire.says(reply())
    narrower = ConsumerGroup("g", GROUP.api_key, GROUP.wallet_team_id, LimitSet(1))
    take(house, with_rules(groups=(narrower,)))
    assert house.call().status == 429
    house.stop()


def test_issued_keys_are_known_after_the_change(loop: HandLoop, tmp_path: Path):
    house = House(loop, tmp_path)
    callers = house.node.edition().callers
    record = KeyRecord(
        "tok_1", callers.digest(b"kt_gk_one").hex(), "one", "active", None, None, None, Attribution(), None
    )
    house.control.seq = 1
    house.control.changes_due = Changes(1, keys=(record,))
    house.control.news.set()
    loop.turn()
    take(house, with_rules(hold_wait_s=7))
    caller = house.node.edition().callers.find(b"kt_gk_one")
    assert caller is not None
    assert caller.key_id == "tok_1"
    assert house.node.edition().callers is not callers
    house.stop()


def test_the_control_plane_hears_of_groups_before_calls_go_by_them(house: House):
    take(house, with_rules(groups=(GROUP, ConsumerGroup("sales"))))
    assert [group.name for group in house.control.introduced[-1].groups] == ["marketing", "sales"]


def test_what_cannot_be_told_now_is_told_later(house: House):
    house.control.down = True
    take(house, with_rules(groups=(GROUP, ConsumerGroup("sales"))))
    assert house.control.introduced == []
    house.control.down = False
    house.loop.advance(5.0)
    assert len(house.control.introduced) == 1
    house.loop.advance(5.0)
    assert len(house.control.introduced) == 1


def test_a_gateway_that_waits_for_its_control_plane_opens_with_the_new_rules(loop: HandLoop, tmp_path: Path):
    house = House(loop, tmp_path)
    house.node._edition = None
    take(house, with_rules(max_body_bytes=2_048))
    house.control.seq += 1
    house.control.changes_due = Changes(house.control.seq, resync=True)
    house.control.news.set()
    loop.turn()
    assert house.node.edition().rulebook.max_body_bytes == 2_048
    house.stop()
