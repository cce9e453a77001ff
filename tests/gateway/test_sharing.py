"""Equal calls at once are bought once, and a call that is repeated under its Idempotency-Key is not paid for twice:
whatever happens to the one that goes first, each has its one answer, its one row, and nothing is left held."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from keeptrusts.core.rulebook.rulebook import CacheRules, ConsumerGroup, Embedder
from keeptrusts.gateway.flights import ClientGone, Flight, Landing
from keeptrusts.gateway.meaning import MAX_WAIT_S
from keeptrusts.gateway.repeats import REMEMBER_S
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
    TEAM,
    House,
    Told,
    answer,
    ask,
    chunk,
    reply,
    with_rules,
)

CACHING = CacheRules(enabled=True, max_wait_s=30)


@pytest.fixture
def loop() -> Iterator[HandLoop]:
    loop = HandLoop()
    yield loop
    loop.close()
    assert loop.broken == []


@pytest.fixture
def house(loop: HandLoop, tmp_path: Path) -> Iterator[House]:
    house = House(loop, tmp_path, with_rules(cache=CACHING))
    yield house
    house.stop()


@pytest.fixture
def plain(loop: HandLoop, tmp_path: Path) -> Iterator[House]:
    """Without a cache."""
    house = House(loop, tmp_path)
    yield house
    house.stop()


def sent(house: House) -> int:
    """How many requests the provider got."""
    return sum(wire.written.count(b"POST ") for wire in house.board.wires)


def how(told: Told) -> str:
    return told.headers["x-keeptrusts-cache"]


def test_equal_calls_at_once_are_bought_once(house: House) -> None:
    calls = [house.call() for _ in range(20)] + [house.call(ask(stream=True)) for _ in range(10)]
    assert sent(house) == 1
    house.wire.says(reply())
    assert [told.status for told in calls] == [200] * 30
    assert [how(told) for told in calls] == ["miss"] + ["coalesced"] * 29
    assert all(told.recorded_at_end for told in calls)
    rows = house.rows()
    assert len(rows) == 30
    assert sum(row.cost_nanos or 0 for row in rows) == COST
    assert sum(row.saved_nanos for row in rows) == 29 * COST
    assert sent(house) == 1
    house.settled()


def test_a_stream_is_bought_once_for_those_that_want_it_whole_too(house: House) -> None:
    first, second, whole = house.call(ask(stream=True)), house.call(ask(stream=True)), house.call()
    house.wire.says(STREAM_HEAD + chunk(SAID))
    assert first.body == SAID
    assert not second.started
    stop = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    house.wire.says(chunk(stop + BILL + DONE) + END)
    assert (first.status, second.status, whole.status) == (200, 200, 200)
    assert b"A book." in second.body
    assert second.body.endswith(DONE)
    assert b"A book." in whole.body
    assert sent(house) == 1
    house.settled()


def test_when_the_first_fails_the_next_goes_and_nobody_is_stranded(house: House) -> None:
    calls = [house.call() for _ in range(3)]
    house.wire.says(answer(500, b"{}"))
    assert calls[0].status == 502
    assert not calls[1].ended
    assert sent(house) == 2
    house.wire.says(reply())
    assert [told.status for told in calls[1:]] == [200, 200]
    assert [how(told) for told in calls[1:]] == ["miss", "coalesced"]
    house.settled()


def test_a_first_caller_that_hangs_up_strands_nobody(house: House) -> None:
    first, second = house.call(ask(stream=True)), house.call(ask(stream=True))
    first.gone = True
    house.wire.says(STREAM_HEAD + chunk(SAID))
    assert sent(house) == 2, "the second goes for itself"
    house.wire.says(STREAM_HEAD + chunk(SAID + BILL + DONE) + END)
    assert second.status == 200
    house.settled()


def test_answers_that_cannot_be_shared_keep_nobody_waiting_in_line(house: House) -> None:
    """An answer that is cut off by the provider's own limit is told to whoever bought it; the others go at once, all."""
    body = ask(max_tokens=None)
    calls = [house.call(body) for _ in range(4)]
    cut = {"index": 0, "message": {"role": "assistant", "content": "A"}, "finish_reason": "length"}
    house.wire.says(reply(choices=[cut]))
    assert calls[0].status == 200
    assert sent(house) == 4
    for wire in list(house.board.wires):
        wire.says(reply(choices=[cut]))
    assert [told.status for told in calls] == [200] * 4
    assert [row.cost_nanos for row in house.rows()] == [COST] * 4
    house.settled()


def test_nobody_waits_longer_than_the_rules_say(loop: HandLoop, house: House) -> None:
    first, second = house.call(), house.call()
    loop.advance(31.0)
    assert sent(house) == 2
    for wire in list(house.board.wires):
        wire.says(reply())
    assert (first.status, second.status) == (200, 200)
    assert [row.cost_nanos for row in house.rows()] == [COST, COST]
    house.settled()


def test_who_asks_for_a_fresh_answer_does_not_wait_and_leaves_it_for_others(house: House) -> None:
    house.call()
    fresh = house.call(cache_control="no-cache")
    assert sent(house) == 2
    for wire in list(house.board.wires):
        wire.says(reply())
    assert how(fresh) == "miss"
    alone = house.call(cache_control="no-store")
    assert sent(house) == 3
    house.wire.says(reply())
    assert "x-keeptrusts-cache" not in alone.headers
    assert how(house.call()) == "hit"
    house.settled()


def test_who_hangs_up_while_he_waits_leaves_and_is_not_sent(loop: HandLoop) -> None:
    async def scenario() -> Any:
        flight = Flight()
        try:
            return await flight.wait(lambda: True, None)
        except ClientGone:
            return "gone"

    task = loop.do(scenario())
    loop.advance(1.1)
    assert task.result() == "gone"


def test_a_flight_lands_once(loop: HandLoop) -> None:
    async def scenario() -> Any:
        flight = Flight()
        flight.land(Landing.OWN)
        flight.land(Landing.FAILED)
        return await flight.wait(lambda: False, None)

    assert loop.done(scenario()) is Landing.OWN


# Idempotency-Key


def test_a_repeat_joins_the_call_under_way_and_later_is_told_its_answer(plain: House) -> None:
    first, joined = plain.call(idempotency_key="k1"), plain.call(idempotency_key="k1")
    other = plain.call(idempotency_key="k2")
    assert sent(plain) == 2
    plain.board.wires[0].says(reply())
    plain.board.wires[1].says(reply())
    later = plain.call(idempotency_key="k1")
    assert [told.status for told in (first, joined, other, later)] == [200] * 4
    assert first.body == joined.body == later.body
    assert (how(joined), how(later), joined.headers["idempotent-replayed"]) == ("replay", "replay", "true")
    assert "x-keeptrusts-cache" not in first.headers
    replays = [row for row in plain.rows() if row.reason == "idempotent_replay"]
    assert [(row.cost_nanos, row.cache_hit, row.saved_nanos) for row in replays] == [(0, False, 0)] * 2
    assert sum(row.cost_nanos or 0 for row in plain.rows()) == 2 * COST
    plain.settled()


def test_a_stream_is_told_again_as_a_stream(plain: House) -> None:
    body = ask(stream=True, stream_options={"include_usage": True})
    plain.call(body, idempotency_key="k")
    stop = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"length"}]}\n\n'
    plain.wire.says(STREAM_HEAD + chunk(SAID + stop + BILL + DONE) + END)
    again = plain.call(body, idempotency_key="k")
    assert b"A book." in again.body
    assert b'"completion_tokens":25' in again.body
    assert again.body.endswith(DONE)
    plain.settled()


def test_another_request_under_the_same_key_is_a_conflict(plain: House) -> None:
    plain.call(idempotency_key="k")
    told = plain.call(ask(temperature=1), idempotency_key="k")
    assert (told.status, told.error["code"]) == (422, "idempotency_conflict")
    plain.wire.says(reply())
    assert plain.call(ask(temperature=1), idempotency_key="k").status == 422
    assert plain.call(idempotency_key="x" * 256).status == 400
    plain.settled()


def test_a_repeat_of_a_refused_call_under_way_is_refused_alike_and_later_tried_again(plain: House) -> None:
    first, joined = plain.call(idempotency_key="k"), plain.call(idempotency_key="k")
    plain.wire.says(answer(500, b"{}"))
    assert (first.status, joined.status) == (502, 502)
    assert sent(plain) == 1
    again = plain.call(idempotency_key="k")
    assert sent(plain) == 2
    plain.wire.says(reply())
    assert again.status == 200
    plain.settled()


def test_after_ten_minutes_it_is_a_new_call(loop: HandLoop, plain: House) -> None:
    plain.call(idempotency_key="k")
    plain.wire.says(reply())
    loop.advance(REMEMBER_S + 1)
    plain.call(idempotency_key="k")
    assert sent(plain) == 2
    plain.wire.says(reply())
    plain.settled()


def test_a_replayed_hit_of_the_cache_is_still_a_replay(house: House) -> None:
    house.call()
    house.wire.says(reply())
    assert how(house.call(idempotency_key="k")) == "hit"
    assert how(house.call(idempotency_key="k")) == "replay"
    assert how(house.call(idempotency_key="k", cache_control="no-store")) == "replay"
    house.settled()


# In other words


def worded(text: str, **more: Any) -> bytes:
    return ask(messages=[{"role": "user", "content": text}], **more)


@pytest.fixture
def near(loop: HandLoop, tmp_path: Path) -> Iterator[House]:
    house = House(loop, tmp_path, with_rules(cache=CacheRules(enabled=True, threshold=0.8, ttl_s=100)))
    yield house
    house.stop()


def test_the_same_question_in_other_words_is_given_the_same_answer(loop: HandLoop, near: House) -> None:
    near.call(worded("What is the capital of France?"))
    near.wire.says(reply())
    other = near.call(worded("Please tell me, what's the capital of France"))
    assert (other.status, how(other)) == (200, "semantic")
    assert near.rows()[-1].reason == "semantic_hit"
    assert (near.rows()[-1].cost_nanos, near.rows()[-1].saved_nanos) == (0, COST)
    assert how(near.call(worded("Please tell me, what's the capital of France"))) == "hit"
    assert how(near.call(worded("what's the capital of FRANCE", stream=True))) == "semantic"
    assert sent(near) == 1
    for body in (
        worded("What is the capital of Germany?"),
        worded("What's the capital of France", temperature=1),
        worded("What's the capital of France", tools=[]),
    ):
        asked = near.call(body)
        near.wire.says(reply())
        assert how(asked) == "miss"
    loop.advance(101.0)
    near.call(worded("The capital of France is what?"))
    assert near.call(worded("what is the capital of france!")).started == {}
    for wire in list(near.board.wires):
        wire.says(reply())
    near.settled()


def test_other_words_of_another_team_are_its_own(loop: HandLoop, tmp_path: Path) -> None:
    other = ConsumerGroup("sales", api_key="kt_cg_another-clients-secret", wallet_team_id=TEAM + "2")
    rules = with_rules(cache=CacheRules(enabled=True, threshold=0.5), groups=(GROUP, other), wallet_enforcement=False)
    house = House(loop, tmp_path, rules)
    house.call(worded("What is our margin?"))
    house.wire.says(reply())
    assert how(house.call(worded("what's our margin"))) == "semantic"
    theirs = house.call(worded("what is our margin"), x_consumer_group=other.api_key or "")
    assert sent(house) == 2
    house.wire.says(reply())
    assert how(theirs) == "miss"
    house.stop()


def test_a_group_can_be_kept_out(loop: HandLoop, tmp_path: Path) -> None:
    house = House(loop, tmp_path, with_rules(cache=CacheRules(enabled=True, without=frozenset({GROUP.name}))))
    for _ in range(2):
        told = house.call()
        house.wire.says(reply())
        assert "x-keeptrusts-cache" not in told.headers
    house.settled()
    house.stop()


# By what it means


@pytest.fixture
def meaning(loop: HandLoop, tmp_path: Path) -> Iterator[House]:
    rules = CacheRules(enabled=True, threshold=0.95, embedder=Embedder(MAIN.id, "gpt-4o-mini"))
    house = House(loop, tmp_path, with_rules(cache=rules))
    yield house
    house.stop()


def vector(*numbers: float, **more: Any) -> bytes:
    body = {"object": "list", "model": "m", "data": [{"index": 0, "embedding": numbers}], "usage": {"prompt_tokens": 7}}
    return answer(200, json.dumps({**body, **more}).encode())


EMBEDDED = 7 * 150


def test_a_question_is_found_by_what_it_means_and_its_vector_is_in_the_books(meaning: House) -> None:
    bought = meaning.call(worded("What is the capital of France?"))
    assert meaning.wire.written.startswith(b"POST /v1/embeddings ")
    meaning.wire.says(vector(1.0, 0.0))
    assert b"POST /v1/chat/completions " in meaning.wire.written
    meaning.wire.says(reply())
    assert how(bought) == "miss"
    found = meaning.call(worded("Which city is the French seat of government?"))
    meaning.wire.says(vector(2.0, 0.02))
    assert (how(found), found.headers["x-keeptrusts-cost-usd"]) == ("semantic", "0.000001050")
    again = meaning.call(worded("Which city is the French seat of government?"))
    assert how(again) == "hit", "an equal question needs no vector"
    first, hit, equal = meaning.rows()
    assert [attempt.cost_nanos for attempt in first.attempts] == [EMBEDDED, COST]
    assert (first.cost_nanos, first.status) == (EMBEDDED + COST, "ok")
    assert (hit.status, hit.cost_nanos, hit.saved_nanos, hit.reason) == (
        "cached",
        EMBEDDED,
        COST - EMBEDDED,
        "semantic_hit",
    )
    assert (equal.cost_nanos, equal.attempts) == (0, ())
    meaning.settled()


def test_questions_that_mean_something_else_or_differ_in_a_number_are_bought(meaning: House) -> None:
    meaning.call(worded("Tell me 3 cities."))
    meaning.wire.says(vector(1.0, 0.0))
    meaning.wire.says(reply())
    for text, found in (
        ("Tell me 4 cities.", (1.0, 0.0)),
        ("Do not tell me 3 cities.", (1.0, 0.0)),
        ("Say 3.", (0.0, 1.0)),
    ):
        told = meaning.call(worded(text))
        meaning.wire.says(vector(*found))
        meaning.wire.says(reply())
        assert how(told) == "miss", text
    meaning.settled()


@pytest.mark.parametrize(
    "said",
    [
        answer(500, b"{}"),
        answer(429, b"{}"),
        answer(200, b"{}"),
        vector(),
        vector(1.0, data=[]),
        vector(0.0, 0.0),
        answer(200, vector(1.0).partition(b"\r\n\r\n")[2].replace(b"1.0", b"1e308, 1e308")),
        vector(0.5, usage=None),
    ],
    ids=["error", "limited", "nonsense", "no-numbers", "no-vector", "nowhere", "endless", "no-usage"],
)
def test_a_call_goes_on_whatever_becomes_of_its_vector(meaning: House, said: bytes) -> None:
    told = meaning.call(worded("What is the capital of France?"))
    meaning.wire.says(said)
    meaning.wire.says(reply())
    assert how(told) == "miss"
    [row] = meaning.rows()
    assert len(row.attempts) == 2
    assert row.attempts[1].cost_nanos == COST
    meaning.settled()


def test_a_call_does_not_wait_long_for_its_vector(loop: HandLoop, meaning: House) -> None:
    told = meaning.call(worded("What is the capital of France?"))
    loop.advance(MAX_WAIT_S + 0.5)
    meaning.wire.says(reply())
    assert how(told) == "miss"
    [row] = meaning.rows()
    assert row.attempts[0].outcome == "indeterminate"
    meaning.settled()


def test_without_money_for_a_vector_an_equal_question_is_still_answered(loop: HandLoop, tmp_path: Path) -> None:
    rules = CacheRules(enabled=True, threshold=0.95, embedder=Embedder(MAIN.id, "gpt-4o-mini"))
    house = House(loop, tmp_path, with_rules(cache=rules, reserve_wait_ms=10))
    house.call(worded("What is the capital of France?"))
    house.wire.says(vector(1.0, 0.0))
    house.wire.says(reply())
    house.control.allocate(TEAM, 0)
    loop.advance(3.0)
    assert how(house.call(worded("What is the capital of France?"))) == "hit"
    other = house.call(worded("France's capital?"))
    loop.advance(3.0)
    assert other.status == 402
    house.settled()
    house.stop()
