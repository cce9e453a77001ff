"""The exact answer cache: a hit costs nothing, says what it saved, is replayed as asked, and never crosses teams."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.journeys.books import balance, funded_key, nanos, nothing_held, settled_events
from tests.journeys.crowd import chat_bytes
from tests.journeys.policy_files import enforcing, with_cache
from tests.journeys.processes import until
from tests.journeys.product import Key, Product, running_product

pytestmark = pytest.mark.xdist_group("journeys-cache")


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    directory: Path = tmp_path_factory.mktemp("cache")
    with running_product(directory, lambda provider, api: with_cache(enforcing(provider, api))) as running:
        yield running


def test_a_repeated_call_is_answered_from_the_cache_at_no_cost(product: Product, team: str) -> None:
    key = funded_key(product, team)
    first, second = product.chat(key, "Same again."), product.chat(key, "Same again.")
    assert first.json["choices"] == second.json["choices"]
    assert (first.headers.get("x-keeptrusts-cache", "miss"), second.headers.get("x-keeptrusts-cache", "miss")) == (
        "miss",
        "hit",
    )
    rows = {event["request_id"]: event for event in settled_events(product, 2, team_id=team)}
    paid, hit = rows[first.headers["x-request-id"]], rows[second.headers["x-request-id"]]
    assert (paid["status"], paid["cache_hit"]) == ("ok", False)
    assert (hit["status"], hit["cache_hit"], hit["cost"]) == ("cached", True, 0)
    assert nanos(nothing_held(product, team)["spent"]) == nanos(paid["cost_usd"]) > 0
    assert len([entry for entry in product.truth() if entry.request_id in rows]) == 1


def test_what_was_whole_is_replayed_as_a_stream_and_the_other_way_round(product: Product, team: str) -> None:
    key = funded_key(product, team)
    whole = product.chat(key, "Both ways.")
    streamed = product.chat(key, "Both ways.", stream=True)
    text = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in streamed.events if chunk["choices"])
    assert text == whole.json["choices"][0]["message"]["content"]
    assert streamed.headers["content-type"].startswith("text/event-stream")
    rows = settled_events(product, 2, team_id=team)
    assert sum(event["cache_hit"] for event in rows) == 1


def test_another_team_pays_for_its_own_answer(product: Product, team: str) -> None:
    ours, theirs = funded_key(product, team), funded_key(product, f"{team}_other")
    assert product.chat(ours, "Whose?").headers.get("x-keeptrusts-cache", "miss") == "miss"
    assert product.chat(theirs, "Whose?").headers.get("x-keeptrusts-cache", "miss") == "miss"


def test_an_error_is_not_kept(product: Product, team: str) -> None:
    key = funded_key(product, team)
    assert product.chat(key, "[[status=500]]").status == 502
    again = product.chat(key, "[[status=500]]")
    assert again.status == 502
    assert {event["cache_hit"] for event in settled_events(product, 2, team_id=team)} == {False}


def test_a_cached_answer_needs_no_money(product: Product, team: str) -> None:
    """The look-up stands before the reserve: a team that has spent all still gets what it has paid for."""
    key = funded_key(product, team)
    assert product.chat(key, "Paid for.").status == 200
    product.admin("POST", "/v1/wallets/allocate", {"team_id": team, "amount": 0})
    assert product.chat(key, "Paid for.").headers.get("x-keeptrusts-cache", "miss") == "hit"


SLOW = "Tell us all. [[first_ms=2500 out=5]]"


def begun(product: Product, key: Key, prompt: str) -> socket.socket:
    """A call's connection, with its request sent."""
    caller = socket.create_connection(("127.0.0.1", product.gateway_port), timeout=30)
    caller.sendall(chat_bytes("gpt-4o-mini", prompt, key.headers))
    return caller


def test_when_the_first_caller_leaves_the_others_are_served_all_the_same(product: Product, team: str) -> None:
    key = funded_key(product, team)
    first = begun(product, key, SLOW)
    until(lambda: nanos(balance(product, team)["reserved"]) > 0 or None, "the first one's hold")
    with ThreadPoolExecutor() as threads:
        others = [threads.submit(product.chat, key, SLOW) for _ in range(3)]
        first.close()
        answers = [other.result() for other in others]
    assert {answer.headers["x-keeptrusts-cache"] for answer in answers} <= {"coalesced", "hit"}
    rows = settled_events(product, 4, team_id=team)
    assert len([entry for entry in product.truth() if entry.request_id in {row["request_id"] for row in rows}]) == 1
    nothing_held(product, team)


def test_who_leaves_while_he_waits_is_not_served_and_costs_nothing(product: Product, team: str) -> None:
    key = funded_key(product, team)
    with ThreadPoolExecutor() as threads:
        first = threads.submit(product.chat, key, SLOW + team)
        until(lambda: nanos(balance(product, team)["reserved"]) > 0 or None, "the first one's hold")
        begun(product, key, SLOW + team).close()
        assert first.result().status == 200
    left, served = sorted(settled_events(product, 2, team_id=team), key=lambda row: row["status"], reverse=True)
    assert (left["status"], left["reason"], left["cost"] or 0) == ("refused", "client_gone", 0)
    assert served["status"] == "ok"
    nothing_held(product, team)
