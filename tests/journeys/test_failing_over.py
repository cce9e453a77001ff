"""Two real providers, one of which fails in every way: who serves, what it costs, and what the books say of why."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.books import Event, funded_key, nanos, nothing_held, settled_events
from tests.journeys.policy_files import Policy, enforcing
from tests.journeys.processes import ROOT, Program, free_port, until
from tests.journeys.product import ADMIN_TOKEN, Key, Product
from tests.journeys.web import ask
from tests.providers.truth import GPT_4O_MINI_NANOS, GPT_4O_NANOS, Served, read_truth

pytestmark = pytest.mark.xdist_group("journeys-failing-over")

FAILURES_TO_REST = 4
COOLDOWN_S = 1.0


class Pair(Product):
    """A product with a provider for gpt-4o-mini, and another one for gpt-4o, which stands in for it."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, self._two)
        self.main_port, self.spare_port = free_port(), free_port()
        self.spare_log = directory / "spare.jsonl"
        self._starts = 0

    def start_provider(self) -> None:
        self.spare = self._start_one("spare.log", self.spare_log, self.spare_port)
        self.start_main()

    def start_main(self) -> None:
        self._starts += 1
        self.provider = self._start_one(f"provider-{self._starts}.log", self.truth_log, self.main_port)
        self.provider_url = f"http://127.0.0.1:{self.main_port}"

    def _start_one(self, output: str, log: Path, port: int) -> Program:
        command = [sys.executable, "-m", "tests.providers.truthful", "--log", str(log), "--port", str(port)]
        program = self._start(command, output, ROOT)
        program.wait_for(lambda: program.output.partition("\n")[0], "its port")
        return program

    def _two(self, provider_url: str, api_url: str) -> Policy:
        policy = enforcing(provider_url, api_url)
        [main] = policy["providers"]["targets"]
        check = {"interval_seconds": 0.1, "timeout_seconds": 1, "unhealthy_threshold": 2, "healthy_threshold": 2}
        main |= {"id": "main", "model": "gpt-4o-mini", "weight": 3, "health_check": check}
        spare = {**main, "id": "spare", "model": "gpt-4o", "base_url": f"http://127.0.0.1:{self.spare_port}/v1"}
        spare["weight"] = 1
        del spare["health_check"]
        policy["providers"]["targets"] = [main, spare]
        policy["model_groups"] = [
            {"name": "split", "aliases": ["either"], "routing": "weighted", "targets": ["main", "spare"]}
        ]
        policy["failover"] = {
            "model_mapping": {"gpt-4o-mini": "gpt-4o"},
            "retry": {"max_attempts": 2, "base_delay_seconds": 0.01, "max_delay_seconds": 1},
        }
        policy["circuit_breaker"] = {"failure_threshold": FAILURES_TO_REST, "cooldown_seconds": COOLDOWN_S}
        return policy

    def by_spare(self) -> list[Served]:
        return read_truth(self.spare_log)

    def figures(self) -> dict[str, Any]:
        """What the gateway says of its targets to whoever has the API token."""
        url, headers = f"{self.gateway_url}/keeptrusts/providers/metrics", {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        found: dict[str, Any] = ask("GET", url, None, headers).json["targets"]
        return found


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    pair = Pair(tmp_path_factory.mktemp("pair"))
    try:
        pair.start()
        yield pair
    finally:
        pair.close()


@pytest.fixture
def key(pair: Pair, team: str) -> Key:
    """A key of this test's team. The main target is up."""
    until(lambda: pair.figures()["main"]["state"] != "unhealthy", "the main target is up")
    key = funded_key(pair, team)
    until(lambda: pair.chat(key).headers["x-keeptrusts-model"] == "gpt-4o-mini", "the main target serves")
    return key


def last_row(pair: Pair, request_id: str) -> Event:
    [row] = settled_events(pair, 1, request_id=request_id)
    return row


def attempts(row: Event) -> list[tuple[str, str, str]]:
    return [(attempt["target"], attempt["model"], attempt["outcome"]) for attempt in row["attempts"]]


def cost_of(served: Served) -> int:
    into, out = {"gpt-4o-mini": GPT_4O_MINI_NANOS, "gpt-4o": GPT_4O_NANOS}[served.model]
    return served.prompt_tokens * into + served.completion_tokens * out


def test_a_rate_limit_goes_to_the_model_that_stands_in_and_the_row_and_the_explanation_say_why(
    pair: Pair, key: Key, team: str
) -> None:
    answer = pair.chat(key, "[[status=429 retry_after=2 only=gpt-4o-mini]]")
    assert answer.status == 200, answer.body
    assert answer.headers["x-keeptrusts-model"] == "gpt-4o"
    request_id = answer.headers["x-request-id"]
    row = last_row(pair, request_id)
    assert attempts(row) == [("main", "gpt-4o-mini", "void"), ("spare", "gpt-4o", "settled")]
    assert row["attempts"][1]["chosen"] == "fallback, model mapping gpt-4o-mini to gpt-4o"
    assert (row["asked_model"], row["model"]) == ("gpt-4o-mini", "gpt-4o")
    [served] = [one for one in pair.by_spare() if one.request_id == request_id]
    assert nanos(row["cost_usd"]) == cost_of(served)
    told = pair.kt("events", "explain", request_id)
    assert "Attempt 1 went to main for gpt-4o-mini" in told
    assert "the provider answered 429" in told
    assert "because: fallback, model mapping gpt-4o-mini to gpt-4o" in told
    assert f"held from team:{team} monthly" in told
    assert f"{served.completion_tokens} output tokens at $0.01 per 1,000" in told
    found = pair.admin("GET", f"/v1/events/{row['id']}").json
    assert found["event"]["id"] == row["id"]
    assert found["sums"]["agree"] is True
    assert pair.admin("GET", "/v1/events/evt_nobody").status == 404
    nothing_held(pair, team)


def test_a_server_error_is_tried_again_there_and_then_elsewhere(pair: Pair, key: Key, team: str) -> None:
    answer = pair.chat(key, "[[status=503 only=gpt-4o-mini]]")
    assert answer.status == 200
    row = last_row(pair, answer.headers["x-request-id"])
    assert [attempt["chosen"] for attempt in row["attempts"]] == [
        "cost-priority",
        "retry 1 of 1",
        "fallback, model mapping gpt-4o-mini to gpt-4o",
    ]
    nothing_held(pair, team)


def test_a_stream_that_breaks_before_its_first_byte_goes_on_and_after_it_never(pair: Pair, key: Key, team: str) -> None:
    answer = pair.chat(key, "[[fault=cut at=0 only=gpt-4o-mini]]", stream=True)
    assert answer.status == 200
    assert b"[DONE]" in answer.body
    row = last_row(pair, answer.headers["x-request-id"])
    assert attempts(row) == [
        ("main", "gpt-4o-mini", "indeterminate"),
        ("main", "gpt-4o-mini", "indeterminate"),
        ("spare", "gpt-4o", "settled"),
    ]
    assert nanos(row["cost_usd"]) == sum(nanos(attempt["cost"]) for attempt in row["attempts"])
    broken = pair.chat(key, "[[fault=cut at=300 only=gpt-4o-mini]]", stream=True)
    row = last_row(pair, broken.headers["x-request-id"])
    assert row["status"] == "interrupted"
    assert attempts(row) == [("main", "gpt-4o-mini", "indeterminate")]
    nothing_held(pair, team)


def test_what_the_request_causes_is_not_tried_elsewhere(pair: Pair, key: Key, team: str) -> None:
    answer = pair.chat(key, "[[status=400 only=gpt-4o-mini]]")
    assert answer.status == 400
    assert len(last_row(pair, answer.headers["x-request-id"])["attempts"]) == 1
    nothing_held(pair, team)


def test_a_target_that_fails_in_a_row_rests_and_comes_back(pair: Pair, key: Key, team: str) -> None:
    for _ in range(FAILURES_TO_REST // 2):
        assert pair.chat(key, "[[status=500 only=gpt-4o-mini]]").status == 200
    assert pair.figures()["main"]["breaker"]["state"] == "open"
    resting = pair.chat(key)
    assert resting.headers["x-keeptrusts-model"] == "gpt-4o"
    row = last_row(pair, resting.headers["x-request-id"])
    assert row["attempts"][0]["chosen"].endswith("main rests")
    until(lambda: pair.chat(key).headers["x-keeptrusts-model"] == "gpt-4o-mini", "the main target is back")
    assert pair.figures()["main"]["state"] == "up"
    nothing_held(pair, team)


def test_calls_are_shared_out_by_weight(pair: Pair, key: Key, team: str) -> None:
    calls = 60
    models = [pair.chat(key, model=name).headers["x-keeptrusts-model"] for name in ("split", "either") * (calls // 2)]
    assert 30 <= models.count("gpt-4o-mini") <= 57
    assert set(models) == {"gpt-4o-mini", "gpt-4o"}
    nothing_held(pair, team)


def test_a_keys_list_bounds_the_fallbacks_too(pair: Pair, team: str) -> None:
    narrow = funded_key(pair, team, allowed_models=["gpt-4o-mini"])
    answer = pair.chat(narrow, "[[status=503 only=gpt-4o-mini]]")
    assert answer.status == 502
    assert {attempt["target"] for attempt in last_row(pair, answer.headers["x-request-id"])["attempts"]} == {"main"}
    listed = ask("GET", f"{pair.gateway_url}/v1/models", headers=narrow.headers).json["data"]
    assert {model["id"] for model in listed} == {"gpt-4o-mini", "split", "either"}
    for name in ("split", "either"):
        assert pair.chat(narrow, model=name).headers["x-keeptrusts-model"] == "gpt-4o-mini"
    assert pair.chat(narrow, model="gpt-4o").status == 403
    nothing_held(pair, team)


def test_a_dead_target_is_taken_out_by_its_checks_and_comes_back(pair: Pair, key: Key, team: str) -> None:
    pair.provider.kill()
    until(lambda: pair.figures()["main"]["state"] == "unhealthy", "its checks say so")
    answer = pair.chat(key)
    row = last_row(pair, answer.headers["x-request-id"])
    assert attempts(row) == [("spare", "gpt-4o", "settled")]
    assert row["attempts"][0]["chosen"].endswith("main is unhealthy")
    pair.start_main()
    until(lambda: pair.chat(key).headers["x-keeptrusts-model"] == "gpt-4o-mini", "it is back")
    nothing_held(pair, team)
