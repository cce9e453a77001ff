"""A ledger that was lost is made again from the journals: the same rows, the same sums."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from keeptrusts.cli.main import main
from keeptrusts.control import nodes, wallets
from keeptrusts.control.batches import apply_batch
from keeptrusts.control.context import Actor, Control
from keeptrusts.control.opening import open_control
from keeptrusts.control.wallets import Allocation
from keeptrusts.core.ledger.records import Boot, CloseLease, End, Granted
from keeptrusts.core.link import Registration
from keeptrusts.gateway.journal import segment_name
from keeptrusts.store.reading import ledger_to_read
from tests.hand_clock import HandClock
from tests.ledger_node import LedgerNode, attempt, event, reserve

ADMIN = Actor("admin", "admin")
MORNING = datetime(2026, 4, 15, 9, 30, tzinfo=UTC)
CALLS = 40
COST = 25


async def lived(directory: Path, backup: Path) -> None:
    """An API with two gateways, both of which end well; the backup is taken when one of them is half through."""
    async with open_control(directory, "token", HandClock(MORNING)) as control:
        await wallets.allocate(control, ADMIN, Allocation("team", "team_a", 10_000))
        for number, node_id in enumerate(("nod_1", "nod_2")):
            if number == 1:
                await copied(control, backup)
            await nodes.register(control, Registration(node_id, "host", "1", (), True, (), (), ()))
            node = LedgerNode(control.store, control.tools, node_id)
            node.write(Boot(node_id, "", 1))
            lease_id, grant_id = f"lse_{number}", f"grt_{number}"
            answer = await node.ask(lease_id, need=CALLS * COST, grant_id=grant_id)
            at_ns = control.tools.clock.unix_ns()
            node.write(Granted(grant_id, lease_id, answer.granted_nanos, "team_a", (), at_ns))
            for call in range(CALLS):
                call_id = f"evt_{number}_{call}"
                done = event(call_id, (attempt(lease_id, COST),), at_ns=at_ns)
                node.write(reserve(call_id, lease_id, COST), done)
            node.write(CloseLease(lease_id, "team_a"), End())
            terms = await nodes.terms_of(control, node_id)
            for data, first_seq, chain in node.groups:
                await apply_batch(control.store, control.tools, terms, data, first_seq, chain)
            keep_on_disk(node, directory / "gateway" / "journals" / node_id)


async def copied(control: Control, target: Path) -> None:
    lane = control.store._database._writer  # type: ignore[attr-defined]
    await lane.run(lane.connection.execute, f"VACUUM INTO '{target}'")


def keep_on_disk(node: LedgerNode, directory: Path) -> None:
    directory.mkdir(parents=True)
    _, first_seq, chain = node.groups[0]
    data = b"".join(group for group, _, _ in node.groups)
    (directory / segment_name(first_seq, chain)).write_bytes(data)


@pytest.fixture
def lost(tmp_path: Path) -> Path:
    """A data directory, and ``backup.db`` beside it."""
    asyncio.run(lived(tmp_path / "data", tmp_path / "backup.db"))
    return tmp_path


async def _rows(file: Path, look: Callable[[Any], Any]) -> Any:
    async with ledger_to_read(file) as store, store.read() as books:
        return await look(books)


def rows(file: Path) -> list[tuple[Any, ...]]:
    """Every event, but for the order of recording."""
    names = "event_id, at_ns, status, cost_nanos, node_id, journal_seq, period_key, attempts"

    async def look(books: Any) -> Any:
        return await books.events._sql.fetch(f"SELECT {names} FROM event ORDER BY event_id")

    found: list[tuple[Any, ...]] = asyncio.run(_rows(file, look))
    return found


def sums(file: Path) -> list[tuple[Any, ...]]:
    async def look(books: Any) -> Any:
        return await books.events._sql.fetch(
            "SELECT SUM(posted_nanos), SUM(leased_nanos), SUM(suspense_nanos), SUM(overrun_nanos) FROM wallet_period"
        )

    found: list[tuple[Any, ...]] = asyncio.run(_rows(file, look))
    return found


def rebuild(*arguments: object) -> int:
    return main(["ledger", "rebuild", *map(str, arguments)])


def test_from_a_backup_and_the_journals_the_ledger_is_what_it_was(
    lost: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    was = lost / "data" / "ledger.db"
    assert rebuild("--journals", lost / "data", "--from", lost / "backup.db", "--to", lost / "new.db") == 0
    assert rows(lost / "new.db") == rows(was)
    assert sums(lost / "new.db") == sums(was) == [(2 * CALLS * COST, 0, 0, 0)]
    said = capsys.readouterr().out
    assert f"{CALLS} rows were added" in said
    assert "whole" in said
    assert "recovery" not in said, "every journal has ended"


def test_from_nothing_the_rows_and_sums_are_there_and_budgets_are_not(
    lost: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    was = lost / "data" / "ledger.db"
    assert rebuild("--journals", lost / "data" / "gateway" / "journals", "--to", lost / "new.db") == 0
    assert rows(lost / "new.db") == rows(was)
    assert sums(lost / "new.db") == sums(was)
    assert "monthly budget of 0" in (said := capsys.readouterr().out)
    assert "team:team_a" in said


def test_what_is_missing_of_a_journal_is_said_and_the_others_are_applied(
    lost: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [segment] = (lost / "data" / "gateway" / "journals" / "nod_1").glob("*.journal")
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    [other] = (lost / "data" / "gateway" / "journals" / "nod_2").glob("*.journal")
    other.rename(other.with_name(segment_name(50, bytes(16))))
    assert rebuild("--journals", lost / "data", "--to", lost / "new.db") == 1
    said = capsys.readouterr().out
    assert "records 1 to 49 are gone" in said
    assert "checksum" in said or "chain" in said
    assert 0 < len(rows(lost / "new.db")) < CALLS
    assert "recovery mode" in said, "those nodes have not ended, as far as anybody knows"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--journals", "{}/nowhere", "--to", "{}/new.db"], "no journal"),
        (["--journals", "{}/data", "--to", "{}/backup.db"], "there already"),
        (["--journals", "{}/data", "--from", "{}/none.db", "--to", "{}/new.db"], "no file"),
        (["--journals", "{}/data", "--from", "{}/data/key-pepper", "--to", "{}/new.db"], "cannot rebuild"),
    ],
)
def test_what_can_not_be_done_is_said_in_a_line(
    lost: Path, arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rebuild(*(each.format(lost) for each in arguments)) in (1, 2)
    assert says in capsys.readouterr().err
