"""Checkpoints follow the ledger: every row is covered once, by the next one, and what was restored is not built upon."""

import logging
import os
from datetime import timedelta
from pathlib import Path

import pytest

from keeptrusts.control import checkpoints
from keeptrusts.control.checkpoints import Broken, make_checkpoint
from keeptrusts.control.context import Control
from keeptrusts.core.audit.rows import TABLES
from keeptrusts.core.audit.statement import read_statement
from keeptrusts.store.data_dir import DataDir, DataDirUnusable
from keeptrusts.store.seal import KEY, PUBLIC_KEYS, WITNESS, Seal
from keeptrusts.workers.checkpoints import cover_new_rows, last_checkpoint
from tests.audited_ledger import audited, fill, inspected
from tests.hand_clock import HandClock
from tests.ledger_node import LedgerNode

pytestmark = pytest.mark.anyio


async def test_every_row_is_covered_once(control: Control, tmp_path: Path) -> None:
    await fill(control, 3, 2)
    assert await make_checkpoint(control) is None
    report = await inspected(tmp_path / "data")
    async with control.store.read() as books:
        counts = {table.name: await books.covered_rows.count(table, (-(2**63), 2**63 - 1)) for table in TABLES}
    assert report.offences == ()
    assert report.covered == counts
    assert min(counts.values()) > 0
    assert (report.checkpoints, sum(report.uncovered.values()), report.proven) == (3, 0, True)


async def test_budget_alerts_are_covered_too(control: Control) -> None:
    """They come from no journal: their record's number is 0."""
    await fill(control, 1, 2)
    async with control.store.read() as books:
        (latest,) = await books.checkpoints.before(None, 1)
    statement = read_statement(latest.text)
    assert statement.tables["event"].rows > sum(node.calls for node in statement.calls.nodes) == 4


async def test_every_column_of_the_covered_tables_is_hashed(control: Control) -> None:
    """A new column needs a new form in core/audit/rows.py, or it could be changed without notice."""
    async with control.store.read() as books:
        for table in TABLES:
            rows = await books.meta._sql.fetch(f"SELECT name FROM pragma_table_info('{table.name}')")
            assert [name for (name,) in rows] == [table.number, *table.columns]


async def test_new_rows_wait_for_the_next_one(control: Control, tmp_path: Path) -> None:
    await fill(control, 1, 1)
    await LedgerNode(control.store, control.tools, "node_late").settle("call_late", None, 5)
    report = await inspected(tmp_path / "data")
    assert (report.proven, report.uncovered["event"]) == (True, 1)
    await cover_new_rows(control)
    assert (await inspected(tmp_path / "data")).uncovered["event"] == 0


async def test_a_ledger_built_anew_from_the_journals_has_the_same_root_of_calls(
    control: Control, tmp_path: Path
) -> None:
    """F8: the journals arrive in another order, and rows are numbered anew."""
    nodes = [LedgerNode(control.store, control.tools, name) for name in ("node_b", "node_a")]
    for call in range(3):
        for node in nodes:
            await node.settle(f"call_{node.terms.node_id}_{call}", None, 5 + call)
    assert (made := await make_checkpoint(control)) is not None
    async with audited(tmp_path / "anew") as anew:
        for node in sorted(nodes, key=lambda node: node.terms.node_id):
            node.store = anew.store
            await node.ship_groups(node.groups)
        assert (again := await make_checkpoint(anew)) is not None
    assert again.statement.calls == made.statement.calls
    assert again.statement.root != made.statement.root


async def test_many_rows_make_many_checkpoints(
    control: Control, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "ROWS_MAX", 7)
    monkeypatch.setattr(checkpoints, "PAGE_ROWS", 3)
    node = LedgerNode(control.store, control.tools)
    for call in range(20):
        await node.settle(f"call_{call}", None, 5)
    await cover_new_rows(control)
    report = await inspected(tmp_path / "data")
    assert (report.checkpoints, report.covered["event"], report.proven) == (3, 20, True)


async def test_two_processes_make_one_checkpoint(control: Control, tmp_path: Path) -> None:
    """With one database for several of them, the slower one keeps its hands off."""
    await fill(control, 1, 1)
    async with control.store.read() as books:
        first = await books.checkpoints.find(1)
    assert first is not None
    async with control.store.write() as books:
        assert not await books.checkpoints.add(first, {"event": b""})
    assert (await inspected(tmp_path / "data")).proven


async def test_an_older_copy_is_noticed_and_not_built_upon(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    home = tmp_path / "data"
    async with audited(home) as control:
        await fill(control, 1, 1)
    older = (home / "ledger.db").read_bytes()
    async with audited(home) as control:
        await LedgerNode(control.store, control.tools, "node_late").settle("call_late", None, 5)
        await make_checkpoint(control)
    (home / "ledger.db").write_bytes(older)
    report = await inspected(home)
    assert [(o.fault, o.number) for o in report.offences] == [("unseen", 2)]
    assert (await inspected(home, witnessed=False)).proven, "the copy alone looks whole: somebody has to have seen more"
    async with audited(home) as control:
        with pytest.raises(Broken, match=r"checkpoint 2 .* is not there"):
            await make_checkpoint(control)
        with caplog.at_level(logging.ERROR):
            await cover_new_rows(control)
        assert "kt audit verify" in caplog.text
        (home / WITNESS).unlink()
    async with audited(home) as control:
        await LedgerNode(control.store, control.tools, "node_late").settle("call_late", None, 5)
        assert await make_checkpoint(control) is not None
    assert (await inspected(home)).proven


async def test_a_checkpoint_that_cannot_be_read_is_not_built_upon(control: Control) -> None:
    await fill(control, 1, 1)
    async with control.store.write() as books:
        await books.meta._sql.execute("DROP TRIGGER checkpoint_no_update")
        await books.meta._sql.execute("UPDATE checkpoint SET statement = 'x'")
    with pytest.raises(Broken):
        await make_checkpoint(control)


async def test_a_stop_makes_the_last_one(control: Control, tmp_path: Path, clock: HandClock) -> None:
    await LedgerNode(control.store, control.tools).settle("call_1", None, 5)
    clock.turn(timedelta(seconds=1))
    await last_checkpoint(control)
    assert (await inspected(tmp_path / "data")).covered["event"] == 1


def test_the_key_is_its_owners_alone_and_its_public_half_is_kept(tmp_path: Path) -> None:
    directory = DataDir(tmp_path / "data")
    first = Seal(directory).public_key
    assert Seal(directory).public_key == first
    assert os.stat(directory.path / KEY).st_mode & 0o777 == 0o600
    (directory.path / KEY).unlink()
    second = Seal(directory).public_key
    assert (directory.path / PUBLIC_KEYS).read_text().split() == [first, second]
    (directory.path / KEY).write_text("short")
    with pytest.raises(DataDirUnusable, match="does not hold a key"):
        Seal(directory)
    directory.close()


async def test_a_key_can_be_replaced(tmp_path: Path) -> None:
    """Checkpoints before and after hold, for whoever trusts both keys; the new one's alone are not enough."""
    home = tmp_path / "data"
    async with audited(home) as control:
        await fill(control, 1, 1)
    (home / KEY).unlink()
    async with audited(home) as control:
        await LedgerNode(control.store, control.tools, "node_late").settle("call_late", None, 5)
        await make_checkpoint(control)
    report = await inspected(home)
    assert (report.proven, len(report.signers)) == (True, 2)
    (home / PUBLIC_KEYS).write_text(report.signers[1])
    assert [(o.fault, o.number) for o in (await inspected(home)).offences] == [("unknown_signer", 1)]
