from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from keeptrusts.api.app import create_app
from keeptrusts.control.context import Control
from keeptrusts.control.opening import open_control
from tests.api.asgi import Caller
from tests.hand_clock import HandClock
from tests.ledger_node import LedgerNode

ADMIN_TOKEN = "the-admin-token"


@pytest.fixture
def anyio_backend() -> str:
    """The product runs on asyncio, and so do its tests."""
    return "asyncio"


@pytest.fixture
def clock() -> HandClock:
    return HandClock(datetime(2026, 4, 15, 9, 30, tzinfo=UTC))


@pytest.fixture
async def control(tmp_path: Path, clock: HandClock) -> AsyncIterator[Control]:
    async with open_control(tmp_path / "data", ADMIN_TOKEN, clock) as opened:
        yield opened


@pytest.fixture
def app(control: Control) -> Any:
    return create_app(control)


@pytest.fixture
def admin(app: Any) -> Caller:
    return Caller(app, ADMIN_TOKEN)


@pytest.fixture
def node(control: Control) -> LedgerNode:
    """A gateway whose journal reaches the same store."""
    return LedgerNode(control.store, control.tools)
