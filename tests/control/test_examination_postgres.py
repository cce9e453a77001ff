"""The examination on PostgreSQL: the same rules over the same rows, and its own way of guarding facts."""

import random
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from keeptrusts.control.examination import examine
from tests.busy_ledger import BusyLedger, busy_ledger
from tests.control.test_examination import STORY, holds, random_steps
from tests.store.real_postgres import empty_database

pytestmark = pytest.mark.anyio

OPEN = "ALTER TABLE event DISABLE TRIGGER USER; "
PLANTED = {
    "leased more than leases say": ("UPDATE wallet_period SET leased_nanos = leased_nanos + 1", "L1", "leased"),
    "an event deleted": (OPEN + "DELETE FROM event WHERE event_no = 2", "L8", "event 2: 1 rows are gone"),
    "a guard switched off": (OPEN, "L8", "trigger event_no_update: is off"),
    "a guard taken away": ("DROP TRIGGER audit_no_delete ON audit", "L8", "trigger audit_no_delete: is missing"),
    "a guard that does nothing": (
        "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "L8",
        "function refuse_change: was altered",
    ),
    "a cost altered": (OPEN + "UPDATE event SET cost_nanos = cost_nanos + 1 WHERE cost_nanos > 0", "L5", "cost"),
}


@pytest.fixture
async def database_url() -> AsyncIterator[str]:
    async with empty_database() as url:
        yield url


@pytest.fixture
async def ledger(tmp_path: Path, database_url: str) -> AsyncIterator[BusyLedger]:
    async with busy_ledger(tmp_path, database_url) as opened:
        await opened.play(STORY)
        yield opened


async def test_a_busy_honest_ledger_has_no_finding(ledger: BusyLedger) -> None:
    draw = random.Random(3)
    for _ in range(3):
        await ledger.play(random_steps(draw, 40))
        await holds(ledger)
    await ledger.close_everything()
    await holds(ledger, at_rest=True)


@pytest.mark.parametrize("name", PLANTED)
async def test_what_is_planted_is_found(ledger: BusyLedger, database_url: str, name: str) -> None:
    await holds(ledger)
    sql, invariant, told = PLANTED[name]
    connection = await asyncpg.connect(database_url)
    await connection.execute(sql)
    await connection.close()
    verdicts = await examine(ledger.control.store, ledger.clock.unix_ns())
    found = [str(finding) for finding in verdicts[invariant].findings]  # type: ignore[index]
    assert any(told in each for each in found), [str(f) for v in verdicts.all for f in v.findings]
