"""A call's whole way, and every way in which it can end: one answer, one row, and nothing left held."""

import json
import os
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from keeptrusts.core.ledger.records import Close, Event, Reserve
from keeptrusts.core.limits.limit_set import LimitSet
from keeptrusts.core.link import Changes
from keeptrusts.core.money import usd
from keeptrusts.core.pricing.price import Price, Rates
from keeptrusts.core.routing.target import GroupModel, ModelGroup, Target
from keeptrusts.core.rulebook.rulebook import CacheRules
from keeptrusts.gateway.adoption import RETIRED_MARK
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
    SECRET,
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

HOLD = (len(ask()) + 32) * 150 + 25 * 600


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


def fail_writes(*_: object) -> int:
    raise OSError(28, "No space left on device")


# The good way


def test_a_call_is_reserved_on_disk_before_it_is_sent_and_has_its_row_before_its_answer(house: House) -> None:
    told = house.call(x_request_id="req-mine")
    [reserve] = [record for record in house.journaled() if isinstance(record, Reserve)]
    assert house.wire.written.startswith(b"POST /v1/chat/completions")
    assert (reserve.request_id, reserve.hold_nanos) == ("req-mine", HOLD)
    assert house.rows() == []
    house.wire.says(reply())
    assert told.status == 200
    assert told.recorded_at_end
    [row] = house.rows()
    assert (row.cost_nanos, row.status, row.served_model) == (COST, "ok", "gpt-4o-mini-2024-07-18")
    assert told.headers["x-keeptrusts-cost-usd"] == "0.000017100"
    house.settled()


def test_a_streams_end_waits_for_its_row(house: House) -> None:
    told = house.call(ask(stream=True))
    house.wire.says(STREAM_HEAD + chunk(SAID))
    assert told.body == SAID
    house.wire.says(chunk(BILL) + chunk(DONE) + END)
    assert told.status == 200
    assert told.recorded_at_end
    assert told.body == SAID + b": cost_usd=0.000017100\n\n" + DONE
    [row] = house.rows()
    assert row.cost_nanos == COST
    house.settled()


def test_a_request_is_not_sent_while_its_reserve_is_not_written(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full: the client hears 503, the provider nothing, whichever connection was to be used."""
    served = house.call()
    house.wire.says(reply())
    assert served.status == 200
    sent = [wire.written for wire in house.board.wires]
    with monkeypatch.context() as full:
        full.setattr(os, "write", fail_writes)
        for _ in range(3):
            told = house.call()
            assert (told.status, told.error["code"]) == (503, "journal_failed")
            assert "No space" not in told.body.decode()
            assert str(house.node.journal.directory) not in told.body.decode()
    assert b"".join(wire.written for wire in house.board.wires) == b"".join(sent)
    assert not house.node.ready
    house.settled()


def test_an_answer_whose_row_cannot_be_written_is_not_given(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sees an answer may rely on its row."""
    told = house.call()
    with monkeypatch.context() as full:
        full.setattr(os, "write", fail_writes)
        house.wire.says(reply())
    assert told.status == 503
    house.settled()


# The provider's faults


def refused_connection(house: House) -> Told:
    house.board.refuses = ConnectionRefusedError(111, "Connection refused")
    return house.call()


def reset(house: House) -> Told:
    told = house.call()
    house.wire.resets()
    return told


def reset_in_the_middle(house: House) -> Told:
    told = house.call()
    house.wire.says(reply()[:80])
    house.wire.resets()
    return told


def silence(house: House) -> Told:
    told = house.call()
    house.loop.advance(601.0)
    return told


def says(status: int, body: bytes = b"{}", **headers: str) -> Callable[[House], Told]:
    def scenario(house: House) -> Told:
        told = house.call()
        house.wire.says(answer(status, body, **headers))
        return told

    return scenario


def streams(*pieces: bytes, then: str = "") -> Callable[[House], Told]:
    def scenario(house: House) -> Told:
        told = house.call(ask(stream=True))
        house.wire.says(STREAM_HEAD)
        for piece in pieces:
            house.wire.says(piece)
        if then:
            getattr(house.wire, then)()
        return told

    return scenario


def broken_error(house: House) -> Told:
    told = house.call()
    house.wire.says(answer(500, b"x" * 100)[:-50])
    house.wire.resets()
    return told


ENDINGS: dict[str, tuple[Callable[[House], Told], int, str, str, int | None]] = {
    "no connection": (refused_connection, 502, "upstream_error", "void", 0),
    "reset": (reset, 502, "upstream_error", "indeterminate", HOLD),
    "reset in the middle": (reset_in_the_middle, 502, "upstream_error", "indeterminate", HOLD),
    "silence": (silence, 504, "upstream_error", "indeterminate", HOLD),
    "400": (says(400), 400, "upstream_error", "void", 0),
    "401": (says(401), 502, "upstream_error", "void", 0),
    "429": (says(429, retry_after="7"), 429, "upstream_error", "void", 0),
    "500": (says(500), 502, "upstream_error", "void", 0),
    "500 with a bill": (
        says(500, b'{"usage":{"prompt_tokens":14,"completion_tokens":25}}'),
        502,
        "upstream_error",
        "settled",
        COST,
    ),
    "202": (says(202), 502, "upstream_error", "indeterminate", HOLD),
    "a broken 500": (broken_error, 502, "upstream_error", "void", 0),
    "not JSON": (says(200, b"<html>"), 502, "upstream_error", "indeterminate", HOLD),
    "no usage": (says(200, b'{"choices":[{"message":{"content":"A book."}}]}'), 200, "ok", "settled", None),
    "usage that cannot be": (
        says(200, b'{"usage":{"prompt_tokens":-5,"completion_tokens":1}}'),
        200,
        "ok",
        "settled",
        None,
    ),
    "usage beyond all numbers": (
        says(200, b'{"usage":{"prompt_tokens":1%b,"completion_tokens":1}}' % (b"0" * 40)),
        200,
        "ok",
        "settled",
        None,
    ),
    "a stream that breaks": (streams(chunk(SAID), then="resets"), 200, "interrupted", "indeterminate", None),
    "a stream that ends early": (streams(chunk(SAID), END), 200, "interrupted", "indeterminate", None),
    "a stream that breaks after its bill": (
        streams(chunk(SAID + BILL), then="resets"),
        200,
        "interrupted",
        "settled",
        COST,
    ),
    "a stream without an end line": (streams(chunk(SAID + BILL + DONE[:-2]), END), 200, "ok", "settled", COST),
    "a stream that is no stream": (streams(chunk(b'{"a":1}'), END), 200, "interrupted", "indeterminate", None),
    "a stream of one endless event": (
        streams(*[chunk(b"x" * 500_000)] * 10),
        200,
        "interrupted",
        "indeterminate",
        None,
    ),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_however_its_provider_fails_a_call_has_one_answer_one_row_and_holds_nothing(house: House, ending: str) -> None:
    scenario, status, row_status, outcome, cost = ENDINGS[ending]
    told = scenario(house)
    assert told.status == status
    assert told.recorded_at_end
    [row] = house.rows()
    assert row.status == row_status
    [attempt] = row.attempts
    assert attempt.outcome == outcome
    assert attempt.cost_nanos <= attempt.hold_nanos
    assert cost is None or attempt.cost_nanos == cost
    if attempt.outcome == "indeterminate":
        assert attempt.cost_nanos == attempt.hold_nanos
    house.settled()
    house.board.refuses = None
    following = house.call()
    house.wire.says(reply())
    assert following.status == 200, "the next call is served as ever"


def test_a_bill_above_the_hold_is_booked_as_it_is(house: House) -> None:
    told = house.call()
    house.wire.says(reply({"prompt_tokens": 50_000, "completion_tokens": 9_000}))
    assert told.status == 200
    [row] = house.rows()
    assert row.cost_nanos == 50_000 * 150 + 9_000 * 600 > HOLD
    house.settled()


# Falling over


SPARE = Target("openai-spare", "openai", base_url="http://spare/v1")
TWO = ModelGroup("best", "cost-priority", (GroupModel("openai", "gpt-4o-mini", None, 1),))


@pytest.fixture
def pair(loop: HandLoop, tmp_path: Path) -> Iterator[House]:
    house = House(loop, tmp_path, with_rules(targets=(MAIN, SPARE), model_groups=(TWO,)))
    yield house
    house.stop()


def test_what_one_target_fails_the_next_serves_and_both_attempts_are_in_the_row(pair: House) -> None:
    told = pair.call(ask(model="best"))
    pair.wire.says(answer(500, b"{}"))
    pair.wire.says(reply())
    assert told.status == 200
    [row] = pair.rows()
    assert [(a.target, a.outcome) for a in row.attempts] == [("openai-main", "void"), ("openai-spare", "settled")]
    assert (row.settles, row.cost_nanos) == (1, COST)
    [closed] = [record for record in pair.journaled() if isinstance(record, Close)]
    assert closed.attempt == row.attempts[0]
    pair.settled()


def test_an_attempt_whose_outcome_nobody_knows_is_paid_beside_the_one_that_served(pair: House) -> None:
    pair.call(ask(model="best"))
    pair.wire.resets()
    pair.wire.says(reply())
    [row] = pair.rows()
    hold = row.attempts[0].hold_nanos
    assert row.cost_nanos == hold + COST
    pair.settled()
    assert pair.control.spent(TEAM) == hold + COST


def test_when_all_fail_the_last_answer_counts(pair: House) -> None:
    told = pair.call(ask(model="best"))
    pair.wire.says(answer(500, b"{}"))
    pair.wire.says(answer(429, b"{}"))
    assert told.status == 429
    [row] = pair.rows()
    assert len(row.attempts) == 2
    pair.settled()


def test_a_provider_that_tells_our_key_back_tells_it_to_nobody(pair: House) -> None:
    told = pair.call(ask(model="best"))
    pair.wire.says(answer(400, b'{"error":{"message":"sent: Bearer %b"}}' % SECRET.encode()))
    assert told.body == b'{"error":{"message":"sent: Bearer [key]"}}'


def test_what_the_client_caused_is_not_tried_elsewhere(pair: House) -> None:
    told = pair.call(ask(model="best"))
    pair.wire.says(answer(400, b'{"error":{"message":"no"}}'))
    assert (told.status, told.body) == (400, b'{"error":{"message":"no"}}')
    [row] = pair.rows()
    assert len(row.attempts) == 1


# Being broken off


def at_the_counter(house: House) -> Told:
    house.control.allocate(TEAM, HOLD + 10)
    house.loop.advance(0.1)
    house.call()
    return house.call()


def at_the_connection(house: House) -> Told:
    house.board.silent = True
    return house.call()


def before_the_answer(house: House) -> Told:
    return house.call()


def in_a_stream(house: House) -> Told:
    told = house.call(ask(stream=True))
    house.wire.says(STREAM_HEAD + chunk(SAID))
    return told


@pytest.mark.parametrize(
    ("place", "sent"),
    [(at_the_counter, False), (at_the_connection, False), (before_the_answer, True), (in_a_stream, True)],
)
def test_a_call_that_is_broken_off_anywhere_has_its_row_and_gives_its_hold_back(
    house: House, place: Callable[[House], Told], sent: bool
) -> None:
    """The gateway stops and its patience is over: what was sent is posted at the hold, what was not is free."""
    told = place(house)
    told.task.cancel()
    house.loop.turn()
    assert told.task.cancelled()
    row = house.rows()[-1]
    assert (row.status, row.reason) == ("interrupted", "gateway_stopped")
    costs = [attempt.cost_nanos for attempt in row.attempts]
    assert costs == ([row.attempts[0].hold_nanos] if sent else [0] if place is at_the_connection else [])
    if place is at_the_counter:
        house.wire.says(reply())
    house.settled()


def test_a_call_that_was_given_up_before_it_was_sent_is_never_sent(house: House) -> None:
    house.board.silent = True
    told = house.call()
    told.task.cancel()
    house.loop.turn()
    house.board.silent = False
    following = house.call()
    house.wire.says(reply())
    assert following.status == 200
    assert sum(wire.written.count(b"POST ") for wire in house.board.wires) == 1


def test_a_fault_of_our_own_after_the_reserve_ends_the_hold(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> bytes:
        raise ValueError("a bug")

    with monkeypatch.context() as patched:
        patched.setattr("keeptrusts.core.providers.straight.body_for", broken)
        told = house.call()
    assert (told.status, told.error["code"]) == (500, "internal_error")
    assert told.recorded_at_end
    [row] = house.rows()
    assert [attempt.outcome for attempt in row.attempts] == ["void"]
    house.settled()


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_cannot_be_written_to_leaves_a_row_and_no_hold(house: House, stream: bool) -> None:
    told = house.call(ask(stream=stream))
    told.gone = True
    house.wire.says(STREAM_HEAD + chunk(SAID) + chunk(BILL) + chunk(DONE) + END if stream else reply())
    house.loop.turn()
    with pytest.raises(OSError, match="gone"):
        told.task.result()
    assert len(house.rows()) == 1
    house.settled()


# Stopping


def test_a_node_that_stops_gives_everything_back_and_is_done(loop: HandLoop, tmp_path: Path) -> None:
    house = House(loop, tmp_path)
    house.call()
    house.wire.says(reply())
    house.stop()
    assert house.control.leased(TEAM) == 0
    assert house.control.spent(TEAM) == COST
    assert (house.node.journal.directory / RETIRED_MARK).exists()
    assert all(link.closed for link in house.links)


def test_a_node_that_stops_with_money_still_held_leaves_its_journal_to_the_next(loop: HandLoop, tmp_path: Path) -> None:
    """A call that nobody broke off in time: its row is missing, and only a recovery can write it."""
    house = House(loop, tmp_path)
    told = house.call(x_request_id="req-cut")
    house.stop()
    assert not (house.node.journal.directory / RETIRED_MARK).exists()
    assert house.control.leased(TEAM) == HOLD
    del told
    following = House(loop, tmp_path)
    assert following.node.ready
    following.stop()


def test_the_next_node_recovers_what_one_left(loop: HandLoop, tmp_path: Path) -> None:
    house = House(loop, tmp_path)
    house.call(x_request_id="req-cut")
    house.node.journal.close()
    following = House(loop, tmp_path)
    following.stop()
    [event] = following.control.events
    assert (event.request_id, event.status, event.cost_nanos) == ("req-cut", "recovered", HOLD)


def test_new_segments_know_the_nodes_leases(loop: HandLoop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keeptrusts.gateway.journal.SEGMENT_BYTES", 400)
    house = House(loop, tmp_path)
    for _ in range(5):
        house.call()
        house.wire.says(reply())
    [lease] = house.node.treasury.purse.open_leases()
    opening = [msgspec.msgpack.decode(record) for record in house.node._opening_records()]
    assert opening[0][0] == "boot"
    assert opening[1] == ["intent", lease.lease_id, TEAM]
    house.stop()


# Limits


def test_limits_survive_a_resync(loop: HandLoop, tmp_path: Path) -> None:
    """A control plane that was restored must not give everybody a fresh minute."""
    group = msgspec.structs.replace(GROUP, limits=LimitSet(requests_per_minute=1))
    house = House(loop, tmp_path, with_rules(groups=(group,)))
    house.call()
    house.wire.says(reply())
    house.control.changes_due = Changes(0, resync=True)
    house.control.seq += 1
    house.control.news.set()
    loop.turn()
    assert house.call().status == 429
    house.stop()


def test_a_provider_that_does_not_say_what_it_used_is_inside_the_token_limit(loop: HandLoop, tmp_path: Path) -> None:
    group = msgspec.structs.replace(GROUP, limits=LimitSet(tokens_per_minute=60))
    house = House(loop, tmp_path, with_rules(groups=(group,)))
    told = house.call()
    house.wire.resets()
    assert told.status == 502
    assert house.call().status == 429
    house.stop()


# Money


def test_the_refusal_names_the_budget_what_is_spent_and_what_it_could_cost(loop: HandLoop, tmp_path: Path) -> None:
    house = House(loop, tmp_path, budget=HOLD + 5)
    assert house.call().ended is False
    house.wire.says(reply())
    refused = house.call()
    loop.advance(3.0)
    assert refused.status == 402
    assert refused.error["message"] == "Budget exceeded for consumer group: marketing"
    details = json.loads(refused.body, parse_float=Decimal)["error"]["details"]
    assert (details["team"], details["budget"], details["spent"]) == ("marketing", usd(HOLD + 5), usd(COST))
    assert usd(HOLD + 5) - usd(COST) < details["estimated_cost"] <= usd(HOLD)
    assert refused.headers["x-should-retry"] == "false"
    row = house.rows()[-1]
    assert (row.status, row.cost_nanos, row.attempts) == ("blocked", None, ())
    house.settled()
    house.stop()


def test_a_call_is_counted_exactly_only_in_a_vocabulary_that_we_have(loop: HandLoop, tmp_path: Path) -> None:
    """Of another vocabulary our count may be too low, and the hold with it."""
    long_text = [{"role": "user", "content": "word " * 400}]
    other = Price("prc_other", "openai", "other-model", Rates(150_000, 600_000), max_output_tokens=100)
    house = House(loop, tmp_path, budget=100_000)
    house.control.prices = (*house.control.prices, other)
    house.node._use(loop.done(house.links[0].snapshot()), bytes(32))
    served = house.call(ask(messages=long_text))
    assert not served.ended, "counted, it fits"
    house.wire.says(reply())
    refused = house.call(ask(model="other-model", messages=long_text))
    loop.advance(3.0)
    assert refused.status == 402
    house.settled()
    house.stop()


def test_an_answer_without_usage_is_held_at_the_worst_where_it_cannot_be_counted(house: House) -> None:
    """A picture's tokens are in no text."""
    picture = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/y.png"}}]}]
    house.call(ask(messages=picture))
    house.wire.says(answer(200, b'{"choices":[{"message":{"content":"A cat."}}]}'))
    [row] = house.rows()
    [attempt] = row.attempts
    assert (attempt.outcome, attempt.cost_nanos) == ("indeterminate", attempt.hold_nanos)
    house.settled()


# The cache


def test_an_answer_is_kept_only_when_it_was_whole_and_priced(loop: HandLoop, tmp_path: Path) -> None:
    house = House(loop, tmp_path, with_rules(cache=CacheRules(enabled=True)))
    house.call()
    house.wire.says(answer(200, b'{"choices":[]}'))
    again = house.call()
    assert not again.ended, "asked again"
    house.wire.says(reply())
    kept = house.call()
    assert (kept.status, kept.headers["x-keeptrusts-cache"]) == (200, "hit")
    streamed = house.call(ask(stream=True))
    assert streamed.status == 200
    assert streamed.body.endswith(DONE)
    assert b"A book." in streamed.body
    assert [row.status for row in house.rows()] == ["ok", "ok", "cached", "cached"]
    assert house.rows()[-1].saved_nanos == COST
    house.settled()
    house.stop()


@pytest.mark.parametrize(
    "events",
    [
        b'data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":-1}]},"finish_reason":"stop"}]}\n\n',
        b'data: {"choices":[{"index":0,"delta":5,"finish_reason":"stop"},{"index":"x","finish_reason":"stop"}]}\n\n',
    ],
)
def test_a_stream_that_cannot_be_kept_is_relayed_all_the_same(loop: HandLoop, tmp_path: Path, events: bytes) -> None:
    house = House(loop, tmp_path, with_rules(cache=CacheRules(enabled=True)))
    told = house.call(ask(stream=True))
    house.wire.says(STREAM_HEAD + chunk(events + BILL + DONE) + END)
    assert told.body.startswith(events)
    assert told.body.endswith(DONE)
    assert [row.status for row in house.rows()] == ["ok"]
    house.settled()
    house.stop()


def test_an_answer_is_whole_though_the_gateway_went_stale_while_it_was_under_way(
    loop: HandLoop, tmp_path: Path
) -> None:
    house = House(loop, tmp_path, with_rules(cache=CacheRules(enabled=True), max_stale_s=3))
    told = house.call()
    house.control.down = True
    loop.advance(5.0)
    house.wire.says(reply())
    assert told.status == 200
    assert [row.status for row in house.rows()] == ["ok"]
    assert house.call().status == 503


# Secrets


def test_no_answer_log_line_or_row_holds_a_key(
    loop: HandLoop, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[bytes] = []
    records: list[Any] = []
    for number, (scenario, *_) in enumerate(ENDINGS.values()):
        house = House(loop, tmp_path / str(number))
        told = scenario(house)
        said.append(told.body + repr(told.started).encode())
        records += house.journaled()
        house.stop()
    house = House(loop, tmp_path / "keys")
    for key in (KEY[:-1], KEY + "x", "kt_gk_" + KEY, ""):
        told = house.call(x_consumer_group=key)
        assert told.status == 401
        said.append(told.body)
        if key:
            assert key.encode() not in told.body
    house.stop()
    everything = b"".join(said) + caplog.text.encode() + repr(records).encode()
    assert KEY.encode() not in everything
    assert SECRET.encode() not in everything
    assert b"kt_ak_operator" not in everything
    on_disk = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert KEY.encode() not in on_disk
    assert SECRET.encode() not in on_disk


def test_events_are_one_per_call_in_any_crowd(house: House) -> None:
    calls = [house.call() for _ in range(30)]
    for wire in list(house.board.wires):
        wire.says(reply())
    assert [told.status for told in calls] == [200] * 30
    assert len({row.call_id for row in house.rows()}) == len(house.rows()) == 30
    assert sum(isinstance(record, Event) for record in house.journaled()) == 30
    house.settled()


# A journal that the store does not take


def test_a_full_journal_admits_no_call_and_goes_on_by_itself(loop: HandLoop, tmp_path: Path) -> None:
    house = House(loop, tmp_path, with_rules(max_journal_bytes=300))
    served = house.call()
    house.wire.says(reply())
    assert served.status == 200
    house.settled()

    house.control.down = True
    late = house.call()
    house.wire.says(reply())
    assert late.status == 200, "what is admitted is finished"
    rows, wires = len(house.rows()), len(house.board.wires)
    refused = house.call()
    assert (refused.status, refused.error["code"]) == (503, "journal_full")
    assert int(refused.headers["retry-after"]) >= 1
    assert not house.node.ready
    assert (len(house.rows()), len(house.board.wires)) == (rows, wires), "nothing is written, held or sent"
    assert house.node.treasury.purse.held_nanos() == {}

    house.control.down = False
    loop.advance(5.0)
    assert house.node.ready
    again = house.call()
    house.wire.says(reply())
    assert again.status == 200
    house.settled()
    house.stop()


def test_the_row_of_an_attempt_says_what_the_provider_called_it(house: House) -> None:
    for status in (200, 500):
        house.call()
        body = reply() if status == 200 else answer(500, b"{}", x_request_id="req_theirs")
        house.wire.says(
            body.replace(b"content-length", b"x-request-id: req_theirs\r\ncontent-length") if status == 200 else body
        )
    assert [row.attempts[-1].given_id for row in house.rows()] == ["req_theirs", "req_theirs"]
