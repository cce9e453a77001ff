"""Where a call goes: model groups by cost, and what the ledger says of it."""

import pytest

from tests.journeys.books import funded_key, nanos, settled_events
from tests.journeys.product import Product
from tests.providers.truth import GPT_4O_MINI_NANOS, GPT_4O_NANOS

pytestmark = pytest.mark.xdist_group("journeys-calls")


@pytest.mark.parametrize(
    ("asked", "model", "nanos_per_token"),
    [
        ({}, "gpt-4o-mini", GPT_4O_MINI_NANOS),
        ({"max_tokens": 1}, "gpt-4o-mini", GPT_4O_MINI_NANOS),
        ({"max_tokens": 1000}, "gpt-4o-mini", GPT_4O_MINI_NANOS),
        ({"max_completion_tokens": 1000}, "gpt-4o-mini", GPT_4O_MINI_NANOS),
        ({"max_tokens": 1001}, "gpt-4o", GPT_4O_NANOS),
        ({"max_completion_tokens": 1001}, "gpt-4o", GPT_4O_NANOS),
    ],
    ids=["none asked", "1", "1000", "1000 in the new word", "1001", "1001 in the new word"],
)
def test_a_cost_priority_group_takes_the_cheap_model_for_short_answers(
    product: Product, team: str, asked: dict[str, int], model: str, nanos_per_token: tuple[int, int]
) -> None:
    key = funded_key(product, team)
    answer = product.chat(key, "Which one?", model="cost-optimized", **asked)
    assert answer.status == 200, answer.body
    [served] = [entry for entry in product.truth() if entry.request_id == answer.headers["x-request-id"]]
    assert served.model == model
    [event] = settled_events(product, 1, team_id=team)
    assert event["model"] == model
    assert nanos(event["cost_usd"]) == (
        served.prompt_tokens * nanos_per_token[0] + served.completion_tokens * nanos_per_token[1]
    )


def test_none_asked_sends_the_bound_of_the_entry_to_the_provider(product: Product, team: str) -> None:
    """The cheap entry takes at most 1,000 tokens, so a caller that sets no limit gets that one."""
    key = funded_key(product, team)
    answer = product.chat(key, "As long as you like. [[out=3000]]", model="cost-optimized")
    assert answer.json["usage"]["completion_tokens"] == 1000


def test_a_failing_model_falls_back_to_the_next_entry_and_only_the_served_one_costs(
    product: Product, team: str
) -> None:
    key = funded_key(product, team)
    answer = product.chat(key, "[[status=503]]", model="cost-optimized")
    assert answer.status == 502
    [event] = settled_events(product, 1, team_id=team)
    assert [attempt["model"] for attempt in event["attempts"]] == ["gpt-4o-mini", "gpt-4o"]
    assert nanos(event["cost_usd"]) == 0
    assert event["status"] == "upstream_error"
