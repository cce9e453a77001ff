"""Every door to every provider over real sockets, with the official SDKs: the answer is told, and the books hold its bill."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import anthropic
import openai
import pytest

from tests.journeys.books import nanos
from tests.journeys.sdk_doors import ASK, Question, Said, anthropic_sdk, openai_sdk
from tests.journeys.world import EMBEDDER, FALLING_BACK, GROUP, MODEL_OF, SIMULATED, Till, World, tells_no_secret
from tests.providers.foreign_bill import KEYED_MODELS, Billed

pytestmark = pytest.mark.xdist_group("journeys-dialects")

DOORS = tuple(ASK)
PROVIDERS = tuple(MODEL_OF)
TALKING_DOORS = ("chat", "responses", "messages")
PROMPT = "Tell me, please, of the city by the lake and of the river that leaves it."
TWO_TOOLS = ("get_weather", "get_time")

every_way = pytest.mark.parametrize(("door", "provider"), [(d, p) for d in DOORS for p in PROVIDERS])
talking = pytest.mark.parametrize(("door", "provider"), [(d, p) for d in TALKING_DOORS for p in PROVIDERS])


def words(count: int) -> str:
    return "".join(f"wörd{number} " for number in range(count))


def both_ways(till: Till, door: str, provider: str, question: Question) -> Iterator[Said]:
    """What is said to the question whole, then as a stream."""
    for stream in (False, True):
        yield ASK[door](till, MODEL_OF[provider], replace(question, stream=stream))


def usage_of(billed: Billed | None) -> tuple[int, int, int, int]:
    """A bill as answers tell their usage."""
    assert billed is not None
    return (billed.input, billed.read, billed.write + billed.hour, billed.output)


def heard_by(till: Till) -> list[dict[str, Any]]:
    """What the provider understood of each call, whose books must balance."""
    return [billed.heard for _, billed in till.balanced() if billed is not None]


@every_way
def test_an_answer_is_told_and_booked_as_it_is_billed(till: Till, door: str, provider: str) -> None:
    answers = list(both_ways(till, door, provider, Question(PROMPT)))
    for said, (event, billed), stream in zip(answers, till.balanced(), (False, True), strict=True):
        assert (said.text, said.calls, said.stop) == (words(25), (), "stop")
        assert billed is not None
        assert said.usage == usage_of(billed)
        assert (event["provider"], event["model"], event["status"]) == (provider, MODEL_OF[provider], "ok")
        assert (event["stream"], billed.stream) == (stream, stream)
        assert billed.heard["limit"] == 400
        assert billed.heard["turns"] == [["user", PROMPT]]
        tells_no_secret(said.text, event)


@every_way
def test_an_answer_that_is_cut_by_its_limit_says_so(till: Till, door: str, provider: str) -> None:
    for said in both_ways(till, door, provider, Question(PROMPT + " [[out=50]]", limit=20)):
        assert (said.text, said.stop, said.usage[3]) == (words(20), "length", 20)
    till.balanced()


@talking
def test_a_tool_is_called_and_its_result_comes_back(till: Till, door: str, provider: str) -> None:
    question = Question(PROMPT + " [[call=1]]", "Be brief.", ("get_weather",))
    for called in both_ways(till, door, provider, question):
        assert called.stop == "tool"
        [(_, name, arguments)] = called.calls
        assert (name, arguments) == ("get_weather", {"city": "Zürich 0", "number": 0})
        told = Question(PROMPT, "Be brief.", ("get_weather",), earlier=called, results=("fair",))
        for said in both_ways(till, door, provider, told):
            assert (said.text, said.stop) == ("The tools said: get_weather=fair ", "stop")
    heard = heard_by(till)
    assert [one["results"] for one in heard] == [[], [["get_weather", "fair"]], [["get_weather", "fair"]]] * 2
    assert {(one["system"], *one["tools"]) for one in heard} == {("Be brief.", "get_weather")}


@talking
def test_two_tools_are_called_at_once_and_each_result_finds_its_call(till: Till, door: str, provider: str) -> None:
    for called in both_ways(till, door, provider, Question(PROMPT + " [[call=2 out=3]]", tools=TWO_TOOLS)):
        assert called.text == words(3)
        assert [(name, said["number"]) for _, name, said in called.calls] == [("get_weather", 0), ("get_time", 1)]
        assert len({its_id for its_id, _, _ in called.calls}) == 2
        told = Question(PROMPT, tools=TWO_TOOLS, earlier=called, results=("fair", "noon"))
        said = ASK[door](till, MODEL_OF[provider], told)
        assert said.text == "The tools said: get_weather=fair get_time=noon "
    till.balanced()


@talking
def test_a_tool_that_must_be_called_is_asked_for_by_name(till: Till, door: str, provider: str) -> None:
    ASK[door](till, MODEL_OF[provider], Question(PROMPT + " [[call=1]]", tools=TWO_TOOLS, choice="get_time"))
    [heard] = heard_by(till)
    assert heard["choice"] == "get_time"


@talking
def test_an_image_reaches_the_provider(till: Till, door: str, provider: str) -> None:
    said = ASK[door](till, MODEL_OF[provider], Question("What is this?", image=True))
    assert said.text == words(25)
    [heard] = heard_by(till)
    assert heard["images"] == 1


@talking
def test_an_answer_keeps_to_a_schema(till: Till, door: str, provider: str) -> None:
    for said in both_ways(till, door, provider, Question(PROMPT, schema=True)):
        assert said.text == '{"city": "Paris", "number": 7}'
    assert [one["schema"] for one in heard_by(till)] == [True, True]


@pytest.mark.parametrize(("door", "provider"), [(d, p) for d in ("chat", "messages") for p in PROVIDERS])
def test_stop_sequences_reach_the_provider(till: Till, door: str, provider: str) -> None:
    said = ASK[door](till, MODEL_OF[provider], Question(PROMPT + " [[halt=1]]", stops=("END", "FIN")))
    assert said.stop == "stop"
    [heard] = heard_by(till)
    assert heard["stops"] == ["END", "FIN"]


@talking
def test_a_temperature_reaches_the_provider(till: Till, door: str, provider: str) -> None:
    warm = 1.0 if provider == "openai" else 0.5  # its model thinks, and takes no other
    extra: Any = {"extra_body": {"temperature": warm}} if door == "messages" else {"temperature": warm}
    ASK[door](till, MODEL_OF[provider], Question(PROMPT, extra=extra))
    [heard] = heard_by(till)
    assert heard["temperature"] in (warm, None if warm == 1 else warm)


CACHED = PROMPT + " And again:" + " word" * 90
WRITES = {"anthropic": "write=20 hour=10", "bedrock": "write=20 hour=10", "openai": "write=20", "azure": "write=20"}
"""What each provider may bill as written to its cache, beside what it reads; others tell no writes."""


@every_way
def test_tokens_of_the_cache_have_their_own_price(till: Till, door: str, provider: str) -> None:
    answers = list(both_ways(till, door, provider, Question(f"{CACHED} [[read=30 {WRITES.get(provider, '')}]]")))
    for said, (event, billed) in zip(answers, till.balanced(), strict=True):
        assert said.usage == usage_of(billed)
        assert (event["tokens_cached"], event["tokens_cache_write"]) == said.usage[1:3]
        assert event["tokens_cached"] == 30


@every_way
def test_what_a_model_thinks_is_billed_and_is_no_part_of_its_words(till: Till, door: str, provider: str) -> None:
    for said in both_ways(till, door, provider, Question(PROMPT + " [[think=40 out=5]]")):
        assert said.text == words(5)
        assert said.usage[3] == 45
    till.balanced()


@pytest.mark.parametrize(("door", "provider"), [*(("chat", p) for p in PROVIDERS), *((d, "gemini") for d in DOORS[1:])])
def test_a_long_stream_loses_nothing(till: Till, door: str, provider: str) -> None:
    said = ASK[door](till, MODEL_OF[provider], Question(PROMPT + " [[out=1500]]", limit=2_000, stream=True))
    assert said.text == words(1_500)
    till.balanced()


@pytest.mark.parametrize("door", DOORS)
def test_a_group_falls_back_across_dialects_and_pays_who_answered(till: Till, door: str) -> None:
    first, second = FALLING_BACK[:2]
    prompt = f"{PROMPT} [[status=529 only={MODEL_OF[first]}]]"
    for stream in (False, True):
        assert ASK[door](till, GROUP, Question(prompt, stream=stream)).text == words(25)
    for event, billed in till.balanced():
        assert billed is not None
        assert [attempt["provider"] for attempt in event["attempts"]] == [first, second]
        assert (event["provider"], billed.provider) == (second, second)


@pytest.mark.parametrize("door", DOORS)
def test_a_group_of_which_nobody_answers_costs_nothing(till: Till, door: str) -> None:
    with pytest.raises((openai.APIStatusError, anthropic.APIStatusError)) as caught:
        ASK[door](till, GROUP, Question(PROMPT + " [[status=503]]"))
    assert caught.value.response.status_code == 502
    [(event, billed)] = till.balanced()
    assert billed is None
    assert [attempt["provider"] for attempt in event["attempts"]] == list(FALLING_BACK)


@pytest.mark.parametrize("door", DOORS)
def test_the_simulated_provider_answers_at_every_door(till: Till, door: str) -> None:
    answers = [ASK[door](till, SIMULATED, Question(PROMPT, stream=stream)) for stream in (False, True)]
    for said, (event, _) in zip(answers, till.rows(), strict=True):
        assert said.text
        assert event["usage_source"] == "provider"
        assert (event["tokens_input"], event["tokens_output"]) == (said.usage[0], said.usage[3])


@pytest.mark.parametrize("provider", ["openai", "azure", "openai-compatible"])
def test_embeddings_are_passed_on_and_booked(till: Till, provider: str) -> None:
    client = openai_sdk(till)
    given = ["one text", "and another text"]
    for form in ("base64", "float"):
        answer = client.embeddings.create(
            model=EMBEDDER if provider == "openai" else MODEL_OF[provider],
            input=given,
            encoding_format=form,
            extra_headers={"x-request-id": till.next_id()},
        )
        assert len(answer.data) == 2
        assert answer.usage.prompt_tokens == 3 + (4 + 2) + (4 + 3)
    till.balanced()


@pytest.mark.parametrize("provider", ["anthropic", "gemini", "bedrock"])
def test_a_provider_without_embeddings_is_named_in_the_refusal(till: Till, provider: str) -> None:
    headers = {"x-request-id": till.next_id()}
    with pytest.raises(openai.BadRequestError, match=provider):
        openai_sdk(till).embeddings.create(model=MODEL_OF[provider], input="text", extra_headers=headers)
    [(event, billed)] = till.balanced()
    assert (event["cost"], billed) == (None, None)


UNABLE: Any = [
    ("chat", "anthropic", {"n": 2}, "n"),
    ("chat", "bedrock", {"n": 2}, "n"),
    ("chat", "anthropic", {"logprobs": True}, "logprobs"),
    ("chat", "bedrock", {"logprobs": True}, "logprobs"),
    ("chat", "gemini", {"logit_bias": {"50256": -100}}, "logit_bias"),
    ("chat", "anthropic", {"response_format": {"type": "json_object"}}, "response_format"),
    ("responses", "gemini", {"conversation": "conv_1"}, "conversation"),
    ("messages", "openai", {"container": "c"}, "container"),
]


@pytest.mark.parametrize(("door", "provider", "fields", "name"), UNABLE)
def test_what_a_provider_can_not_do_is_refused_by_name_and_costs_nothing(
    till: Till, door: str, provider: str, fields: dict[str, Any], name: str
) -> None:
    with pytest.raises((openai.BadRequestError, anthropic.BadRequestError), match=f"`{name}`"):
        ASK[door](till, MODEL_OF[provider], Question(PROMPT, extra=fields))
    [(event, billed)] = till.balanced()
    assert (nanos(event["cost_usd"]), billed) == (0, None)


def test_bedrock_may_be_called_with_an_api_key(till: Till) -> None:
    for door in TALKING_DOORS:
        assert ASK[door](till, next(iter(KEYED_MODELS)), Question(PROMPT)).text == words(25)
    till.balanced()


def test_anthropics_sdk_knows_a_requests_id(till: Till) -> None:
    sdk = anthropic_sdk(till)
    ours = {"x-request-id": till.next_id()}
    hello: list[anthropic.types.MessageParam] = [{"role": "user", "content": "Hello"}]
    said = sdk.messages.create(model=MODEL_OF["anthropic"], max_tokens=9, messages=hello, extra_headers=ours)
    assert said._request_id == ours["x-request-id"]
    ours = {"x-request-id": till.next_id()}
    with pytest.raises(anthropic.NotFoundError) as caught:
        sdk.messages.create(model="unheard-of", max_tokens=9, messages=hello, extra_headers=ours)
    assert caught.value.request_id == ours["x-request-id"]
    till.balanced()


@pytest.mark.parametrize("provider", ["openai", "azure"])
def test_no_team_goes_on_from_anothers_answer(world: World, team: str, provider: str) -> None:
    ours, theirs = Till(world, team), Till(world, team + "_b")
    model = MODEL_OF[provider]

    def ask(till: Till, **more: Any) -> openai.types.responses.Response:
        sdk = openai_sdk(till).with_options(default_headers={"x-request-id": till.next_id()}, max_retries=0)
        with sdk.responses.stream(model=model, input="Hello", **more) as stream:
            told = {event.response.id for event in stream if hasattr(event, "response")}
        assert len(told) == 1
        return stream.get_final_response()

    first = ask(ours)
    assert first.id.startswith("resp_kt")
    ask(ours, previous_response_id=first.id)
    for till, guessed in ((theirs, first.id), (ours, "resp_" + first.id[27:]), (ours, first.id + "0")):
        with pytest.raises(openai.BadRequestError, match="previous_response_id"):
            ask(till, previous_response_id=guessed)
    assert sum(billed is not None for _, billed in ours.balanced()) == 2
