"""A ledger in honest use breaks no invariant, whatever is done with it and whenever one looks."""

import asyncio
import random
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keeptrusts.control.examination import examine
from tests.busy_ledger import NAMES, NODES, STEPS, BusyLedger, Step, busy_ledger


async def holds(ledger: BusyLedger, at_rest: bool = False) -> None:
    verdicts = await examine(ledger.control.store, ledger.clock.unix_ns(), at_rest)
    found = [str(finding) for verdict in verdicts.all for finding in verdict.findings]
    assert found == []
    assert [verdict.invariant for verdict in verdicts.all if not verdict.ok] == ["L10"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEPS, min_size=5, max_size=40))
def test_a_busy_honest_ledger_has_no_finding(steps: list[Step]) -> None:
    async def run(directory: Path) -> None:
        async with busy_ledger(directory) as ledger:
            await ledger.play(steps[: len(steps) // 2])
            await holds(ledger)
            await ledger.play(steps[len(steps) // 2 :])
            await holds(ledger)
            await ledger.close_everything()
            await holds(ledger, at_rest=True)

    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(run(Path(directory)))


def random_steps(draw: random.Random, count: int) -> list[Step]:
    """So many steps, of every kind."""
    steps: list[Step] = []
    for _ in range(count):
        what = draw.choice(
            ("ask", "call", "call", "call", "return", "close", "repeat", "double", "people", "turn", "ticket")
        )
        if what == "people":
            what = draw.choice(("allocate", "credit", "transfer", "reclaim"))
            steps.append((what, draw.choice(NAMES), draw.randrange(3), draw.randrange(1, 3_000)))
        elif what == "close":
            steps.append((what, draw.choice(NODES), draw.randrange(3), draw.randrange(2)))
        else:
            steps.append((what, draw.choice(NODES), draw.randrange(3), draw.randrange(1, 60)))
    return steps


def test_a_long_honest_history_has_no_finding(tmp_path: Path) -> None:
    async def run() -> None:
        async with busy_ledger(tmp_path) as ledger:
            draw = random.Random(1)
            for _ in range(4):
                await ledger.play(random_steps(draw, 100))
                await holds(ledger)

    asyncio.run(run())


STORY: list[Step] = [
    ("ask", "node_1", 0, 300),
    ("call", "node_1", 0, 40),
    ("call", "node_1", 0, 41),
    ("ask", "node_1", 1, 300),
    ("call", "node_1", 1, 60),
    ("call", "node_1", 1, 50),
    ("ask", "node_2", 2, 200),
    ("call", "node_2", 2, 30),
    ("call", "node_2", 2, 33),
    ("call", "node_2", 2, 35),
    ("double", "node_2", 0, 0),
    ("return", "node_1", 0, 20),
    ("credit", "team:team_a", 0, 100),
    ("close", "node_1", 0, 1),
]
UNGUARDED = (
    "DROP TRIGGER event_no_update; DROP TRIGGER event_no_delete; "
    "DROP TRIGGER entry_no_update; DROP TRIGGER entry_no_delete; DROP TRIGGER audit_no_delete;"
)
LEASE = "(SELECT lease_id FROM lease WHERE settled_nanos > 0 AND closed = 0 ORDER BY lease_id LIMIT 1)"
CALL = """(SELECT MIN(event_no) FROM event
    WHERE cost_nanos > 0 AND json_array_length(attempts) = 1 AND attempts LIKE '%lse_%')"""
PLANTED: dict[str, tuple[str, str, str]] = {
    "leased more than leases say": (
        "UPDATE wallet_period SET leased_nanos = leased_nanos + 1 WHERE wallet_id = $team",
        "L1",
        "{team} monthly from 2026-04-01T00:00Z: leased",
    ),
    "posted less than leases settled": (
        "UPDATE wallet_period SET posted_nanos = posted_nanos - 1 WHERE wallet_id = $team",
        "L1",
        "{team} monthly from 2026-04-01T00:00Z: posted",
    ),
    "suspense that no lease has": (
        "UPDATE wallet_period SET suspense_nanos = 0 WHERE wallet_id = $team",
        "L1",
        "{team} monthly from 2026-04-01T00:00Z: suspense",
    ),
    "carried from nowhere": (
        "UPDATE wallet_period SET carried_nanos = 7 WHERE wallet_id = $team",
        "L1",
        "{team} monthly: carried over",
    ),
    "settled in a lease, told by no event": (
        f"UPDATE lease SET settled_nanos = settled_nanos - 1 WHERE lease_id = {LEASE}",
        "L1",
        "monthly from 2026-04-01T00:00Z: ",
    ),
    "a statement's line altered": (
        UNGUARDED + "UPDATE ledger_entry SET balance_nanos = balance_nanos + 1 WHERE entry_no = $settle",
        "L1",
        "ledger_entry {settle}: balance",
    ),
    "granted beyond the budget": (
        "UPDATE wallet_period SET leased_nanos = 9000000 WHERE wallet_id = $team",
        "L2",
        "{team} monthly from 2026-04-01T00:00Z: granted",
    ),
    "a lease that grew without a grant": (
        f"UPDATE lease SET granted_nanos = granted_nanos + 1 WHERE lease_id = {LEASE}",
        "L3",
        "granted, by its recorded grants",
    ),
    "money left in a closed lease": (
        f"UPDATE lease SET closed = 1 WHERE lease_id = {LEASE}",
        "L3",
        "left in a closed lease",
    ),
    "a hold beyond its lease": (
        UNGUARDED + "UPDATE event SET attempts = REPLACE(attempts, '\"hold_nanos\":', '\"hold_nanos\":99') "
        f"WHERE event_no = {CALL}",
        "L3",
        "event {event}: hold of attempt 1",
    ),
    "billed beyond the hold": (
        UNGUARDED + "UPDATE event SET attempts = json_set(attempts, '$[0].hold_nanos', 1) WHERE event_no = {CALL}",
        "L4",
        "event {event}: cost of attempt 1, by its hold",
    ),
    "a cost that its attempts don't have": (
        UNGUARDED + f"UPDATE event SET cost_nanos = cost_nanos + 1 WHERE event_no = {CALL}",
        "L5",
        "event {event}: cost, by its attempts",
    ),
    "an attempt told twice": (
        UNGUARDED
        + f"UPDATE event SET attempts = json_insert(attempts, '$[#]', json_extract(attempts, '$[0]')) WHERE event_no = {CALL}",
        "L5",
        "event {event}: numbers of its attempts",
    ),
    "a cost on no evidence": (
        UNGUARDED
        + "UPDATE event SET attempts = json_set(attempts, '$[0].usage_source', 'none') WHERE event_no = {CALL}",
        "L6",
        "event {event}: attempt 1 costs something on no evidence",
    ),
    "a record applied twice": (
        UNGUARDED + "UPDATE event SET journal_seq = 1 WHERE event_no = (SELECT MAX(event_no) FROM event)",
        "L7",
        "place in the journal of node_2",
    ),
    "a journal that stands before its events": (
        "UPDATE journal SET last_seq = 1 WHERE node_id = 'node_2'",
        "L7",
        "journal of node_2: applied, by its events",
    ),
    "an event deleted": (UNGUARDED + "DELETE FROM event WHERE event_no = 2", "L8", "event 2: 1 rows are gone"),
    "an act deleted": (UNGUARDED + "DELETE FROM audit WHERE audit_no = 3", "L8", "audit 3: 1 rows are gone"),
    "a guard taken away": ("DROP TRIGGER event_no_update", "L8", "trigger event_no_update: is missing"),
    "a cost that its usage does not make": (
        UNGUARDED + "UPDATE event SET attempts = json_set(attempts, '$[0].usage.output', 5), output_tokens = 5 "
        f"WHERE event_no = {CALL}",
        "L9",
        "event {event}: cost of attempt 1",
    ),
    "a price version that nobody has": (
        f"DELETE FROM price WHERE price_id = (SELECT price_version FROM event WHERE event_no = {CALL})",
        "L9",
        "no price version",
    ),
    "a parent that does not pay": (
        "DELETE FROM lease_line WHERE wallet_id = (SELECT wallet_id FROM wallet WHERE scope = 'department')",
        "L11",
        "not its parent's monthly budget",
    ),
    "a lease of a node that has ended": (
        "UPDATE node SET state = 'ended' WHERE node_id = 'node_1'",
        "L12",
        "open, but its node node_1 has ended",
    ),
}


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[BusyLedger]:
    async with busy_ledger(tmp_path) as opened:
        await opened.play(STORY)
        yield opened


@pytest.mark.anyio
@pytest.mark.parametrize("name", PLANTED)
async def test_what_is_planted_is_found_and_its_row_named(ledger: BusyLedger, tmp_path: Path, name: str) -> None:
    await holds(ledger)
    sql, invariant, told = PLANTED[name]
    names = edited(tmp_path / "ledger.db", sql)
    verdicts = await examine(ledger.control.store, ledger.clock.unix_ns())
    found = [str(finding) for finding in verdicts[invariant].findings]  # type: ignore[index]
    assert any(told.format(**names) in each for each in found), [str(f) for v in verdicts.all for f in v.findings]


def edited(file: Path, sql: str) -> dict[str, object]:
    """Changes the database behind the ledger's back; returns the names of the rows that the tests speak of."""
    connection = apsw.Connection(str(file))
    connection.set_busy_timeout(5_000)

    def one(query: str) -> object:
        return connection.execute(query).fetchall()[0][0]

    names = {
        "team": one("SELECT wallet_id FROM wallet WHERE scope_id = 'team_a'"),
        "settle": one(
            "SELECT MAX(entry_no) - 1 FROM ledger_entry WHERE type = 'settle' AND wallet_id IN "
            "(SELECT wallet_id FROM wallet WHERE scope = 'project')"
        ),
        "event": one(f"SELECT event_id FROM event WHERE event_no = {CALL}"),
    }
    sql = sql.replace("$team", f"'{names['team']}'").replace("$settle", str(names["settle"])).replace("{CALL}", CALL)
    connection.execute(sql)
    connection.close()
    return names
