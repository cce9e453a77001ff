"""What is sent is JSON whatever it is called, its numbers are exact, and everything that is wrong is named."""

from typing import Any

import pytest

from tests.api.asgi import Caller

pytestmark = pytest.mark.anyio

ALLOCATE = "/v1/wallets/allocate"


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain", "application/json", ""])
async def test_the_content_type_does_not_matter(admin: Caller, content_type: str) -> None:
    body = b'{"team_id": "search-team", "amount": 5000.00, "period": "monthly"}'
    answer = await admin.send("POST", ALLOCATE, body, {"content-type": content_type})
    assert answer.status == 200


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("0.000000001", "0.000000001"),
        ("0.1", "0.1"),
        ("9007199254.740993001", "9007199254.740993001"),
        ('"0.01"', "0.01"),
        ("1e2", "100"),
        ("5000.00", "5000"),
        ("0", "0"),
    ],
)
async def test_amounts_come_back_digit_by_digit(admin: Caller, sent: str, shown: str) -> None:
    answer = await admin.post(ALLOCATE, f'{{"team_id": "t", "amount": {sent}}}'.encode())
    assert f'"allocated":{shown},' in answer.text


@pytest.mark.parametrize(
    "amount",
    [
        "-1",
        "-0.000000001",
        "0.0000000001",
        "1e40",
        "1e400",
        "9223372036.854775808",
        "true",
        "null",
        '"NaN"',
        '"abc"',
        "[]",
        "{}",
        '""',
        '"Infinity"',
        "123456789012345678901234567890",
    ],
)
async def test_an_amount_that_is_none_changes_nothing(admin: Caller, amount: str) -> None:
    await admin.post(ALLOCATE, {"team_id": "t", "amount": 7})
    answer = await admin.post(ALLOCATE, f'{{"team_id": "t", "amount": {amount}}}'.encode())
    assert answer.status == 400
    [problem] = answer.json["error"]["details"]["problems"]
    assert problem["field"] == "amount"
    assert (await admin.get("/v1/wallets/balance", team_id="t")).json["allocated"] == 7


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"team_id": "\\ud800", "amount": 1}',
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"NaN",
        b"[]",
        b"1",
    ],
)
async def test_a_body_that_is_no_object_is_a_400(admin: Caller, body: bytes) -> None:
    answer = await admin.post(ALLOCATE, body)
    assert answer.status == 400
    assert answer.json["error"]["type"] == "invalid_request_error"


async def test_every_problem_is_named_at_once(admin: Caller) -> None:
    answer = await admin.post(ALLOCATE, {"team_id": "", "amount": -1, "period": "hourly", "surplus": True})
    assert answer.status == 400
    fields = [problem["field"] for problem in answer.json["error"]["details"]["problems"]]
    assert fields == ["team_id", "amount", "period", "surplus"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"amount": 1}, "team_id"),
        ({"team_id": "t", "amount": 1, "currency": "EUR"}, "currency"),
        ({"scope": "galaxy", "scope_id": "p", "amount": 1}, "scope"),
        ({"team_id": "t", "amount": 1, "time_zone": "Mars/Olympus"}, "time_zone"),
        ({"team_id": "t", "amount": 1, "fiscal_month": 13}, "fiscal_month"),
        ({"team_id": "t", "scope_id": "u", "amount": 1}, "scope_id"),
        ({"team_id": "a\u0000b", "amount": 1}, "team_id"),
        ({"team_id": "x" * 201, "amount": 1}, "team_id"),
    ],
)
async def test_what_an_allocation_cannot_be(admin: Caller, body: dict[str, Any], field: str) -> None:
    answer = await admin.post(ALLOCATE, body)
    assert answer.status == 400
    assert [problem["field"] for problem in answer.json["error"]["details"]["problems"]] == [field]


async def test_a_body_over_the_limit_is_a_413(admin: Caller) -> None:
    answer = await admin.post(ALLOCATE, b'{"team_id": "' + b"x" * 1_100_000 + b'", "amount": 1}')
    assert (answer.status, answer.code) == (413, "body_too_large")


async def test_a_query_value_of_the_wrong_kind_is_a_400(admin: Caller) -> None:
    answer = await admin.get("/v1/tokens", limit="many")
    assert (answer.status, answer.json["error"]["details"]["problems"][0]["field"]) == (400, "limit")


async def test_the_description_of_the_api_has_real_shapes(admin: Caller) -> None:
    found = (await admin.get("/openapi.json")).json
    assert found["openapi"].startswith("3.1")
    shapes = found["components"]["schemas"]
    for path, methods in found["paths"].items():
        for method, described in methods.items():
            ok = next(status for status in described["responses"] if status.startswith("2"))
            assert described["responses"][ok]["content"]["application/json"]["schema"], (method, path)
    assert set(shapes["Allocate"]["properties"]) >= {"team_id", "amount", "currency", "period", "description"}
    assert shapes["Allocate"]["properties"]["amount"]["type"] == "number"
    assert {"/v1/tokens", "/v1/events", "/v1/wallets/balance", "/v1/model-pricing"} <= set(found["paths"])


@pytest.mark.parametrize("path", [ALLOCATE, "/v1/gateway/register"])
async def test_a_client_that_breaks_off_is_no_fault_of_ours(admin: Caller, path: str) -> None:
    """A gateway that is killed while it asks: an answer that nobody reads, and no stack trace in the log."""
    answer = await admin.send("POST", path, b'{"team', breaks_off=True)
    assert answer.status == 400
