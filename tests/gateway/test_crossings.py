"""Where two rules meet in one call, each must still hold: kept answers and revoked keys, fallbacks and policies, and the like."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from keeptrusts.core.calls.chat import parse_chat
from keeptrusts.core.limits.limit_set import LimitSet
from keeptrusts.core.limits.quotas import quotas_of
from keeptrusts.core.limits.rules import LimitRules, Scoped
from keeptrusts.core.pricing.pieces import ImagePrice, Pieces
from keeptrusts.core.pricing.price import Price, Rates
from keeptrusts.core.routing.target import Target
from keeptrusts.core.rulebook.rulebook import CacheRules, ConsumerGroup, Embedder, Policy
from keeptrusts.gateway.limiting import estimate
from keeptrusts.gateway.taking_rules import take_rules
from tests.gateway.fake_control import BIG, MINI
from tests.gateway.hand_loop import HandLoop
from tests.gateway.house import (
    COST,
    END,
    GROUP,
    MAIN,
    STREAM_HEAD,
    USAGE,
    House,
    Told,
    answer,
    ask,
    chunk,
    reply,
    with_rules,
)
from tests.gateway.keys import bearer, record, tell

SPARE = Target("openai-spare", "openai", base_url="http://spare/v1")
NO_NAMES = Policy("no-names", "keyword", "block", {"words": ["zebra"]}, phase="output")
PICTURES = Price("prc_pic", "openai", "gpt-image-1", Rates(0, 0), pieces=Pieces((ImagePrice(40_000_000),)))
BY_MEANING = CacheRules(enabled=True, threshold=0.95, embedder=Embedder("embedder", "gpt-4o-mini"))
EMBEDDER = Target("embedder", "openai", model="gpt-4o-mini-vectors", base_url="http://vectors/v1", residency="us")


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

    def build(prices: tuple[Price, ...] = (MINI, BIG), **rules: Any) -> House:
        made.append(House(loop, tmp_path, with_rules(**rules), prices=prices))
        return made[-1]

    yield build
    for house in made:
        house.settled()
        house.stop()


def telling(text: str) -> bytes:
    message = {"role": "assistant", "content": text}
    return reply(choices=[{"index": 0, "message": message, "finish_reason": "stop"}])


def vector(*numbers: float) -> bytes:
    data = [{"index": 0, "embedding": numbers or (1.0, 0.0)}]
    return answer(200, json.dumps({"object": "list", "data": data, "usage": {"prompt_tokens": 7}}).encode())


def asking(text: str) -> bytes:
    return ask(messages=[{"role": "user", "content": text}])


def sent_to(house: House) -> list[str]:
    """Where requests went, in their order of connections."""
    return [
        line.split(b" ")[1].decode()
        for wire in house.board.wires
        for line in wire.written.split(b"\r\n")
        if b"host: " in line
    ]


def test_a_blocked_answer_of_a_fallback_is_a_violation_and_no_failure(build: Build) -> None:
    house = build(targets=(MAIN, SPARE), policies=(NO_NAMES,))
    told = house.call()
    house.wire.says(answer(500, b"{}"))
    house.wire.says(telling("A zebra."))
    assert (told.status, told.error["code"]) == (409, "policy_violation")
    [row] = house.rows()
    assert (row.status, row.reason, row.cost_nanos) == ("blocked", "policy_violation", COST)


def test_whoever_waits_for_an_equal_call_with_a_key_that_is_revoked_gets_nothing(build: Build) -> None:
    house = build(cache=CacheRules(enabled=True, max_wait_s=30))
    tell(house, record())
    bought, waits = house.call(), house.call(**bearer())
    tell(house, record(status="revoked"))
    house.wire.says(reply())
    assert (bought.status, waits.status) == (200, 403)
    assert waits.error["code"] == "key_revoked"
    assert [row.cost_nanos for row in house.rows() if row.key_id] == [None]


@pytest.mark.parametrize("action", ["block", "escalate"])
def test_a_vector_is_made_only_where_the_callers_words_may_go(build: Build, action: Any) -> None:
    eu = Target("eu", "openai", base_url="http://eu/v1", secret_env="PROVIDER_KEY", residency="eu")
    policy = Policy("in-europe", "data_residency", action, {"regions": ["eu"]})
    house = build(targets=(eu, EMBEDDER), policies=(policy,), cache=BY_MEANING)
    told = house.call(asking("What is the capital of France?"))
    assert sent_to(house) == ["eu"]
    house.wire.says(reply())
    assert told.status == 200
    again = house.call(asking("What is the capital of France?"))
    assert again.headers["x-keeptrusts-cache"] == "hit"


def test_a_vector_is_within_the_limits_of_its_target(build: Build) -> None:
    limits = LimitRules(targets=Scoped(named={"embedder": quotas_of(LimitSet(requests_per_minute=1))}))
    house = build(targets=(MAIN, EMBEDDER), cache=BY_MEANING, limits=limits)
    house.call(asking("What is the capital of France?"))
    house.wire.says(vector())
    house.wire.says(reply())
    told = house.call(asking("Name the capital of France."))
    house.wire.says(reply())
    assert told.status == 200
    assert [len(row.attempts) for row in house.rows()] == [2, 1]


def test_the_same_body_for_another_deployment_is_another_request(build: Build) -> None:
    house = build()
    body = json.dumps({"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 25}).encode()
    first = house.send("/openai/deployments/gpt-4o-mini/chat/completions", body, idempotency_key="k")
    house.wire.says(reply())
    other = house.send("/openai/deployments/gpt-4o/chat/completions", body, idempotency_key="k")
    assert (first.status, other.status) == (200, 422)
    again = house.send("/openai/deployments/gpt-4o-mini/chat/completions", body, idempotency_key="k")
    assert again.headers["idempotent-replayed"] == "true"


def test_a_streamed_picture_costs_what_a_picture_costs(build: Build) -> None:
    house = build((PICTURES,))
    asked = {"model": "gpt-image-1", "prompt": "A cat", "stream": True, "size": "1024x1024", "quality": "high"}
    told = house.send("/v1/images/generations", json.dumps(asked).encode())
    usage = {"input_tokens": 5, "output_tokens": 4_160, "total_tokens": 4_165}
    done = {"type": "image_generation.completed", "b64_json": "AA==", "usage": usage}
    house.wire.says(STREAM_HEAD + chunk(b"data: " + json.dumps(done).encode() + b"\n\n") + END)
    assert told.status == 200
    [row] = house.rows()
    assert row.cost_nanos == 40_000_000


CLAUDE = Price("prc_claude", "anthropic", "claude-haiku", Rates(1_000_000, 5_000_000))


def test_what_a_provider_adds_for_tools_is_held_for_calls_that_need_no_wait_too(build: Build) -> None:
    target = Target("claude", "anthropic", base_url="http://claude", secret_env="PROVIDER_KEY")
    house = build((CLAUDE,), targets=(target,))
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    usage = {"input_tokens": 700, "output_tokens": 1}
    said = {
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku",
        "stop_reason": "max_tokens",
        "usage": usage,
    }
    for _ in range(2):  # the first waits for money
        house.call(ask(model="claude-haiku", max_tokens=1, tools=tools))
        house.wire.says(
            answer(200, json.dumps({**said, "id": "m", "content": [{"type": "text", "text": "A"}]}).encode())
        )
    assert [row.cost_nanos for row in house.rows()] == [705_000] * 2
    assert all(row.attempts[0].hold_nanos >= 705_000 for row in house.rows())


def test_a_call_keeps_its_bounds_to_its_end(build: Build, loop: HandLoop) -> None:
    house = build()
    told = house.call()
    loop.done(take_rules(house.node, with_rules(max_response_bytes=10)))
    house.wire.says(reply())
    assert told.status == 200
    late = house.call()
    house.wire.says(reply())
    assert late.status == 502


def test_a_limit_of_tokens_counts_all_that_a_call_used(build: Build) -> None:
    questions = ("What is the capital of France?", "Who is he?", "How much is it?")
    third = estimate(parse_chat(asking(questions[2])), 0)
    limits = LimitRules(everybody=quotas_of(LimitSet(tokens_per_minute=2 * USAGE["total_tokens"] + third)))
    house = build(targets=(MAIN, EMBEDDER), cache=BY_MEANING, limits=limits)
    told = []
    for at, text in enumerate(questions):
        told.append(house.call(asking(text)))
        if not told[-1].ended:
            for said in (vector(at, 1.0 - at), reply()):
                next(wire for wire in house.board.wires if wire.protocol._exchange is not None).says(said)
    assert [each.status for each in told] == [200, 200, 429]


RESPONSE = {
    "id": "resp_abc",
    "object": "response",
    "status": "completed",
    "model": "gpt-4o-mini",
    "output": [{"type": "message", "id": "msg_1", "content": [{"type": "output_text", "text": "Hi"}]}],
    "usage": {"input_tokens": 5, "output_tokens": 5, "total_tokens": 10},
}


def test_a_remembered_answer_is_shared_only_within_its_team(loop: HandLoop, tmp_path: Path) -> None:
    """Its id opens the talk at the provider, and is sealed for one team: another could not go on from it."""
    other = ConsumerGroup("sales", api_key="kt_cg_the-other-secret", wallet_team_id="team_sales")
    rules = with_rules(groups=(GROUP, other), cache=CacheRules(enabled=True, scope="organization"))
    house = House(loop, tmp_path, rules)
    house.control.allocate("team_sales", 10**9)
    body = json.dumps({"model": "gpt-4o-mini", "input": "Hi", "max_output_tokens": 25}).encode()
    told: list[Told] = []
    for key in (GROUP.api_key, other.api_key, GROUP.api_key):
        told.append(house.send("/v1/responses", body, x_consumer_group=str(key)))
        if not told[-1].ended:
            house.wire.says(answer(200, json.dumps(RESPONSE).encode()))
    ids = [json.loads(each.body)["id"] for each in told]
    assert ids[0] != ids[1]
    assert (ids[2], told[2].headers["x-keeptrusts-cache"]) == (ids[0], "hit")
    house.stop()
