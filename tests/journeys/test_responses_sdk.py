"""The official ``openai`` package at the newer doors: Responses, and the errors of every door that it knows."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import openai
import pytest

from tests.journeys.books import allocate, issue_key, nanos
from tests.journeys.sdk_doors import PARAMETERS, openai_sdk
from tests.journeys.world import EMBEDDER, HATEFUL, MODEL_OF, NARROW_KEY, Till, tells_no_secret

pytestmark = pytest.mark.xdist_group("journeys-dialects")

MINI = MODEL_OF["openai"]
WEATHER: Any = {"type": "function", "name": "get_weather", "parameters": PARAMETERS, "strict": True}
STRAIGHT = ("openai", "azure")
TRANSLATED = tuple(provider for provider in MODEL_OF if provider not in STRAIGHT)


def headers(till: Till) -> dict[str, str]:
    return {"x-request-id": till.next_id()}


@pytest.mark.parametrize("provider", MODEL_OF)
def test_the_events_of_a_stream_build_the_response_that_ends_it(till: Till, provider: str) -> None:
    asked = openai_sdk(till).responses.create(
        model=MODEL_OF[provider],
        input="Look. [[out=3 call=1]]",
        tools=[WEATHER],
        max_output_tokens=100,
        stream=True,
        extra_headers=headers(till),
    )
    events: list[Any] = list(asked)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    kinds = [event.type for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[-1] == "response.completed"
    added = [event.item.type for event in events if event.type == "response.output_item.added"]
    final = events[-1].response
    assert added == [item.type for item in final.output] == ["message", "function_call"]
    done = [event.item.id for event in events if event.type == "response.output_item.done"]
    assert done == [item.id for item in final.output]
    arguments = "".join(event.delta for event in events if event.type == "response.function_call_arguments.delta")
    assert arguments == final.output[1].arguments
    [(_, billed)] = till.balanced()
    assert billed is not None
    assert (final.usage.input_tokens, final.usage.output_tokens) == (billed.input, billed.output)


def test_the_async_client_gets_the_same(till: Till) -> None:
    async def text() -> str:
        async with openai.AsyncOpenAI(
            base_url=f"{till.world.gateway_url}/v1", api_key=till.key.secret, max_retries=0, timeout=30
        ) as client:
            answer = await client.responses.create(
                model=MINI, input="Hello.", extra_headers={"x-request-id": till.next_id()}
            )
            return str(answer.output_text)

    assert len(asyncio.run(text()).split()) == 25
    till.balanced()


@pytest.mark.parametrize("provider", STRAIGHT)
def test_what_only_openai_knows_passes_straight(till: Till, provider: str) -> None:
    openai_sdk(till).responses.create(
        model=MODEL_OF[provider],
        input="Hello.",
        max_output_tokens=64,
        store=False,
        truncation="auto",
        prompt_cache_key="one",
        metadata={"team": "x"},
        extra_headers=headers(till),
    )
    till.balanced()


@pytest.mark.parametrize("provider", TRANSLATED)
def test_what_only_openais_servers_remember_is_refused_by_name_elsewhere(till: Till, provider: str) -> None:
    with pytest.raises(openai.BadRequestError, match="previous_response_id"):
        openai_sdk(till).responses.create(
            model=MODEL_OF[provider],
            input="Go on.",
            max_output_tokens=64,
            previous_response_id="resp_123",
            extra_headers=headers(till),
        )
    [(event, billed)] = till.balanced()
    assert (nanos(event["cost_usd"]), billed) == (0, None)


@pytest.mark.parametrize("provider", ["anthropic", "gemini", "bedrock"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_the_proof_of_what_was_thought_goes_back_to_the_provider(till: Till, provider: str, stream: bool) -> None:
    client = openai_sdk(till)
    body: Any = {
        "model": MODEL_OF[provider],
        "tools": [WEATHER],
        "max_output_tokens": 4_000,
        "reasoning": {"effort": "medium", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "store": False,
    }
    asked: Any = [{"role": "user", "content": "Weather? [[think=6 call=1]]"}]
    if stream:
        with client.responses.stream(**body, input=asked, extra_headers=headers(till)) as running:
            answer: Any = running.get_final_response()
    else:
        answer = client.responses.create(**body, input=asked, extra_headers=headers(till))
    thoughts = [item for item in answer.output if item.type == "reasoning"]
    assert "".join(part.text for item in thoughts for part in item.summary).split() == [
        f"thought{number}" for number in range(6)
    ]
    [call] = [item for item in answer.output if item.type == "function_call"]
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "fair"}
    back = [item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in answer.output]
    said: Any = client.responses.create(**body, input=[*asked, *back, result], extra_headers=headers(till))
    assert said.output_text == "The tools said: get_weather=fair "
    (_, first), (_, second) = till.balanced()
    assert first is not None
    assert second is not None
    assert (first.heard["thinking"], second.heard["proofs"]) == (True, 1)


Call = Callable[[openai.OpenAI, str, str, dict[str, str]], object]
DOORS: Mapping[str, Call] = {
    "chat": lambda client, model, prompt, told: client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": prompt}], max_completion_tokens=50, extra_headers=told
    ),
    "completions": lambda client, model, prompt, told: client.completions.create(
        model=model, prompt=prompt, max_tokens=50, extra_headers=told
    ),
    "responses": lambda client, model, prompt, told: client.responses.create(
        model=model, input=prompt, max_output_tokens=50, extra_headers=told
    ),
    "embeddings": lambda client, model, prompt, told: client.embeddings.create(
        model=model, input=prompt, extra_headers=told
    ),
}
every_door = pytest.mark.parametrize("door", DOORS)


def model_for(door: str) -> str:
    return EMBEDDER if door == "embeddings" else MINI


@every_door
def test_an_unknown_key_is_an_authentication_error(till: Till, door: str) -> None:
    secret = "kt_gk_nobody-has-ever-issued-this-one"
    with pytest.raises(openai.AuthenticationError) as caught:
        DOORS[door](openai_sdk(till, secret), model_for(door), "Hello.", {})
    assert caught.value.code == "invalid_key"
    assert secret not in str(caught.value.body)


REFUSED: Any = {
    "an unknown model": ("no-such-model", "Hello.", openai.NotFoundError, "model_not_found"),
    "a policy": (None, HATEFUL, openai.ConflictError, "policy_violation"),
}


@pytest.mark.parametrize(("model", "prompt", "error", "code"), REFUSED.values(), ids=REFUSED)
@every_door
def test_a_refused_call_raises_the_sdks_own_error_and_costs_nothing(
    till: Till, door: str, model: str | None, prompt: str, error: type[openai.APIStatusError], code: str
) -> None:
    with pytest.raises(error) as caught:
        DOORS[door](openai_sdk(till), model or model_for(door), prompt, headers(till))
    assert caught.value.code == code
    tells_no_secret(str(caught.value.body))
    [(event, billed)] = till.balanced()
    assert (nanos(event["cost_usd"]), billed) == (0, None)


@every_door
def test_a_model_that_the_key_may_not_use_is_a_permission_error(till: Till, door: str) -> None:
    key = issue_key(till.world, till.team, allowed_models=["another"])
    with pytest.raises(openai.PermissionDeniedError) as caught:
        DOORS[door](openai_sdk(till, key.secret), model_for(door), "Hello.", {})
    assert caught.value.code == "model_not_allowed"


@every_door
def test_an_empty_wallet_is_a_status_error_with_402(till: Till, door: str) -> None:
    team = f"{till.team}_poor"
    allocate(till.world, team, "0.000000001")
    key = issue_key(till.world, team)
    with pytest.raises(openai.APIStatusError) as caught:
        DOORS[door](openai_sdk(till, key.secret), model_for(door), "Hello.", {})
    assert (caught.value.status_code, caught.value.code) == (402, "insufficient_balance")
    assert caught.value.response.headers["x-should-retry"] == "false"


@every_door
def test_too_many_requests_are_a_rate_limit_error_that_says_when_to_come_back(till: Till, door: str) -> None:
    allocate(till.world, "team_narrow_dialects", "10")
    client = openai_sdk(till, NARROW_KEY)

    def twice() -> None:
        for _ in range(2):
            DOORS[door](client, model_for(door), "Hello.", {})

    with pytest.raises(openai.RateLimitError) as caught:
        twice()
    assert caught.value.code == "rate_limit_exceeded"
    assert 1 <= int(caught.value.response.headers["retry-after"]) <= 61


@pytest.mark.parametrize("provider", MODEL_OF)
@pytest.mark.parametrize("fault", ["cut", "error"])
def test_a_response_that_breaks_in_the_middle_raises_and_is_never_below_the_bill(
    till: Till, provider: str, fault: str
) -> None:
    """The SDK raises for an error in an envelope, which is how OpenAI sends it; one that is flat it only hands on."""
    asked = openai_sdk(till).responses.create(
        model=MODEL_OF[provider],
        input=f"Break. [[fault={fault} at=4 gap_ms=2]]",
        max_output_tokens=100,
        stream=True,
        extra_headers=headers(till),
    )
    with pytest.raises(openai.APIError):
        list(asked)
    till.never_short()


@pytest.mark.parametrize("provider", MODEL_OF)
@pytest.mark.parametrize("fault", ["cut", "error"])
def test_a_chat_that_breaks_in_the_middle_raises_and_is_never_below_the_bill(
    till: Till, provider: str, fault: str
) -> None:
    asked = openai_sdk(till).chat.completions.create(
        model=MODEL_OF[provider],
        messages=[{"role": "user", "content": f"Break. [[fault={fault} at=4 gap_ms=2]]"}],
        max_completion_tokens=100,
        stream=True,
        extra_headers=headers(till),
    )
    with pytest.raises(openai.APIError):
        list(asked)
    till.never_short()
