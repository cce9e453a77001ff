"""The official ``openai`` package works against the gateway by base URL and key alone, and raises its own exceptions."""

import asyncio
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.journeys.books import allocate, funded_key, issue_key, nanos, nothing_held, settled_events
from tests.journeys.policy_files import ENGINEERING_KEY, NARROW_KEY
from tests.journeys.product import Key, Product

pytestmark = pytest.mark.xdist_group("journeys-calls")

HAIKU: Any = [{"role": "user", "content": "Write a short haiku about cloud computing."}]
MINI = "gpt-4o-mini"


@pytest.fixture
def key(product: Product, team: str) -> Key:
    return funded_key(product, team)


@pytest.fixture
def client(product: Product, key: Key) -> Iterator[openai.OpenAI]:
    with sdk(product, key.secret) as client:
        yield client


def sdk(product: Product, api_key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{product.gateway_url}/v1", api_key=api_key, max_retries=0, timeout=30)


def test_a_whole_answer_and_its_ledger_row(product: Product, team: str, client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model=MINI, messages=HAIKU)
    assert answer.model == MINI
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (14, 25, 39)
    assert answer.choices[0].message.content
    [event] = settled_events(product, 1, team_id=team)
    assert (event["tokens_input"], event["tokens_output"]) == (14, 25)
    assert nanos(event["cost_usd"]) == 14 * 150 + 25 * 600
    assert event["status"] == "ok"
    assert event["usage_source"] == "provider"


def test_the_async_client(product: Product, key: Key) -> None:
    async def five() -> list[int]:
        async with openai.AsyncOpenAI(
            base_url=f"{product.gateway_url}/v1", api_key=key.secret, max_retries=0, timeout=30
        ) as client:
            calls = (client.chat.completions.create(model=MINI, messages=HAIKU) for _ in range(5))
            return [answer.usage.total_tokens for answer in await asyncio.gather(*calls) if answer.usage]

    assert asyncio.run(five()) == [39] * 5


def test_a_stream_without_usage_asked_shows_none_and_is_still_settled_exactly(
    product: Product, team: str, client: openai.OpenAI
) -> None:
    chunks: list[Any] = list(client.chat.completions.create(model=MINI, messages=HAIKU, stream=True))
    assert all(chunk.choices for chunk in chunks), "the usage chunk that nobody asked for must not come through"
    assert all(chunk.usage is None for chunk in chunks)
    assert len("".join(chunk.choices[0].delta.content or "" for chunk in chunks).split()) == 25
    [event] = settled_events(product, 1, team_id=team)
    assert nanos(event["cost_usd"]) == 14 * 150 + 25 * 600
    assert event["usage_source"] == "provider"


def test_a_stream_with_usage_asked_ends_with_it(client: openai.OpenAI) -> None:
    asked = client.chat.completions.create(
        model=MINI, messages=HAIKU, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(asked)
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 39
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_an_async_stream(product: Product, key: Key) -> None:
    async def words() -> int:
        async with openai.AsyncOpenAI(
            base_url=f"{product.gateway_url}/v1", api_key=key.secret, max_retries=0, timeout=30
        ) as client:
            stream = await client.chat.completions.create(model=MINI, messages=HAIKU, stream=True)
            return len("".join([chunk.choices[0].delta.content or "" async for chunk in stream]).split())

    assert asyncio.run(words()) == 25


def test_the_model_list_holds_what_this_key_may_use(product: Product, team: str) -> None:
    key = funded_key(product, team, allowed_models=[MINI])
    with sdk(product, key.secret) as client:
        names = [model.id for model in client.models.list()]
    assert names == ["cost-optimized", MINI], "the group goes to that member alone"


def test_a_consumer_groups_key_of_the_policy_file_works_as_an_api_key(product: Product) -> None:
    allocate(product, "team_engineering", "10")
    with sdk(product, ENGINEERING_KEY) as client:
        answer = client.chat.completions.create(model=MINI, messages=HAIKU)
    assert answer.usage is not None
    assert answer.usage.total_tokens == 39


def test_an_unknown_key_is_an_authentication_error(product: Product) -> None:
    secret = "kt_gk_nobody-has-ever-issued-this-one"
    with sdk(product, secret) as client, pytest.raises(openai.AuthenticationError) as caught:
        client.chat.completions.create(model=MINI, messages=HAIKU)
    assert caught.value.code == "invalid_key"
    assert secret not in str(caught.value.body)


def test_a_model_that_the_key_may_not_use_is_a_permission_error(product: Product, team: str) -> None:
    key = funded_key(product, team, allowed_models=[MINI])
    with sdk(product, key.secret) as client, pytest.raises(openai.PermissionDeniedError) as caught:
        client.chat.completions.create(model="gpt-4o", messages=HAIKU)
    assert caught.value.code == "model_not_allowed"


def test_too_many_requests_are_a_rate_limit_error_that_says_when_to_come_back(product: Product) -> None:
    allocate(product, "team_narrow", "10")
    with sdk(product, NARROW_KEY) as client:
        for _ in range(3):
            client.chat.completions.create(model=MINI, messages=HAIKU)
        with pytest.raises(openai.RateLimitError) as caught:
            client.chat.completions.create(model=MINI, messages=HAIKU)
    assert caught.value.code == "rate_limit_exceeded"
    assert 1 <= int(caught.value.response.headers["retry-after"]) <= 61


def test_an_empty_wallet_is_a_status_error_with_402(product: Product, team: str) -> None:
    key = issue_key(product, team)
    allocate(product, team, "0.000001")
    with sdk(product, key.secret) as client, pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model=MINI, messages=HAIKU)
    assert caught.value.status_code == 402
    assert caught.value.code == "insufficient_balance"
    assert caught.value.type == "budget_exceeded"
    assert caught.value.response.headers["x-should-retry"] == "false"


def test_a_request_that_makes_no_sense_is_a_bad_request(product: Product, team: str, client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model=MINI, messages=HAIKU, max_tokens=-1)
    nothing_held(product, team)


def test_an_unknown_route_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        client.images.generate(prompt="a cat", model="dall-e-3")


def test_a_model_without_a_price_is_a_status_error_that_says_so(client: openai.OpenAI) -> None:
    """Under enforcement a cost that cannot be bounded is not let through."""
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model="gpt-does-not-exist", messages=HAIKU)
    assert (caught.value.status_code, caught.value.code) == (402, "unpriced_model")


def test_a_provider_that_fails_is_a_server_error_and_costs_nothing(
    product: Product, team: str, client: openai.OpenAI
) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model=MINI, messages=[{"role": "user", "content": "[[status=500]]"}])
    assert caught.value.status_code == 502
    assert nanos(nothing_held(product, team)["spent"]) == 0


def test_a_rate_limit_of_the_provider_reaches_the_caller_with_its_delay(product: Product, key: Key) -> None:
    wish: Any = [{"role": "user", "content": "[[status=429 retry_after=9]]"}]
    with sdk(product, key.secret) as client, pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model=MINI, messages=wish)
    assert caught.value.response.headers["retry-after"] == "9"
