"""How a call goes on when targets fail: to the next, to the same again, past those that rest; and what it never does."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from keeptrusts.core.ledger.records import Close, Reserve
from keeptrusts.core.pricing.price import Price, Rates
from keeptrusts.core.routing.rules import BreakerRules, Failover, Retry, Routing
from keeptrusts.core.routing.target import GroupModel, ModelGroup, Target
from tests.gateway.hand_loop import HandLoop
from tests.gateway.house import (
    BILL,
    COST,
    DONE,
    END,
    GROUP,
    MAIN,
    SAID,
    STREAM_HEAD,
    House,
    Told,
    answer,
    ask,
    chunk,
    reply,
    with_rules,
)
from tests.gateway.wires import Wire

SPARE = Target("openai-spare", "openai", base_url="http://spare/v1")
BROKEN = answer(500, b"{}")


@pytest.fixture
def loop() -> Iterator[HandLoop]:
    loop = HandLoop()
    yield loop
    loop.close()
    assert loop.broken == []


Build = Callable[..., House]


@pytest.fixture
def build(loop: HandLoop, tmp_path: Path) -> Iterator[Build]:
    made: list[House] = []

    def build(*targets: Target, budget: int = 10**9, **rules: Any) -> House:
        fields = {name: rules.pop(name) for name in ("model_groups", "groups") if name in rules}
        house = House(loop, tmp_path, with_rules(targets=targets, routing=Routing(**rules), **fields), budget)
        made.append(house)
        return house

    yield build
    for house in made:
        house.settled()
        house.stop()


def waiting(house: House) -> Wire:
    """The connection on which the latest call waits for its answer."""
    wires = [wire for wire in house.board.wires if wire.protocol._exchange is not None and not wire.is_closing()]
    return max(wires, key=lambda wire: re.findall(rb"x-request-id: (\S+)", wire.written)[-1])


def served_by(house: House, body: bytes | None = None) -> str:
    """A call that is answered at once; who answered."""
    told = house.call(body)
    waiting(house).says(reply())
    assert told.status == 200
    return house.rows()[-1].attempts[-1].target


def fails(house: House, times: int = 1) -> Told:
    told = house.call()
    for _ in range(times):
        waiting(house).says(BROKEN)
    return told


def tried(house: House) -> list[tuple[str, str, str | None]]:
    return [(a.target, a.outcome, a.chosen) for a in house.rows()[-1].attempts]


# The next target


def test_a_rate_limited_target_gives_way_and_the_row_says_so(build: Build) -> None:
    house = build(MAIN, SPARE)
    told = house.call()
    waiting(house).says(answer(429, b"{}", retry_after="7"))
    waiting(house).says(reply())
    assert told.status == 200
    assert tried(house) == [("openai-main", "void", "cost-priority"), ("openai-spare", "settled", "fallback")]
    assert house.rows()[-1].cost_nanos == COST


def test_only_what_the_rules_name_makes_a_call_go_on(build: Build) -> None:
    house = build(MAIN, SPARE, failover=Failover(triggers=frozenset({"rate_limit"})))
    assert fails(house).status == 502
    told = house.call()
    waiting(house).says(answer(429, b"{}"))
    waiting(house).says(reply())
    assert told.status == 200


def test_fallbacks_are_bounded_and_may_be_off(build: Build) -> None:
    house = build(MAIN, SPARE, msgspec.structs.replace(SPARE, id="third"), failover=Failover(max_fallbacks=1))
    assert fails(house, 2).status == 502
    assert len(house.rows()[-1].attempts) == 2


def test_failover_that_is_off_makes_one_attempt(build: Build) -> None:
    house = build(MAIN, SPARE, failover=Failover(enabled=False))
    assert fails(house).status == 502


def test_a_stream_that_fails_before_its_first_byte_goes_on_and_after_it_never(build: Build) -> None:
    house = build(MAIN, SPARE)
    told = house.call(ask(stream=True))
    waiting(house).says(STREAM_HEAD)
    waiting(house).resets()
    waiting(house).says(STREAM_HEAD + chunk(SAID) + chunk(BILL) + chunk(DONE) + END)
    assert told.status == 200
    assert [outcome for _, outcome, _ in tried(house)] == ["indeterminate", "settled"]
    broken = house.call(ask(stream=True))
    waiting(house).says(STREAM_HEAD + chunk(SAID))
    waiting(house).resets()
    assert broken.ended
    assert len(house.rows()[-1].attempts) == 1
    assert house.rows()[-1].status == "interrupted"


def test_an_empty_stream_goes_on(build: Build) -> None:
    house = build(MAIN, SPARE)
    told = house.call(ask(stream=True))
    waiting(house).says(STREAM_HEAD + END)
    waiting(house).says(STREAM_HEAD + chunk(SAID) + chunk(BILL) + chunk(DONE) + END)
    assert told.status == 200
    assert len(house.rows()[-1].attempts) == 2


def test_what_one_provider_cannot_be_asked_another_may(build: Build) -> None:
    """Two answers to one question: Anthropic has no such thing. Nothing was sent there."""
    group = ModelGroup(
        "g", "ordered", (GroupModel("anthropic", "claude", None, 1), GroupModel("openai", "gpt-4o-mini", None, 2))
    )
    price = Price("v", "anthropic", "claude", Rates(1, 1), max_output_tokens=100)
    claude = Target("claude", "anthropic", base_url="http://claude", price=price)
    house = build(MAIN, claude, model_groups=(group,))
    told = house.call(ask(model="g", n=2))
    waiting(house).says(reply())
    assert told.status == 200
    assert [(target, outcome) for target, outcome, _ in tried(house)] == [
        ("claude", "void"),
        ("openai-main", "settled"),
    ]


def test_every_attempt_has_its_own_reserve_and_its_own_end(build: Build) -> None:
    house = build(MAIN, SPARE, failover=Failover(retry=Retry(max_attempts=2, base_delay_s=0.001)))
    told = house.call()
    for _ in range(3):
        waiting(house).says(BROKEN)
        house.loop.advance(0.1)
    waiting(house).says(reply())
    assert told.status == 200
    records = house.journaled()
    assert [r.attempt for r in records if isinstance(r, Reserve)] == [1, 2, 3, 4]
    assert [r.attempt.number for r in records if isinstance(r, Close)] == [1, 2, 3]
    assert [chosen for _, _, chosen in tried(house)] == ["cost-priority", "retry 1 of 1", "fallback", "retry 1 of 1"]


def test_an_answer_that_takes_too_long_in_all_is_broken_off_though_it_never_stops_coming(build: Build) -> None:
    bounded = msgspec.structs.replace(MAIN, total_timeout_s=10.0)
    house = build(bounded, SPARE)
    told = house.call()
    wire = waiting(house)
    wire.says(reply()[:60])
    for _ in range(11):
        house.loop.advance(1.0)
        if wire.is_closing():
            break
        wire.says(b" ")
    assert wire.is_closing()
    waiting(house).says(reply())
    assert told.status == 200
    [first, _] = house.rows()[-1].attempts
    assert (first.outcome, first.reason) == ("indeterminate", "the whole answer did not come in time")


# The same again


def retrying(**more: Any) -> Failover:
    return Failover(retry=Retry(**{"max_attempts": 3, "base_delay_s": 1.0, "max_delay_s": 4.0, **more}))


def test_a_single_target_is_tried_again_after_a_wait(build: Build) -> None:
    house = build(MAIN, failover=retrying())
    told = fails(house)
    assert not told.ended
    house.loop.advance(1.0)
    waiting(house).says(BROKEN)
    house.loop.advance(2.0)
    waiting(house).says(reply())
    assert told.status == 200
    assert [chosen for _, _, chosen in tried(house)] == [None, "retry 1 of 2", "retry 2 of 2"]
    assert house.rows()[-1].cost_nanos == COST


def test_the_provider_says_how_long_to_wait(build: Build) -> None:
    house = build(MAIN, failover=retrying())
    told = house.call()
    waiting(house).says(answer(429, b"{}", retry_after="3"))
    house.loop.advance(2.9)
    assert house.wire.written.count(b"POST ") == 1
    house.loop.advance(1.2)
    assert house.wire.written.count(b"POST ") == 2
    waiting(house).says(reply())
    assert told.status == 200


def test_one_that_asks_for_too_long_a_wait_is_not_tried_again(build: Build) -> None:
    house = build(MAIN, failover=retrying())
    told = house.call()
    waiting(house).says(answer(429, b"{}", retry_after="60"))
    assert (told.status, told.headers["retry-after"]) == (429, "60")


def test_no_attempt_begins_after_the_time_for_all_of_them(build: Build) -> None:
    house = build(MAIN, failover=retrying(timeout_s=2.0))
    told = house.call()
    house.loop.advance(3.0)
    waiting(house).says(BROKEN)
    assert told.status == 502


def test_retries_end_when_their_budget_is_spent(build: Build) -> None:
    house = build(MAIN, failover=retrying(max_attempts=2, budget=0.0), breaker=None)
    attempts = Counter[int]()
    for _ in range(12):
        told = fails(house)
        if not told.ended:
            house.loop.advance(1.0)
            waiting(house).says(BROKEN)
        assert told.status == 502
        attempts[len(house.rows()[-1].attempts)] += 1
    assert attempts == {2: 10, 1: 2}


def test_what_the_client_caused_is_not_tried_again(build: Build) -> None:
    house = build(MAIN, failover=retrying())
    told = house.call()
    waiting(house).says(answer(400, b"{}"))
    assert told.status == 400


def test_a_key_that_the_provider_refuses_is_not_tried_again_there(build: Build) -> None:
    house = build(MAIN, SPARE, failover=retrying())
    told = house.call()
    waiting(house).says(answer(401, b"{}"))
    waiting(house).says(reply())
    assert told.status == 200
    assert [target for target, _, _ in tried(house)] == ["openai-main", "openai-spare"]


def test_a_call_that_is_broken_off_while_it_waits_keeps_its_row(build: Build) -> None:
    house = build(MAIN, failover=retrying(base_delay_s=4.0))
    told = house.call()
    waiting(house).resets()
    told.task.cancel()
    house.loop.turn()
    [row] = house.rows()
    assert (row.status, row.settles, len(row.attempts)) == ("interrupted", 0, 1)
    assert row.cost_nanos == row.attempts[0].hold_nanos


# Targets that rest


QUICK = BreakerRules(failure_threshold=2, cooldown_s=10.0)


def test_a_target_that_fails_in_a_row_rests_and_comes_back(build: Build) -> None:
    house = build(MAIN, SPARE, breaker=QUICK)
    for _ in range(2):
        told = house.call()
        waiting(house).says(BROKEN)
        waiting(house).says(reply())
        assert told.status == 200
    assert served_by(house) == "openai-spare"
    assert tried(house) == [("openai-spare", "settled", "cost-priority; openai-main rests")]
    house.loop.advance(10.0)
    assert served_by(house) == "openai-main"
    assert served_by(house) == "openai-main"


def test_a_half_open_target_gets_one_call_at_a_time(build: Build) -> None:
    house = build(MAIN, SPARE, breaker=QUICK)
    for _ in range(2):
        house.call()
        waiting(house).says(BROKEN)
        waiting(house).says(reply())
    house.loop.advance(10.0)
    house.call()
    probe = waiting(house)
    assert served_by(house) == "openai-spare"
    probe.says(reply())
    assert served_by(house) == "openai-main"


def test_when_all_rest_the_one_that_rested_longest_is_tried_once(build: Build) -> None:
    house = build(MAIN, SPARE, breaker=BreakerRules(failure_threshold=1, cooldown_s=100.0))
    assert fails(house, 2).status == 502
    assert fails(house).status == 502
    assert tried(house) == [("openai-main", "void", "all targets rest")]
    assert served_by(house) == "openai-main", "what was tried for want of another may close its breaker"
    assert served_by(house) == "openai-main"


def test_what_the_client_causes_opens_no_breaker(build: Build) -> None:
    house = build(MAIN, SPARE, breaker=BreakerRules(failure_threshold=1))
    for status in (400, 404, 422, 429):
        told = house.call()
        waiting(house).says(answer(status, b"{}"))
        if status == 429:
            waiting(house).says(reply())
        assert told.ended
    assert served_by(house) == "openai-main"


def test_a_target_that_asks_for_a_pause_gets_one_for_that_model(build: Build) -> None:
    group = ModelGroup("big", "ordered", (GroupModel("openai", "gpt-4o", None, 1),))
    house = build(MAIN, SPARE, model_groups=(group,))
    told = house.call()
    waiting(house).says(answer(429, b"{}", retry_after="30"))
    waiting(house).says(reply())
    assert told.status == 200
    assert served_by(house) == "openai-spare"
    assert tried(house)[0][2] == "cost-priority; openai-main is rate limited"
    assert served_by(house, ask(model="big")) == "openai-main"
    house.loop.advance(30.0)
    assert served_by(house) == "openai-main"


def test_a_key_that_the_provider_refuses_opens_the_breaker(build: Build) -> None:
    house = build(MAIN, SPARE, breaker=BreakerRules(failure_threshold=1))
    told = house.call()
    waiting(house).says(answer(401, b"{}"))
    waiting(house).says(reply())
    assert told.status == 200
    assert served_by(house) == "openai-spare"


def test_a_call_that_is_broken_off_says_nothing_of_its_target(build: Build) -> None:
    house = build(MAIN, SPARE, breaker=BreakerRules(failure_threshold=1))
    told = house.call()
    told.task.cancel()
    house.loop.turn()
    assert house.node.targets.ready["openai-main"].state.in_flight == 0
    assert served_by(house) == "openai-main"


def test_a_target_is_never_left_busy(build: Build) -> None:
    house = build(MAIN, SPARE)
    fails(house, 2)
    served_by(house)
    house.call()
    waiting(house).resets()
    waiting(house).says(answer(400, b"{}"))
    state = house.node.targets.ready["openai-main"].state
    assert (state.in_flight, state.begun, state.served, state.failed) == (0, 3, 1, 2)
    assert house.node.targets.ready["openai-spare"].state.in_flight == 0


# Strategies


def split(*weights: float) -> ModelGroup:
    entries = tuple(
        GroupModel("openai", "gpt-4o-mini", None, 1, weight, target.id)
        for weight, target in zip(weights, (MAIN, SPARE), strict=True)
    )
    return ModelGroup("split", "weighted", entries)


def test_weights_show_in_who_serves(build: Build) -> None:
    house = build(MAIN, SPARE, model_groups=(split(3, 1),))
    seen = Counter(served_by(house, ask(model="split")) for _ in range(200))
    assert 120 <= seen["openai-main"] <= 178
    assert house.rows()[-1].attempts[0].chosen == "weighted"


def test_turns_are_shared_by_all_callers_of_a_name(build: Build) -> None:
    other = msgspec.structs.replace(GROUP, name="other", api_key="kt_cg_another-secret-of-a-client")
    house = build(MAIN, SPARE, strategy="round-robin", groups=(GROUP, other))
    seen = []
    for key in ("kt_cg_another-secret-of-a-client", GROUP.api_key, "kt_cg_another-secret-of-a-client", GROUP.api_key):
        told = house.call(ask(), x_consumer_group=str(key))
        waiting(house).says(reply())
        assert told.status == 200
        seen.append(house.rows()[-1].attempts[0].target)
    assert seen == ["openai-main", "openai-spare", "openai-main", "openai-spare"]


def test_the_least_busy_target_gets_the_call(build: Build) -> None:
    house = build(MAIN, SPARE, strategy="least-busy")
    house.call()
    slow = waiting(house)
    first = "openai-main" if house.node.targets.ready["openai-main"].state.in_flight else "openai-spare"
    assert served_by(house) != first
    slow.says(reply())


def test_the_fastest_target_gets_the_call_once_both_are_known(build: Build) -> None:
    house = build(MAIN, SPARE, strategy="lowest-latency")
    for _ in range(2):
        house.call()
        slow = house.node.targets.ready["openai-main"].state.in_flight
        house.loop.advance(2.0 if slow else 0.5)
        waiting(house).says(reply())
    assert [served_by(house) for _ in range(3)] == ["openai-spare"] * 3
    house.loop.advance(301.0)
    assert "openai-main" in {served_by(house) for _ in range(2)}, "what is long ago is found out again"


# Whose list it is


def test_a_key_for_a_member_calls_a_group_for_that_member_alone(build: Build) -> None:
    group = ModelGroup(
        "best",
        "ordered",
        (GroupModel("openai", "gpt-4o", None, 1), GroupModel("openai", "gpt-4o-mini", None, 2)),
        ("top",),
    )
    narrow = msgspec.structs.replace(GROUP, allowed_models=frozenset({"gpt-4o-mini"}))
    house = build(MAIN, model_groups=(group,), groups=(narrow,))
    for name in ("best", "top"):
        assert served_by(house, ask(model=name)) == "openai-main"
        assert house.rows()[-1].model == "gpt-4o-mini"
    refused = house.call(ask(model="gpt-4o"))
    assert (refused.status, refused.error["code"]) == (403, "model_not_allowed")


def test_no_member_allowed_is_no_call(build: Build) -> None:
    group = ModelGroup("gpt-4o-mini-and-more", "ordered", (GroupModel("openai", "gpt-4o", None, 1),))
    narrow = msgspec.structs.replace(GROUP, allowed_models=frozenset({"gpt-4o-mini"}))
    house = build(MAIN, model_groups=(group,), groups=(narrow,))
    told = house.call(ask(model="gpt-4o-mini-and-more"))
    assert (told.status, told.error["code"]) == (403, "model_not_allowed")
