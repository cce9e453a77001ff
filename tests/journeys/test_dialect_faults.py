"""What goes wrong between a door and a provider: streams that are left or break off, errors, answers that don't say their
usage. A row is the provider's own bill or says that it is not, is never below it, and nothing stays held."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.journeys.books import nanos
from tests.journeys.crowd import ask_together
from tests.journeys.raw_streams import ENDS, PATHS, Caller, call_all, request
from tests.journeys.web import Answer
from tests.journeys.world import MODEL_OF, Till, tells_no_secret

pytestmark = pytest.mark.xdist_group("journeys-dialects")

DOORS = tuple(PATHS)
PROVIDERS = tuple(MODEL_OF)
every_way = pytest.mark.parametrize(("door", "provider"), [(d, p) for d in DOORS for p in PROVIDERS])

WORDS = 6
SLOW = f"Tell me a story. [[out={WORDS} gap_ms=3]]"


@every_way
def test_a_stream_that_is_left_after_any_of_its_events_costs_what_the_provider_bills(
    till: Till, door: str, provider: str
) -> None:
    [whole] = call_all(till, door, MODEL_OF[provider], [Caller(SLOW)])
    assert ENDS[door] in whole
    count = whole.count(b"\n\n")
    assert count > WORDS
    leaving = [Caller(SLOW, events) for events in range(1, count)]
    call_all(till, door, MODEL_OF[provider], leaving)
    assert len(till.balanced()) == count


@every_way
def test_a_stream_that_breaks_after_any_of_its_events_says_so_and_is_booked_at_no_less_than_its_bill(
    till: Till, door: str, provider: str
) -> None:
    places = [(fault, at) for fault in ("cut", "reset", "error", "short") for at in (*range(WORDS), -5, -4, -3, -2, -1)]
    if provider == "bedrock":
        places.remove(("short", -1))  # what lacks is only the figures: see the answers without usage
    asked = [Caller(f"Tell me a story. [[out={WORDS} fault={fault} at={at} gap_ms=1]]") for fault, at in places]
    answers = call_all(till, door, MODEL_OF[provider], asked)
    complete = [at for at, seen in zip(places, answers, strict=True) if ENDS[door] in seen]
    assert complete == [], "the client must not take a broken stream for a whole one"
    silent = [at for at, seen in zip(places, answers, strict=True) if b"error" not in seen]
    assert silent == [], "the client must be told"
    for (event, _), seen in zip(till.never_short(), answers, strict=True):
        assert event["status"] in ("interrupted", "upstream_error"), event["status"]
        tells_no_secret(seen.decode(), event)


@every_way
def test_an_answer_without_usage_is_counted_or_booked_at_its_hold_and_says_so(
    till: Till, door: str, provider: str
) -> None:
    prompt = "Who counts? [[fault=no_usage]]"
    asked = [request(till, door, MODEL_OF[provider], prompt, stream) for stream in (False, True)]
    for answer in ask_together([till.world.gateway_port], asked):
        assert answer.status == 200
        assert "wörd24" in answer.body.decode() or b"w\\u00f6rd24" in answer.body
    for event, _ in till.never_short():
        assert event["usage_source"] in ("counted", "worst_case")
        assert nanos(event["cost_usd"]) > 0


def test_thinking_that_is_neither_told_nor_counted_is_booked_at_the_hold(till: Till) -> None:
    """Gemini thinks unless it is told not to, bills that, and shows none of it: no count of ours can know how much."""
    prompt = "Who counts? [[fault=no_usage think=45 hidden=1 out=1]]"
    asked = [request(till, "chat", MODEL_OF["gemini"], prompt, stream) for stream in (False, True)]
    ask_together([till.world.gateway_port], asked)
    assert [event["usage_source"] for event, _ in till.never_short()] == ["worst_case", "worst_case"]


STATUSES: Mapping[str, tuple[int, str]] = {
    "status=400": (400, ""),
    "status=401": (502, "upstream_rejected_key"),
    "status=403": (502, "upstream_rejected_key"),
    "status=404": (404, ""),
    "status=429 retry_after=7": (429, "upstream_rate_limited"),
    "status=500": (502, "upstream_error"),
    "status=503": (502, "upstream_error"),
    "status=529": (502, "upstream_error"),
}
"""What a provider's error is to the client: its status, and its code where it is the gateway's own."""


@every_way
def test_an_error_of_the_provider_is_told_in_the_clients_dialect_and_costs_nothing(
    till: Till, door: str, provider: str
) -> None:
    asked = [(wish, stream) for wish in STATUSES for stream in (False, True)]
    wishes = [request(till, door, MODEL_OF[provider], f"Fail. [[{wish}]]", stream) for wish, stream in asked]
    answers = ask_together([till.world.gateway_port], wishes)
    assert [answer.status for answer in answers] == [STATUSES[wish][0] for wish, _ in asked]
    for (wish, _), answer in zip(asked, answers, strict=True):
        code = STATUSES[wish][1]
        error = error_of(door, answer)
        assert error["message"], wish
        assert not code or code_of(door, error) == code, wish
        tells_no_secret(answer.body.decode())
        assert ("retry_after" in wish) == (answer.headers.get("retry-after") == "7")
    told = error_of(door, answers[0])["message"]
    assert "told to fail with 400" in told, "the provider's own words on what the client did wrong"
    for event, billed in till.balanced():
        assert billed is None
        assert event["status"] == "upstream_error"


def test_a_key_that_gemini_rejects_with_400_is_the_gateways_fault_and_not_the_callers(till: Till) -> None:
    """Google answers a wrong key with 400 and the reason API_KEY_INVALID (AIP-193)."""
    data = request(till, "chat", MODEL_OF["gemini"], "Hello. [[fault=bad_key]]", stream=False)
    [answer] = ask_together([till.world.gateway_port], [data])
    assert (answer.status, answer.error["code"]) == (502, "upstream_rejected_key")


def error_of(door: str, answer: Answer) -> dict[str, Any]:
    """The error's inside, in the shape that the door's SDK reads."""
    body = json.loads(answer.body)
    assert (body.get("type") == "error") == (door == "messages"), body
    error = body["error"]
    assert isinstance(error, dict)
    return error


def code_of(door: str, error: dict[str, Any]) -> str:
    return str(error["details"]["error_code"] if door == "messages" else error["code"])
