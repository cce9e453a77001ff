"""Single edits of a ledger by somebody who may do everything to its database: each must be found, and its row named.

``run_trials`` takes how many; the suite runs a few, ``python -m tests.tampering N`` as many as asked.
"""

import asyncio
import random
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import apsw
from msgspec import Struct

from keeptrusts.control.inspecting import Witness, inspect
from keeptrusts.core.audit.findings import Report
from keeptrusts.core.audit.rows import TABLES, CoveredTable
from keeptrusts.core.audit.signature import public_key_of, sign
from keeptrusts.core.audit.statement import read_statement, write_statement
from keeptrusts.store.books import SqlStore
from keeptrusts.store.seal import PUBLIC_KEYS, WITNESS, read_witness
from keeptrusts.store.sqlite import open_sqlite_to_read
from tests.audited_ledger import audited, fill

DATABASE = "ledger.db"
CHECKPOINTS = 5
CALLS = 3


class Edit(Struct, frozen=True):
    """What was done, for people; and the rows that it touched, of which a report has to name one at least."""

    what: str
    table: str
    numbers: tuple[int, ...]


class Miss(Struct, frozen=True):
    """An edit that was not found, or not named."""

    trial: int
    edit: Edit
    report: Report


Attack = Callable[[apsw.Connection, random.Random], Edit]


def _any_row(db: apsw.Connection, dice: random.Random, table: CoveredTable) -> int:
    return int(dice.choice(db.execute(f"SELECT {table.number} FROM {table.name}").fetchall())[0])


def _other(value: object, dice: random.Random) -> object:
    match value:
        case int():
            return value ^ (1 << dice.randrange(0, 40))
        case str() if value and dice.random() < 0.7:
            at = dice.randrange(len(value))
            return value[:at] + chr(ord(value[at]) ^ (1 << dice.randrange(0, 3))) + value[at + 1 :]
        case str():
            return value + dice.choice(" 0x\x00é")
        case None:
            return dice.choice(["0", "", "x"])
    raise AssertionError(value)


def edit_a_column(db: apsw.Connection, dice: random.Random) -> Edit:
    while True:
        table = dice.choice(TABLES)
        number, column = _any_row(db, dice, table), dice.choice(table.columns)
        ((was,),) = db.execute(f"SELECT {column} FROM {table.name} WHERE {table.number} = ?", (number,)).fetchall()
        becomes = _other(was, dice)
        try:
            db.execute(f"UPDATE {table.name} SET {column} = ? WHERE {table.number} = ?", (becomes, number))
        except (apsw.ConstraintError, apsw.MismatchError):
            continue  # the schema itself refuses this value: no ledger can look like that
        ((now,),) = db.execute(f"SELECT {column} FROM {table.name} WHERE {table.number} = ?", (number,)).fetchall()
        if now != was:
            return Edit(f"{table.name} {number}: {column} {was!r} becomes {now!r}", table.name, (number,))


def unreadable_text(db: apsw.Connection, dice: random.Random) -> Edit:
    table = dice.choice(TABLES)
    number = _any_row(db, dice, table)
    db.execute(f"UPDATE {table.name} SET org_id = CAST(x'6f80' AS TEXT) WHERE {table.number} = ?", (number,))
    return Edit(f"{table.name} {number}: its organization is not UTF-8", table.name, (number,))


def garble_details(db: apsw.Connection, dice: random.Random) -> Edit:
    number = _any_row(db, dice, TABLES[0])
    db.execute("UPDATE event SET attempts = CAST(x'5bff' AS TEXT) WHERE event_no = ?", (number,))
    return Edit(f"event {number}: its attempts are not UTF-8", "event", (number,))


def delete_a_row(db: apsw.Connection, dice: random.Random) -> Edit:
    table = dice.choice(TABLES)
    number = _any_row(db, dice, table)
    db.execute(f"DELETE FROM {table.name} WHERE {table.number} = ?", (number,))
    return Edit(f"{table.name} {number} deleted", table.name, (number,))


def delete_the_newest_row(db: apsw.Connection, dice: random.Random) -> Edit:
    table = dice.choice(TABLES)
    ((number,),) = db.execute(f"SELECT MAX({table.number}) FROM {table.name}").fetchall()
    db.execute(f"DELETE FROM {table.name} WHERE {table.number} = ?", (number,))
    return Edit(f"{table.name} cut off by one", table.name, (int(number),))


def insert_a_row(db: apsw.Connection, dice: random.Random) -> Edit:
    """A copy of another row under a number below the covered ones; above them it would be a new row like any other."""
    table = dice.choice(TABLES)
    source, number = _any_row(db, dice, table), -dice.randrange(0, 1_000)
    columns = ", ".join(table.columns)
    shown = columns.replace("event_id,", "event_id || 'x',", 1) if table.name == "event" else columns
    db.execute(
        f"INSERT INTO {table.name} ({table.number}, {columns}) SELECT ?, {shown} FROM {table.name} WHERE {table.number} = ?",
        (number, source),
    )
    return Edit(f"{table.name} {number} inserted as a copy of {source}", table.name, (number,))


def replace_a_row(db: apsw.Connection, dice: random.Random) -> Edit:
    """Deleted, and another put under its number."""
    table = dice.choice(TABLES)
    number = _any_row(db, dice, table)
    if table.name == "event":
        db.execute("UPDATE event SET event_id = 'call_forged', cost_nanos = 1 WHERE event_no = ?", (number,))
    elif table.name == "ledger_entry":
        db.execute("UPDATE ledger_entry SET amount_nanos = 1, balance_nanos = 1 WHERE entry_no = ?", (number,))
    else:
        db.execute("UPDATE audit SET actor = 'somebody', after = NULL WHERE audit_no = ?", (number,))
    return Edit(f"{table.name} {number} replaced", table.name, (number,))


def renumber_a_row(db: apsw.Connection, dice: random.Random) -> Edit:
    table = dice.choice(TABLES)
    number = _any_row(db, dice, table)
    to = dice.choice([-dice.randrange(1, 1_000), 1_000_000 + dice.randrange(1_000)])
    db.execute(f"UPDATE {table.name} SET {table.number} = ? WHERE {table.number} = ?", (to, number))
    return Edit(f"{table.name} {number} becomes {to}", table.name, (number, to))


def swap_rows(db: apsw.Connection, dice: random.Random) -> Edit:
    table = dice.choice(TABLES)
    numbers = [row[0] for row in db.execute(f"SELECT {table.number} FROM {table.name}")]
    one, two = dice.sample(numbers, 2)
    for was, becomes in ((one, -1_000_000), (two, one), (-1_000_000, two)):
        db.execute(f"UPDATE {table.name} SET {table.number} = ? WHERE {table.number} = ?", (becomes, was))
    return Edit(f"{table.name} {one} and {two} change places", table.name, (one, two))


def edit_a_statement(db: apsw.Connection, dice: random.Random) -> Edit:
    number = dice.randrange(1, CHECKPOINTS + 1)
    column = dice.choice(["statement", "signature"])
    ((was,),) = db.execute(f"SELECT {column} FROM checkpoint WHERE checkpoint_no = ?", (number,)).fetchall()
    at = dice.randrange(len(was))
    becomes = was[:at] + chr(ord(was[at]) ^ (1 << dice.randrange(0, 4))) + was[at + 1 :]
    db.execute(f"UPDATE checkpoint SET {column} = ? WHERE checkpoint_no = ?", (becomes, number))
    return Edit(f"checkpoint {number}: {column} at {at}", "checkpoint", (number,))


def garble_a_statement(db: apsw.Connection, dice: random.Random) -> Edit:
    number, column = dice.randrange(1, CHECKPOINTS + 1), dice.choice(["statement", "signature"])
    db.execute(f"UPDATE checkpoint SET {column} = CAST(x'7bff7d' AS TEXT) WHERE checkpoint_no = ?", (number,))
    return Edit(f"checkpoint {number}: its {column} is not UTF-8", "checkpoint", (number,))


def garble_a_list(db: apsw.Connection, dice: random.Random) -> Edit:
    number = dice.randrange(1, CHECKPOINTS + 1)
    db.execute(
        "UPDATE checkpoint_rows SET table_name = CAST(x'ff' AS TEXT) WHERE checkpoint_no = ? AND table_name = 'event'",
        (number,),
    )
    return Edit(f"list of checkpoint {number}: its table is not UTF-8", "checkpoint_rows", (number,))


def delete_a_checkpoint(db: apsw.Connection, dice: random.Random) -> Edit:
    number = dice.randrange(1, CHECKPOINTS + 1)
    db.execute("DELETE FROM checkpoint WHERE checkpoint_no = ?", (number,))
    if dice.random() < 0.5:
        db.execute("DELETE FROM checkpoint_rows WHERE checkpoint_no = ?", (number,))
    return Edit(f"checkpoint {number} deleted", "checkpoint", (number,))


def cut_checkpoints_off(db: apsw.Connection, dice: random.Random) -> Edit:
    first = dice.randrange(1, CHECKPOINTS + 1)
    db.execute("DELETE FROM checkpoint WHERE checkpoint_no >= ?", (first,))
    db.execute("DELETE FROM checkpoint_rows WHERE checkpoint_no >= ?", (first,))
    return Edit(f"checkpoints from {first} on deleted", "checkpoint", (CHECKPOINTS,))


def swap_checkpoints(db: apsw.Connection, dice: random.Random) -> Edit:
    one, two = dice.sample(range(1, CHECKPOINTS + 1), 2)
    for table in ("checkpoint", "checkpoint_rows"):
        for was, becomes in ((one, 1_000), (two, one), (1_000, two)):
            db.execute(f"UPDATE {table} SET checkpoint_no = ? WHERE checkpoint_no = ?", (becomes, was))
    return Edit(f"checkpoints {one} and {two} change places", "checkpoint", (one, two))


def insert_a_checkpoint(db: apsw.Connection, dice: random.Random) -> Edit:
    """A copy of an earlier one as the newest."""
    source, number = dice.randrange(1, CHECKPOINTS + 1), CHECKPOINTS + 1
    db.execute(
        "INSERT INTO checkpoint SELECT org_id, ?, statement, signature FROM checkpoint WHERE checkpoint_no = ?",
        (number, source),
    )
    return Edit(f"checkpoint {source} copied as {number}", "checkpoint", (number,))


def edit_a_list(db: apsw.Connection, dice: random.Random) -> Edit:
    lists = db.execute("SELECT checkpoint_no, table_name, contents FROM checkpoint_rows").fetchall()
    number, table, contents = dice.choice(lists)
    changed = bytearray(contents)
    changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    if dice.random() < 0.3:
        changed = changed[: -dice.randrange(1, len(changed) + 1)]
    db.execute(
        "UPDATE checkpoint_rows SET contents = ? WHERE checkpoint_no = ? AND table_name = ?",
        (bytes(changed), number, table),
    )
    return Edit(f"list of checkpoint {number}: {table}", "checkpoint_rows", (number,))


def delete_a_list(db: apsw.Connection, dice: random.Random) -> Edit:
    number, table = dice.choice(db.execute("SELECT checkpoint_no, table_name FROM checkpoint_rows").fetchall())
    db.execute("DELETE FROM checkpoint_rows WHERE checkpoint_no = ? AND table_name = ?", (number, table))
    return Edit(f"list of checkpoint {number}: {table} deleted", "checkpoint_rows", (number,))


def sign_anew(db: apsw.Connection, dice: random.Random) -> Edit:
    """A statement changed and signed with a key that the attacker made: whoever pinned the true one sees it."""
    number = dice.randrange(1, CHECKPOINTS + 1)
    ((text,),) = db.execute("SELECT statement FROM checkpoint WHERE checkpoint_no = ?", (number,)).fetchall()
    seed = dice.randbytes(32)
    statement = read_statement(text)
    changed = text.replace(statement.key, public_key_of(seed)).replace(
        f'"made_at_ms":{statement.made_at_ms}', f'"made_at_ms":{statement.made_at_ms + 1}'
    )
    assert write_statement(read_statement(changed)) == changed
    db.execute(
        "UPDATE checkpoint SET statement = ?, signature = ? WHERE checkpoint_no = ?",
        (changed, sign(seed, changed.encode()), number),
    )
    return Edit(f"checkpoint {number} signed anew", "checkpoint", (number,))


ATTACKS: tuple[Attack, ...] = (
    edit_a_column,
    edit_a_column,
    edit_a_column,
    edit_a_column,
    unreadable_text,
    garble_details,
    delete_a_row,
    delete_the_newest_row,
    insert_a_row,
    replace_a_row,
    renumber_a_row,
    swap_rows,
    edit_a_statement,
    garble_a_statement,
    garble_a_list,
    delete_a_checkpoint,
    cut_checkpoints_off,
    swap_checkpoints,
    insert_a_checkpoint,
    edit_a_list,
    delete_a_list,
    sign_anew,
)
"""Edits of single columns stand there four times: they are what most tampering is."""


async def run_trials(directory: Path, trials: int, seed: int) -> list[Miss]:
    """Makes a ledger in ``directory``, which must not exist, edits it once per trial, and returns what went unnoticed."""
    async with audited(directory) as control:
        await fill(control, CHECKPOINTS, CALLS)
    whole = directory / "whole.db"
    shutil.copyfile(directory / DATABASE, whole)
    assert (await _inspect(directory)).proven
    misses = []
    for trial in range(trials):
        dice = random.Random(f"{seed}/{trial}")
        edit = _tamper(directory, whole, ATTACKS[trial % len(ATTACKS)], dice)
        report = await _inspect(directory)
        if not _named(edit, report):
            misses.append(Miss(trial, edit, report))
    return misses


def _named(edit: Edit, report: Report) -> bool:
    """Whether the report tells of the edit; one of a row must accuse no other row and no checkpoint."""
    accused = {(offence.table, offence.number) for offence in report.offences}
    meant = {(edit.table, number) for number in edit.numbers}
    of_a_row = edit.table in {table.name for table in TABLES}
    return not report.proven and bool(accused & meant) and (accused <= meant or not of_a_row)


def _tamper(directory: Path, whole: Path, attack: Attack, dice: random.Random) -> Edit:
    """The database as it was, but for one edit by a superuser: triggers are no hindrance."""
    for name in (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm"):
        (directory / name).unlink(missing_ok=True)
    shutil.copyfile(whole, directory / DATABASE)
    db = apsw.Connection(str(directory / DATABASE))
    for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        db.execute(f"DROP TRIGGER {name}")
    edit = attack(db, dice)
    db.close()
    return edit


async def _inspect(directory: Path) -> Report:
    database = await open_sqlite_to_read(directory / DATABASE)
    try:
        trusted = frozenset((directory / PUBLIC_KEYS).read_text().split())
        seen = read_witness(directory / WITNESS)
        assert seen is not None
        return await inspect(SqlStore(database), trusted, [Witness(*seen, "the data directory")])
    finally:
        await database.close()


def main(asked: list[str]) -> int:
    trials, seed = int(asked[0]), int(asked[1]) if len(asked) > 1 else 0
    with tempfile.TemporaryDirectory() as directory:
        misses = asyncio.run(run_trials(Path(directory) / "data", trials, seed))
    for miss in misses[:20]:
        print(f"trial {miss.trial}: {miss.edit}\n  {[offence.message for offence in miss.report.offences]}")
    print(f"tampering, seed {seed}: {trials} edits, {trials - len(misses)} found and named")
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
