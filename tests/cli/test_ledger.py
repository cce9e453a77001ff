"""`kt ledger verify` on a ledger that nobody serves: what it says, and how it ends."""

import asyncio
import json
from pathlib import Path

import apsw
import pytest

from tests.busy_ledger import busy_ledger
from tests.cli.conftest import Kt
from tests.control.test_examination import STORY


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A data directory with a ledger in it."""

    async def fill() -> None:
        async with busy_ledger(tmp_path / "data") as ledger:
            await ledger.play(STORY)

    asyncio.run(fill())
    return tmp_path / "data"


def test_a_sound_ledger_holds(kt: Kt, home: Path) -> None:
    ran = kt("ledger", "verify", "--data-dir", str(home))
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert [line.split()[0] for line in lines[1:13]] == [f"L{number}" for number in range(1, 13)]
    assert lines[-1].startswith("The ledger holds.")


def test_an_altered_row_is_named_and_the_answer_is_no(kt: Kt, home: Path) -> None:
    connection = apsw.Connection(str(home / "ledger.db"))
    connection.execute("UPDATE lease SET granted_nanos = granted_nanos + 7 WHERE lease_id = 'lse_node_1_1'")
    connection.close()
    ran = kt("ledger", "verify", "--database", str(home / "ledger.db"))
    assert ran.code == 1
    assert "L3: lease lse_node_1_1: granted, by its recorded grants: expected" in ran.out
    assert "The ledger does NOT hold" in ran.out.splitlines()[-1]


def test_programs_get_json(kt: Kt, home: Path) -> None:
    ran = kt("ledger", "verify", "--data-dir", str(home), "--format", "json", "--at-rest")
    told = json.loads(ran.out)
    assert (ran.code, told["ok"]) == (1, False)
    (broken,) = [it for it in told["invariants"] if it["ok"] is False]
    assert broken["invariant"] == "L12"
    assert {it["subject"] for it in broken["findings"]} == {"lease lse_node_1_4", "lease lse_node_2_7"}


def test_the_ledger_is_left_as_it_was(kt: Kt, home: Path) -> None:
    before = (home / "ledger.db").read_bytes()
    kt("ledger", "verify", "--data-dir", str(home))
    assert (home / "ledger.db").read_bytes() == before


@pytest.mark.parametrize("content", [None, b"", b"hello, this is no database at all, however long one looks" * 100])
def test_what_is_no_ledger_cannot_be_told(kt: Kt, tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "ledger.db"
    if content is not None:
        file.write_bytes(content)
    ran = kt("ledger", "verify", "--database", str(file))
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("kt: ")
    assert "Traceback" not in ran.err


def test_a_damaged_ledger_cannot_be_told(kt: Kt, home: Path) -> None:
    file = home / "ledger.db"
    content = bytearray(file.read_bytes())
    for page in range(4, len(content) // 4096):
        content[page * 4096 : page * 4096 + 100] = b"\xff" * 100
    file.write_bytes(bytes(content))
    ran = kt("ledger", "verify", "--data-dir", str(home))
    assert (ran.code, ran.out) == (2, "")
    assert "damaged" in ran.err


def test_text_that_is_none_is_told_without_a_stack_trace(kt: Kt, home: Path) -> None:
    connection = apsw.Connection(str(home / "ledger.db"))
    connection.execute("UPDATE lease SET node_id = CAST(X'ff00fe' AS TEXT)")
    connection.close()
    ran = kt("ledger", "verify", "--data-dir", str(home))
    assert (ran.code, ran.out) == (2, "")
    assert "a text in it is none" in ran.err


def test_a_registration_that_cannot_be_read_excuses_nobody(kt: Kt, home: Path) -> None:
    connection = apsw.Connection(str(home / "ledger.db"))
    connection.execute("UPDATE node SET registration = 'no json'")
    connection.close()
    assert kt("ledger", "verify", "--data-dir", str(home)).code == 0
