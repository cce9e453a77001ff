"""The official ``anthropic`` package works against the gateway by base URL and key alone, and raises its own exceptions."""

import asyncio
from typing import Any

import anthropic
import pytest

from tests.journeys.books import allocate, issue_key, nanos, nothing_held
from tests.journeys.sdk_doors import PARAMETERS, anthropic_sdk
from tests.journeys.world import HATEFUL, MODEL_OF, NARROW_KEY, Till, tells_no_secret

pytestmark = pytest.mark.xdist_group("journeys-dialects")

CLAUDE = MODEL_OF["anthropic"]
HELLO: Any = [{"role": "user", "content": "Hello there, who are you?"}]
WEATHER: Any = {"name": "get_weather", "description": "The weather.", "input_schema": PARAMETERS}
PROVING = ("anthropic", "gemini", "bedrock")
"""Providers that prove what they thought, and want the proof back."""


def headers(till: Till) -> dict[str, str]:
    return {"x-request-id": till.next_id()}


@pytest.mark.parametrize("provider", MODEL_OF)
def test_the_events_of_a_stream_come_in_the_sdks_order(till: Till, provider: str) -> None:
    prompt: Any = [{"role": "user", "content": "Look. [[out=3 call=1]]"}]
    raw = anthropic_sdk(till).messages.create(
        model=MODEL_OF[provider],
        max_tokens=100,
        messages=prompt,
        tools=[WEATHER],
        stream=True,
        extra_headers=headers(till),
    )
    events: list[Any] = list(raw)
    kinds = [event.type for event in events if event.type != "ping"]
    assert (kinds[0], kinds[-2:]) == ("message_start", ["message_delta", "message_stop"])
    starts = [event for event in events if event.type == "content_block_start"]
    assert [(event.index, event.content_block.type) for event in starts] == [(0, "text"), (1, "tool_use")]
    stops = [event.index for event in events if event.type == "content_block_stop"]
    assert stops == [0, 1]
    [(_, billed)] = till.balanced()
    assert billed is not None
    assert events[-2 if events[-1].type == "message_stop" else -1].usage.output_tokens == billed.output


def test_the_async_client_streams(till: Till) -> None:
    async def text() -> str:
        async with anthropic.AsyncAnthropic(
            base_url=till.world.gateway_url, api_key=till.key.secret, max_retries=0, timeout=30
        ) as client:
            asked = client.messages.stream(
                model=CLAUDE, max_tokens=100, messages=HELLO, extra_headers={"x-request-id": till.next_id()}
            )
            async with asked as stream:
                return "".join([word async for word in stream.text_stream])

    assert len(asyncio.run(text()).split()) == 25
    till.balanced()


def test_a_key_may_come_as_a_bearer_token(till: Till) -> None:
    with anthropic.Anthropic(
        base_url=till.world.gateway_url, auth_token=till.key.secret, max_retries=0, timeout=30
    ) as client:
        message = client.messages.create(model=CLAUDE, max_tokens=100, messages=HELLO, extra_headers=headers(till))
    assert message.stop_reason == "end_turn"
    till.balanced()


@pytest.mark.parametrize("provider", PROVING)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_thinking_is_told_to_who_asks_and_its_proof_goes_back_to_the_provider(
    till: Till, provider: str, stream: bool
) -> None:
    client = anthropic_sdk(till)
    body: Any = {
        "model": MODEL_OF[provider],
        "max_tokens": 4_000,
        "tools": [WEATHER],
        "thinking": {"type": "enabled", "budget_tokens": 1_024},
    }
    asked: Any = [{"role": "user", "content": "Weather? [[think=6 call=1]]"}]
    if stream:
        with client.messages.stream(**body, messages=asked, extra_headers=headers(till)) as running:
            message = running.get_final_message()
    else:
        message = client.messages.create(**body, messages=asked, extra_headers=headers(till))
    kinds = [block.type for block in message.content]
    assert kinds[0] == "thinking"
    assert kinds[-1] == "tool_use"
    told: Any = [block for block in message.content if block.type == "thinking"]
    assert "".join(block.thinking for block in told).split() == [f"thought{number}" for number in range(6)]
    call: Any = message.content[-1]
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "fair"}
    content: Any = [block.model_dump(exclude_none=True) for block in message.content]
    turns = [*asked, {"role": "assistant", "content": content}, {"role": "user", "content": [result]}]
    answer: Any = client.messages.create(**body, messages=turns, extra_headers=headers(till))
    assert answer.content[0].text == "The tools said: get_weather=fair "
    (_, first), (_, second) = till.balanced()
    assert first is not None
    assert second is not None
    assert (first.heard["thinking"], first.heard["proofs"], second.heard["proofs"]) == (True, 0, 1)


@pytest.mark.parametrize("provider", ["anthropic", "bedrock"])
def test_marks_of_the_cache_reach_providers_that_have_one_to_mark(till: Till, provider: str) -> None:
    system: Any = [{"type": "text", "text": "Long.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
    message = anthropic_sdk(till).messages.create(
        model=MODEL_OF[provider],
        max_tokens=100,
        system=system,
        tools=[{**WEATHER, "cache_control": {"type": "ephemeral"}}],
        messages=[{"role": "user", "content": "Read." + " word" * 40 + " [[read=5 write=7 hour=11]]"}],
        extra_headers=headers(till),
    )
    [(event, billed)] = till.balanced()
    assert billed is not None
    assert billed.heard["cache_marks"] == 2
    created = message.usage.cache_creation
    assert created is not None
    assert (created.ephemeral_5m_input_tokens, created.ephemeral_1h_input_tokens) == (7, 11)
    assert (message.usage.cache_read_input_tokens, message.usage.input_tokens) == (5, billed.plain)
    assert event["attempts"][0]["usage"]["cache_write_1h"] == 11


def test_a_beta_header_and_fields_that_only_anthropic_knows_pass_straight(till: Till) -> None:
    anthropic_sdk(till).messages.create(
        model=CLAUDE,
        max_tokens=100,
        messages=HELLO,
        metadata={"user_id": "somebody"},
        service_tier="auto",
        extra_headers={**headers(till), "anthropic-beta": "context-1m-2025-08-07"},
    )
    [(_, billed)] = till.balanced()
    assert billed is not None
    assert "anthropic-beta" in billed.headers


def test_tokens_are_counted_for_nothing(till: Till) -> None:
    counted = anthropic_sdk(till).messages.count_tokens(model=CLAUDE, messages=HELLO)
    assert 3 + 4 + 5 <= counted.input_tokens <= 60
    assert till.rows() == []
    assert nanos(nothing_held(till.world, till.team)["spent"]) == 0


def test_the_models_can_be_listed(till: Till) -> None:
    assert CLAUDE in [model.id for model in anthropic_sdk(till).models.list()]


def test_an_unknown_key_is_an_authentication_error(till: Till) -> None:
    secret = "kt_gk_nobody-has-ever-issued-this-one"
    with pytest.raises(anthropic.AuthenticationError) as caught:
        anthropic_sdk(till, secret).messages.create(model=CLAUDE, max_tokens=9, messages=HELLO)
    assert caught.value.type == "authentication_error"
    assert secret not in str(caught.value.body)


REFUSED: Any = {
    "no messages": ({"messages": []}, anthropic.BadRequestError, "invalid_request_error"),
    "a negative limit": ({"max_tokens": -1}, anthropic.BadRequestError, "invalid_request_error"),
    "an unknown model": ({"model": "claude-unheard-of"}, anthropic.NotFoundError, "not_found_error"),
    "a policy": ({"messages": [{"role": "user", "content": HATEFUL}]}, anthropic.ConflictError, "conflict_error"),
    "a policy, in a block": (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": HATEFUL}]}]},
        anthropic.ConflictError,
        "conflict_error",
    ),
    "a policy, in the instructions": ({"system": HATEFUL}, anthropic.ConflictError, "conflict_error"),
}


@pytest.mark.parametrize(("fields", "error", "kind"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("provider", ["anthropic", "gemini"])
def test_a_refused_call_raises_the_sdks_own_error_and_costs_nothing(
    till: Till, provider: str, fields: dict[str, Any], error: type[anthropic.APIStatusError], kind: str
) -> None:
    body: Any = {"model": MODEL_OF[provider], "max_tokens": 50, "messages": HELLO, **fields}
    with pytest.raises(error) as caught:
        anthropic_sdk(till).messages.create(**body, extra_headers=headers(till))
    assert caught.value.type == kind
    assert caught.value.message
    tells_no_secret(str(caught.value.body))
    [(event, billed)] = till.balanced()
    assert (nanos(event["cost_usd"]), billed) == (0, None)


def test_a_model_that_the_key_may_not_use_is_a_permission_error(till: Till) -> None:
    key = issue_key(till.world, till.team, allowed_models=["another"])
    with pytest.raises(anthropic.PermissionDeniedError) as caught:
        anthropic_sdk(till, key.secret).messages.create(model=CLAUDE, max_tokens=9, messages=HELLO)
    assert caught.value.type == "permission_error"


@pytest.mark.parametrize("provider", MODEL_OF)
def test_an_empty_wallet_is_a_status_error_with_402(till: Till, provider: str) -> None:
    team = f"{till.team}_poor"
    allocate(till.world, team, "0.000000001")
    key = issue_key(till.world, team)
    with pytest.raises(anthropic.APIStatusError) as caught:
        anthropic_sdk(till, key.secret).messages.create(model=MODEL_OF[provider], max_tokens=90, messages=HELLO)
    assert (caught.value.status_code, caught.value.type) == (402, "billing_error")
    assert caught.value.response.headers["x-should-retry"] == "false"


def test_too_many_requests_are_a_rate_limit_error_that_says_when_to_come_back(till: Till) -> None:
    allocate(till.world, "team_narrow_dialects", "10")
    client = anthropic_sdk(till, NARROW_KEY)

    def twice() -> None:
        for _ in range(2):
            client.messages.create(model=CLAUDE, max_tokens=50, messages=HELLO)

    with pytest.raises(anthropic.RateLimitError) as caught:
        twice()
    assert caught.value.type == "rate_limit_error"
    assert 1 <= int(caught.value.response.headers["retry-after"]) <= 61


@pytest.mark.parametrize("provider", MODEL_OF)
def test_an_error_in_the_middle_of_a_stream_is_raised_and_never_below_the_bill(till: Till, provider: str) -> None:
    prompt: Any = [{"role": "user", "content": "Break. [[fault=error at=4 gap_ms=2]]"}]
    asked = anthropic_sdk(till).messages.stream(
        model=MODEL_OF[provider], max_tokens=100, messages=prompt, extra_headers=headers(till)
    )
    with pytest.raises(anthropic.APIError), asked as stream:
        stream.get_final_message()
    till.never_short()


@pytest.mark.parametrize("provider", MODEL_OF)
def test_the_beta_client_is_served_too(till: Till, provider: str) -> None:
    """It asks with ``?beta=true``, as Claude Code does."""
    client = anthropic_sdk(till)
    asked: Any = client.beta.messages.create(
        model=MODEL_OF[provider],
        max_tokens=100,
        messages=HELLO,
        betas=["interleaved-thinking-2025-05-14"],
        extra_headers=headers(till),
    )
    assert len(asked.content[0].text.split()) == 25
    with client.beta.messages.stream(
        model=MODEL_OF[provider], max_tokens=100, messages=HELLO, extra_headers=headers(till)
    ) as stream:
        assert len(stream.get_final_text().split()) == 25
    counted = client.beta.messages.count_tokens(model=MODEL_OF[provider], messages=HELLO)
    assert counted.input_tokens > 0
    till.balanced()
