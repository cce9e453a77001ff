from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from keeptrusts.control.context import Control, Tools
from keeptrusts.control.opening import open_control
from keeptrusts.store.contracts import LedgerStore
from tests.hand_clock import HandClock
from tests.store.ledgers import LEDGERS

ADMIN_TOKEN = "the-admin-token"


@pytest.fixture
def anyio_backend() -> str:
    """The product runs on asyncio, and so do its tests."""
    return "asyncio"


@pytest.fixture
def clock() -> HandClock:
    """A morning in the middle of a month and of a week."""
    return HandClock(datetime(2026, 4, 15, 9, 30, tzinfo=UTC))


@pytest.fixture
def tools(clock: HandClock) -> Tools:
    return Tools(clock)


@pytest.fixture(params=LEDGERS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[LedgerStore]:
    """Every ledger store, one after the other."""
    async with LEDGERS[request.param](tmp_path) as opened:
        yield opened


@pytest.fixture
async def control(tmp_path: Path, clock: HandClock) -> AsyncIterator[Control]:
    """The control plane on a fresh data directory."""
    async with open_control(tmp_path / "data", ADMIN_TOKEN, clock) as opened:
        yield opened
