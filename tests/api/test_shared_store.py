"""On a store with several writers nobody hears of a race that was lost: what did not happen is done again."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from keeptrusts.api.app import create_app
from keeptrusts.control.opening import open_control
from tests.api.asgi import Caller
from tests.api.conftest import ADMIN_TOKEN
from tests.hand_clock import HandClock
from tests.store.real_postgres import ledger_database

pytestmark = pytest.mark.anyio


@pytest.fixture
async def shared(tmp_path: Path, clock: HandClock) -> AsyncIterator[Caller]:
    """An administrator at an API on PostgreSQL."""
    async with ledger_database() as url, open_control(tmp_path / "data", ADMIN_TOKEN, clock, url) as control:
        yield Caller(create_app(control), ADMIN_TOKEN)


async def test_the_first_allocations_of_a_team_at_once_all_succeed_and_make_one_wallet(shared: Caller) -> None:
    body = {"team_id": "team_a", "amount": "10", "period": "monthly", "description": None}
    answers = await asyncio.gather(*(shared.post("/v1/wallets/allocate", body) for _ in range(8)))
    assert {answer.status for answer in answers} == {200}, [answer.text for answer in answers]
    listed = (await shared.get("/v1/wallets")).json["data"]
    assert [row["team_id"] for row in listed] == ["team_a"]
