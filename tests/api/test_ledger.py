"""What the API says of the books: sound when they are, and which row is not when somebody altered it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import apsw
import pytest
from prometheus_client.parser import text_string_to_metric_families

from keeptrusts.api.app import create_app
from keeptrusts.workers.ledger_checker import look, watch_ledger
from tests.api.asgi import Caller
from tests.busy_ledger import BusyLedger, busy_ledger
from tests.control.test_examination import STORY

pytestmark = pytest.mark.anyio

TOKEN = "the-admin-token"


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[BusyLedger]:
    async with busy_ledger(tmp_path) as opened:
        await opened.play(STORY)
        yield opened


@pytest.fixture
def caller(ledger: BusyLedger) -> Caller:
    return Caller(create_app(ledger.control), TOKEN)


async def gauges(caller: Caller) -> dict[tuple[str, ...], float]:
    """Every sample of a scrape by its name and the values of its labels."""
    answer = await caller.get("/metrics")
    assert answer.status == 200
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


async def until(seen: Callable[[], bool]) -> None:
    """Lets the others go on until it is so."""
    for _ in range(100_000):
        if seen():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came to that")


def damage(directory: Path) -> None:
    connection = apsw.Connection(str(directory / "ledger.db"))
    connection.set_busy_timeout(5_000)
    connection.execute("UPDATE wallet_period SET posted_nanos = posted_nanos + 5")
    connection.close()


async def test_nothing_is_said_before_the_first_examination(caller: Caller) -> None:
    health = (await caller.get("/v1/ledger/health")).json
    assert (health["status"], health["checked_at"]) == ("unknown", None)
    assert {it["ok"] for it in health["invariants"]} == {None}
    assert (await gauges(caller))["keeptrusts_ledger_status", "unknown"] == 1


async def test_health_and_metrics_change_when_a_row_is_altered(
    ledger: BusyLedger, caller: Caller, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await look(ledger.control)
    health = (await caller.get("/v1/ledger/health")).json
    assert health["status"] == "ok"
    assert [it["invariant"] for it in health["invariants"] if it["ok"] is not True] == ["L10"]
    sound = await gauges(caller)
    assert sound["keeptrusts_ledger_invariant_ok", "L1"] == 1
    assert sound["keeptrusts_ledger_checked_rows", "L9"] == sound["keeptrusts_events_recorded_total",] > 0
    assert sound["keeptrusts_wallet_budget_usd", "monthly", "team:team_a"] == 0.0000041

    damage(tmp_path)
    await look(ledger.control)
    health = (await caller.get("/v1/ledger/health")).json
    assert health["status"] == "violated"
    (broken,) = [it for it in health["invariants"] if it["ok"] is False]
    assert broken["invariant"] == "L1"
    first = broken["findings"][0]
    assert first["found"] == first["expected"] + 5
    told = await gauges(caller)
    assert told["keeptrusts_ledger_invariant_ok", "L1"] == 0
    assert told["keeptrusts_ledger_status", "violated"] == 1
    assert told["keeptrusts_ledger_findings_total",] == broken["broken"]
    assert "L1 is violated" in caplog.text


async def test_an_old_result_is_no_result(ledger: BusyLedger, caller: Caller) -> None:
    await look(ledger.control)
    await ledger.step("turn", "", 0, 1)
    assert (await caller.get("/v1/ledger/health")).json["status"] == "unknown"


async def test_the_watch_goes_on_and_sees_what_comes(ledger: BusyLedger, tmp_path: Path) -> None:
    watching = asyncio.create_task(watch_ledger(ledger.control, interval_s=0.01))
    try:
        await until(lambda: ledger.control.watch.last is not None)
        read = ledger.control.watch.facts.events_to
        await ledger.step("call", "node_1", 1, 20)
        await until(lambda: ledger.control.watch.facts.events_to > read)
        damage(tmp_path)
        await until(lambda: ledger.control.watch.status(ledger.clock.unix_ns()) == "violated")
    finally:
        watching.cancel()


async def test_both_are_for_administrators(ledger: BusyLedger) -> None:
    stranger = Caller(create_app(ledger.control), None)
    for path in ("/metrics", "/v1/ledger/health"):
        assert (await stranger.get(path)).status == 401


async def test_metrics_hold_no_secret(ledger: BusyLedger, caller: Caller) -> None:
    text = (await caller.get("/metrics")).text
    assert TOKEN not in text
    assert "kt_" not in text
