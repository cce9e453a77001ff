"""`kt audit verify` reads the ledger itself, says what differs and what that is worth, and never changes anything."""

import asyncio
import json
from pathlib import Path

import apsw
import pytest

from tests.audited_ledger import audited, fill
from tests.cli.conftest import Kt
from tests.cli.fake_api import FakeApi


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The default data directory of the test's own home, with two checkpoints."""

    async def made() -> None:
        async with audited(tmp_path / ".keeptrusts") as control:
            await fill(control, 2, 2)

    asyncio.run(made())
    return tmp_path / ".keeptrusts"


def change(home: Path, sql: str) -> None:
    db = apsw.Connection(str(home / "ledger.db"))
    for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        db.execute(f"DROP TRIGGER {name}")
    db.execute(sql)
    db.close()


def test_a_whole_ledger(kt: Kt, home: Path) -> None:
    ran = kt("audit", "verify")
    assert ran.code == 0, ran.out
    lines = ran.out.splitlines()
    assert lines[0] == f"{home / 'ledger.db'}: 2 checkpoints over 10 events, 10 ledger entries, 2 acts"
    assert lines[-2:] == [f"signed by keys of {home / 'audit-keys.pub'}", "as it was signed"]


def test_an_edited_row_is_named(kt: Kt, home: Path) -> None:
    change(home, "UPDATE event SET cost_nanos = 1 WHERE event_no = 1")
    ran = kt("audit", "verify")
    assert ran.code == 1
    assert ran.out.startswith("event 1 (call_node_b_0_0) was changed after it was covered\n")
    assert ran.out.endswith("NOT as it was signed: 1 offence\n")
    told = json.loads(kt("audit", "verify", "--format", "json").out)
    assert (told["proven"], told["offence_count"]) == (False, 1)
    assert told["offences"][0] | {"message": ""} == {
        "fault": "edited",
        "table": "event",
        "number": 1,
        "id": "call_node_b_0_0",
        "checkpoint": 1,
        "message": "",
    }


def test_what_a_changed_row_holds_cannot_act_in_the_terminal(kt: Kt, home: Path) -> None:
    change(home, "UPDATE event SET event_id = 'x' || char(27) || '[2J' WHERE event_no = 1")
    assert "\x1b" not in kt("audit", "verify").out


def test_a_hash_that_was_kept_elsewhere(kt: Kt, home: Path) -> None:
    latest = json.loads(kt("audit", "verify", "--format", "json").out)["latest"]
    assert kt("audit", "verify", "--witness", f"{latest['number']}:{latest['hash']}").code == 0
    ran = kt("audit", "verify", "--witness", f"9:{'0' * 64}")
    assert (ran.code, "checkpoint 9 was seen by the witness that you gave" in ran.out) == (1, True)


def test_a_copy_is_held_against_the_keys_that_were_given(kt: Kt, home: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    copy.write_bytes((home / "ledger.db").read_bytes())
    ran = kt("audit", "verify", "--database", str(copy))
    assert (ran.code, "keys that nobody vouches for" in ran.out) == (0, True)
    assert kt("audit", "verify", "--database", str(copy), "--public-key", str(home / "audit-keys.pub")).code == 0
    (tmp_path / "other.pub").write_text("ab" * 32)
    ran = kt("audit", "verify", "--database", str(copy), "--public-key", str(tmp_path / "other.pub"))
    assert (ran.code, "none of those that you trust" in ran.out) == (1, True)


def test_a_ledger_without_a_checkpoint_proves_nothing(kt: Kt, home: Path) -> None:
    change(home, "DELETE FROM checkpoint")
    change(home, "DELETE FROM checkpoint_rows")
    (home / "audit-witness").unlink()
    ran = kt("audit", "verify")
    assert (ran.code, ran.out.splitlines()[-1]) == (1, "no checkpoint yet: nothing is proven")


def test_verifying_changes_nothing(kt: Kt, home: Path) -> None:
    before = (home / "ledger.db").read_bytes()
    kt("audit", "verify")
    assert (home / "ledger.db").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--database", "nowhere.db"), "no ledger at "),
        (("--witness", "1:2"), "--witness is NUMBER:HASH"),
        (("--public-key", "nowhere.pub"), "cannot read nowhere.pub"),
        (("--public-key", __file__), "64 hex digits"),
    ],
)
def test_what_cannot_be_checked_is_said_in_one_line(kt: Kt, home: Path, words: tuple[str, ...], says: str) -> None:
    ran = kt("audit", "verify", *words)
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err
    assert len(ran.err.splitlines()) == 1


def test_a_file_that_no_engine_wrote(kt: Kt, home: Path) -> None:
    ran = kt("audit", "verify", "--database", __file__)
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (2, "", 1)
    assert "is damaged" in ran.err


def test_a_directory_without_a_ledger(kt: Kt) -> None:
    assert kt("audit", "verify").err.startswith("kt: no ledger at ")


def test_one_event_is_proven_to_somebody_else(kt: Kt, home: Path, tmp_path: Path) -> None:
    keys, file = home / "audit-keys.pub", tmp_path / "proof.json"
    ran = kt("audit", "prove", "--event", "call_node_a_1_1")
    assert (ran.code, ran.err) == (0, "")
    file.write_text(ran.out)
    ran = kt("audit", "check", str(file), "--public-key", str(keys))
    assert (ran.code, ran.out.split(" of ")[1]) == (0, "checkpoint 2, as it was signed\n")
    file.write_text(file.read_text().replace("team_1", "team_2"))
    ran = kt("audit", "check", str(file), "--public-key", str(keys))
    assert (ran.code, "not one that was signed" in ran.out) == (1, True)
    file.write_text("[]")
    assert kt("audit", "check", str(file), "--public-key", str(keys)).code == 2
    assert kt("audit", "check", str(tmp_path / "nowhere"), "--public-key", str(keys)).code == 2
    assert kt("audit", "prove", "--event", "evt_x").err == "kt: there is no event 'evt_x'\n"


def test_acts_and_checkpoints_are_listed(kt: Kt, at: FakeApi) -> None:
    at.acts = [
        {
            "id": "act_000000001",
            "number": 1,
            "timestamp": "2026-04-15T09:30:00.000Z",
            "actor": "admin",
            "action": "wallet.allocate",
            "subject_id": "wal_1",
            "before": {},
            "after": {"monthly": 1},
        }
    ]
    ran = kt("audit", "list", "--actor", "admin", "--last", "5")
    assert ran.out.splitlines()[1].split(maxsplit=5) == [
        *("2026-04-15T09:30:00.000Z", "admin", "wallet.allocate", "wal_1", "{}", '{"monthly": 1}')
    ]
    assert at.asked[-1][2] == {"actor": "admin", "limit": "5"}
    assert json.loads(kt("audit", "list", "--format", "json").out) == at.acts
    at.checkpoints = [{"number": 1, "hash": "ab" * 32, "made_at": None, "rows": {"event": 2, "audit": 1}}]
    assert kt("audit", "checkpoints").out.splitlines()[1].split() == ["1", "-", "3", "ab" * 32]
