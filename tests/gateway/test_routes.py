"""No route goes by the identity of its caller or by the money: the whole table is tried."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from keeptrusts.core.calls.form import Part, write_form
from keeptrusts.core.pricing.pieces import ImagePrice, Pieces
from keeptrusts.core.pricing.price import Price, Rates
from keeptrusts.gateway.admin import ADMIN_ENDPOINTS
from keeptrusts.gateway.doors import DOORS
from keeptrusts.gateway.endpoints import CALLS_A_PROVIDER, ROUTES
from tests.gateway.hand_loop import HandLoop
from tests.gateway.house import KEY, House

OPEN = {"/healthz", "/readyz"}
"""Anybody may ask these; they say nothing more than their status."""

ASKS_NOBODY = {("/v1/models", "GET"), ("/v1/messages/count_tokens", "POST")}
"""Answered by the gateway itself, for its callers alone."""

MODEL = "known-model"
PIECES = Pieces((ImagePrice(40_000_000),), 15_000_000, 6_000_000)
KNOWN = Price("prc_known", "openai", MODEL, Rates(1_000_000, 1_000_000), pieces=PIECES, max_output_tokens=1_000)


def body_of(path: str) -> bytes:
    """A good request to this path."""
    if path.endswith(("/images/edits", "/images/variations", "/audio/transcriptions", "/audio/translations")):
        name = "image" if "images" in path else "file"
        fields = [Part("model", MODEL.encode()), Part("prompt", b"Hi"), Part(name, b"the file", b"a.bin")]
        return write_form(tuple(fields))[1]
    fields_of: dict[str, Any] = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "Hi"}],
        "max_tokens": 10,
        "prompt": "Hi",
        "input": "Hi",
        "voice": "alloy",
    }
    return json.dumps(fields_of).encode()


@pytest.fixture
def loop() -> Iterator[HandLoop]:
    loop = HandLoop()
    yield loop
    loop.close()
    assert loop.broken == []


@pytest.fixture
def poor(loop: HandLoop, tmp_path: Path) -> Iterator[House]:
    """A gateway that enforces budgets, whose team has nothing left."""
    house = House(loop, tmp_path, budget=0, prices=(KNOWN,))
    yield house
    house.stop()


EVERY = [(path, method) for path, methods in ROUTES.items() for method in methods]


@pytest.mark.parametrize(("path", "method"), [each for each in EVERY if each[0] not in OPEN])
def test_without_a_key_there_is_nothing_but_a_401(poor: House, path: str, method: str) -> None:
    told = poor.send(path, body_of(path), method, x_consumer_group="")
    assert (told.status, told.body.count(b"missing_key")) == (401, 1)
    assert poor.board.wires == []
    assert poor.rows() == []


@pytest.mark.parametrize(
    ("path", "method"), [each for each in EVERY if each[0] not in OPEN and each not in ASKS_NOBODY]
)
def test_without_money_there_is_a_402_a_row_and_no_call(poor: House, path: str, method: str) -> None:
    told = poor.send(path, body_of(path), method)
    poor.loop.advance(5.0)
    assert told.status == 402, told.body
    assert poor.board.wires == []
    [row] = poor.rows()
    assert (row.status, row.cost_nanos, row.asked_model) == ("blocked", None, MODEL)


AZURES = [
    *(f"/openai/deployments/{MODEL}/{path.removeprefix('/v1/')}" for path in DOORS),
    *(f"/openai/v1/{path.removeprefix('/v1/')}" for path in DOORS),
    "/openai/responses",
]


@pytest.mark.parametrize("path", AZURES)
def test_azures_addresses_lead_to_the_same_doors(poor: House, path: str) -> None:
    assert poor.send(path, body_of(path), x_consumer_group="").status == 401
    told = poor.send(path, body_of(path), x_consumer_group="", api_key=KEY)
    poor.loop.advance(5.0)
    assert told.status == 402, told.body
    assert poor.board.wires == []
    [row] = poor.rows()
    assert row.asked_model == MODEL


def test_every_door_is_in_the_table_and_nothing_else_is_open() -> None:
    assert CALLS_A_PROVIDER.keys() == DOORS.keys() <= ROUTES.keys()
    assert not ADMIN_ENDPOINTS.keys() & ROUTES.keys()
    assert {path for path, _ in EVERY if path not in DOORS} == OPEN | {path for path, _ in ASKS_NOBODY}


@pytest.mark.parametrize(
    "path",
    [
        "/v1/realtime",
        "/v1/fine_tuning/jobs",
        "/v1/chat/completions/",
        "/v1/chat/completions/x",
        "//v1/chat/completions",
        "/v1/../v1/chat/completions",
        "/V1/chat/completions",
        "/v1/responses/resp_1",
        "/openai/deployments/known-model/realtime",
        "/openai/deployments/known-model/messages/count_tokens",
        "/openai/deployments//chat/completions",
        "/openai/v1/healthz",
        "/openai",
        "/",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_what_is_not_in_the_table_is_not_found_and_reaches_nobody(poor: House, path: str, method: str) -> None:
    assert poor.send(path, body_of(path), method).status == 404
    assert poor.board.wires == []


@pytest.mark.parametrize("path", sorted(ADMIN_ENDPOINTS))
def test_a_callers_key_does_not_open_what_operators_ask(poor: House, path: str) -> None:
    assert poor.send(path, b"", "GET").status in (401, 403)
