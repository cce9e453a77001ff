"""The cache behind every door, with the official SDKs: what was bought in one form is told in both, in the door's own
dialect, and equal calls at once are bought once."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tests.journeys.books import funded_key, nanos, settled_events
from tests.journeys.policy_files import Policy, with_cache
from tests.journeys.product import Key
from tests.journeys.sdk_doors import ASK, Question, Said, anthropic_sdk, openai_sdk
from tests.journeys.web import ask
from tests.journeys.world import EMBEDDER, MODEL_OF, Till, World, worldly

pytestmark = pytest.mark.xdist_group("journeys-cache-doors")

PROMPT = "Tell me, please, of the city by the lake."
WAYS = [
    *(("chat", provider) for provider in ("openai", "gemini")),
    *(("responses", provider) for provider in ("openai", "anthropic")),
    *(("messages", provider) for provider in ("anthropic", "openai")),
]


def caching_worldly(provider_url: str, api_url: str) -> Policy:
    return with_cache(worldly(provider_url, api_url))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("caching-world"), caching_worldly)
    try:
        world.start()
        yield world
        world.accounts_for_itself()
    finally:
        world.close()


@pytest.fixture
def till(world: World, team: str) -> Till:
    return Till(world, team)


def told(till: Till, door: str, model: str, question: Question, first: bool) -> list[Said]:
    """The same question twice in one form and twice in the other; ``first``: which form comes first."""
    forms = (first, first, not first, not first)
    return [ASK[door](till, model, replace(question, stream=stream)) for stream in forms]


def bought_once(till: Till, answers: list[Said]) -> None:
    assert answers == [answers[0]] * len(answers)
    rows = till.rows()
    assert [event["status"] for event, _ in rows] == ["ok"] + ["cached"] * (len(answers) - 1)
    assert [billed is not None for _, billed in rows] == [True] + [False] * (len(answers) - 1)
    [billed] = till.bills()
    assert {nanos(event["saved"]) for event, _ in rows[1:]} == {billed.cost_nanos}
    assert sum(nanos(event["cost_usd"]) for event, _ in rows) == billed.cost_nanos


@pytest.mark.parametrize("first", [False, True], ids=["whole-first", "stream-first"])
@pytest.mark.parametrize(("door", "provider"), [*WAYS, ("completions", "openai"), ("completions", "bedrock")])
def test_words_are_told_again_in_both_forms(till: Till, door: str, provider: str, first: bool) -> None:
    question = Question(PROMPT) if door == "completions" else Question(PROMPT, "Be brief.")
    bought_once(till, told(till, door, MODEL_OF[provider], question, first))


@pytest.mark.parametrize("first", [False, True], ids=["whole-first", "stream-first"])
@pytest.mark.parametrize(("door", "provider"), WAYS)
def test_tools_that_were_called_are_told_again_in_both_forms(till: Till, door: str, provider: str, first: bool) -> None:
    question = Question(PROMPT + " [[call=2 out=3]]", tools=("get_weather", "get_time"))
    answers = told(till, door, MODEL_OF[provider], question, first)
    assert [name for _, name, _ in answers[0].calls] == ["get_weather", "get_time"]
    bought_once(till, answers)


@pytest.mark.parametrize(("door", "provider"), WAYS)
def test_what_the_clients_own_limit_has_cut_is_told_again_as_cut(till: Till, door: str, provider: str) -> None:
    answers = told(till, door, MODEL_OF[provider], Question(PROMPT + " [[out=50]]", limit=20), True)
    assert {said.stop for said in answers} == {"length"}
    bought_once(till, answers)


def test_thinking_is_told_again(till: Till) -> None:
    client = anthropic_sdk(till)
    body = {"model": MODEL_OF["anthropic"], "max_tokens": 3000, "thinking": {"type": "enabled", "budget_tokens": 1024}}
    messages = [{"role": "user", "content": PROMPT + " [[think=9]]"}]
    finals = []
    for _ in range(2):
        headers = {"x-request-id": till.next_id()}
        with client.messages.stream(**body, messages=messages, extra_headers=headers) as stream:  # type: ignore[arg-type]
            finals.append(stream.get_final_message())
    whole = client.messages.create(**body, messages=messages, extra_headers={"x-request-id": till.next_id()})  # type: ignore[call-overload]
    assert finals[0].content == finals[1].content
    assert (
        [block.type for block in whole.content] == [block.type for block in finals[0].content] == ["thinking", "text"]
    )
    assert whole.content[0] == finals[0].content[0]
    assert len(till.bills()) == 1


def test_vectors_are_told_again(till: Till) -> None:
    client = openai_sdk(till)
    answers = [
        client.embeddings.create(model=EMBEDDER, input=PROMPT, extra_headers={"x-request-id": till.next_id()})
        for _ in range(2)
    ]
    assert answers[0].data == answers[1].data
    assert [event["status"] for event, _ in till.rows()] == ["ok", "cached"]


def test_fifty_equal_calls_at_once_are_bought_once(world: World, till: Till) -> None:
    """Two teams, fifty calls each: two bills, one for each team."""
    other = Till(world, f"{till.team}_other")
    body = {"model": MODEL_OF["openai"], "messages": [{"role": "user", "content": PROMPT}], "max_completion_tokens": 40}

    def call(at: int) -> tuple[int, str]:
        of = (till, other)[at % 2]
        headers = {**of.key.headers, "x-request-id": ids[at]}
        answer = ask("POST", f"{world.gateway_url}/v1/chat/completions", {**body, "stream": at % 5 == 0}, headers)
        return answer.status, answer.headers["x-keeptrusts-cache"]

    ids = [(till, other)[at % 2].next_id() for at in range(100)]
    with ThreadPoolExecutor(max_workers=25) as threads:
        answers = list(threads.map(call, range(100)))
    assert {status for status, _ in answers} == {200}
    assert [how for _, how in answers].count("miss") == 2
    for team in (till, other):
        rows = settled_events(world, 50, team_id=team.team)
        [billed] = team.bills()
        assert sum(nanos(event["cost_usd"]) for event in rows) == billed.cost_nanos
        assert sum(nanos(event["saved"]) for event in rows) == 49 * billed.cost_nanos


def test_a_beta_of_the_provider_is_another_question(till: Till) -> None:
    body = {"model": MODEL_OF["anthropic"], "messages": [{"role": "user", "content": PROMPT}], "max_tokens": 40}
    for beta in ({}, {"anthropic-beta": "one-2026-01-01"}, {"anthropic-beta": "two-2026-01-01"}):
        headers = {**till.key.headers, "x-request-id": till.next_id(), **beta}
        answer = ask("POST", f"{till.world.gateway_url}/v1/messages", body, headers)
        assert answer.headers["x-keeptrusts-cache"] == "miss", answer.body
    assert len(till.bills()) == 3


def test_a_key_that_is_said_twice_poisons_nothing(till: Till) -> None:
    """Providers differ in which of the two they go by: such an answer is nobody else's."""
    asked = b'{"model":"%b","max_completion_tokens":40,"messages":[{"role":"user",%b"content":"Whose?"}]}'
    for twice in (b'"content":"Say that we owe them money.",', b""):
        body = asked % (MODEL_OF["openai"].encode(), twice)
        answer = ask(
            "POST",
            f"{till.world.gateway_url}/v1/chat/completions",
            body,
            {**till.key.headers, "x-request-id": till.next_id()},
        )
        assert answer.status == 200, answer.body
    assert [event["status"] for event, _ in till.rows()] == ["ok", "ok"]


def test_a_repeated_call_is_paid_for_once(till: Till, world: World) -> None:
    body = json.dumps({"model": MODEL_OF["openai"], "messages": [{"role": "user", "content": PROMPT}]}).encode()
    other: Key = funded_key(world, f"{till.team}_other")
    bodies = []
    for key in (till.key, till.key, other):
        headers = {
            **key.headers,
            "x-request-id": till.next_id(),
            "Idempotency-Key": "order-7",
            "Cache-Control": "no-store",
        }
        answer = ask("POST", f"{world.gateway_url}/v1/chat/completions", body, headers)
        assert answer.status == 200
        bodies.append((answer.body, answer.headers.get("idempotent-replayed")))
    assert bodies[1] == (bodies[0][0], "true")
    assert bodies[2][1] is None, "another caller's key is another key"
    assert len(till.bills()) == 2
