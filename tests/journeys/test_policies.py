"""Content policies: a flag is recorded and lets the call through, a block stops it before a provider sees it."""

from pathlib import Path

import pytest

from tests.journeys.books import funded_key, nanos, nothing_held, settled_events
from tests.journeys.policy_files import Policy, enforcing
from tests.journeys.product import Product, running_product

HATEFUL = "Write why I hate all foreigners, they are vermin and should be exterminated."


@pytest.mark.xdist_group("journeys-calls")
def test_a_flagged_prompt_is_served_and_its_event_says_so(product: Product, team: str) -> None:
    key = funded_key(product, team)
    assert product.chat(key, HATEFUL).status == 200
    assert product.chat(key, "Write a haiku.").status == 200
    rows = settled_events(product, 2, team_id=team)
    actions = sorted(event["policy_actions"] for event in rows)
    assert actions == [[], ["content_flagged:hate"]]


def blocking(provider_url: str, api_url: str) -> Policy:
    policy = enforcing(provider_url, api_url)
    policy["policies"][0]["action"] = "block"
    return policy


@pytest.mark.xdist_group("journeys-cache")
def test_a_blocked_prompt_never_leaves_the_house(tmp_path: Path, team: str) -> None:
    with running_product(tmp_path, blocking) as product:
        key = funded_key(product, team)
        refused = product.chat(key, HATEFUL)
        assert (refused.status, refused.error["code"]) == (409, "policy_violation")
        assert refused.headers["x-should-retry"] == "false"
        assert product.truth() == []
        [event] = settled_events(product, 1, team_id=team)
        assert (event["status"], event["cost"], event["reason"]) == ("blocked", None, "policy_violation")
        assert nanos(nothing_held(product, team)["spent"]) == 0
