"""`kt ledger verify`: holds every row of a ledger against the invariants, without the API, and names the rows that break one."""

import asyncio
from pathlib import Path
from typing import Annotated, Literal

import typer

from keeptrusts.cli.columns import columns
from keeptrusts.cli.failure import CANNOT_ASK, SAID_NO, Failure
from keeptrusts.cli.json_text import json_text
from keeptrusts.cli.printable import printable
from keeptrusts.clock import SystemClock
from keeptrusts.control.examination import examine
from keeptrusts.core.ledger.invariants.findings import SENTENCES, Verdicts, as_json
from keeptrusts.settings import default_data_dir
from keeptrusts.store.contracts import StoreAway
from keeptrusts.store.data_dir import DATABASE
from keeptrusts.store.migrate import UnknownSchema
from keeptrusts.store.reading import ledger_to_read

SAID = {True: "yes", False: "NO", None: "unseen"}
"""What is said of an invariant that holds, that does not, and that not everything was looked at for."""


def verify(
    data_dir: Annotated[Path | None, typer.Option(help="Where the ledger is kept (default ~/.keeptrusts).")] = None,
    database: Annotated[str | None, typer.Option(help="The ledger's database itself, by its file.")] = None,
    at_rest: Annotated[
        bool, typer.Option("--at-rest", help="Every gateway has stopped: a lease that is still open breaks L12.")
    ] = False,
    form: Annotated[Literal["table", "json"], typer.Option("--format", help="json is for programs.")] = "table",
) -> None:
    """Hold every row of the ledger against the invariants L1 to L12, and name the rows that break one.

    It reads the database itself, whether the API runs or not, and changes nothing.
    Exits with 0 when all hold, 1 when a row breaks one, 2 when the ledger cannot be read.
    """
    verdicts = asyncio.run(_examined(_file_of(data_dir, database), at_rest))
    if form == "json":
        print(json_text(_as_json(verdicts), 2))
    else:
        print(_report(verdicts))
    raise typer.Exit(SAID_NO if verdicts.broken else 0)


def _file_of(data_dir: Path | None, database: str | None) -> Path:
    if database is not None and data_dir is not None:
        raise Failure("--database and --data-dir are two ways to say the same: give one of them")
    if database is not None and "://" in database:
        raise Failure(f"--database: {database.partition('://')[0]} databases can't be read yet: give a file")
    home = (data_dir or default_data_dir(Path.home())).expanduser().absolute()
    file = home / DATABASE if database is None else Path(database).expanduser().absolute()
    if not file.is_file():
        raise Failure(
            f"no ledger at {file}: name its directory with --data-dir, or the file with --database", CANNOT_ASK
        )
    return file


async def _examined(file: Path, at_rest: bool) -> Verdicts:
    try:
        async with ledger_to_read(file) as store:
            return await examine(store, SystemClock().unix_ns(), at_rest)
    except (StoreAway, UnknownSchema) as trouble:
        raise Failure(f"cannot verify {file}: {trouble}", CANNOT_ASK) from None


def _report(verdicts: Verdicts) -> str:
    rows = [(it.invariant, SAID[it.ok], f"{it.checked:,}", SENTENCES[it.invariant]) for it in verdicts.all]
    lines = [columns(("", "Holds", "Checked", "Invariant"), rows)]
    for verdict in verdicts.all:
        lines += [f"  {verdict.invariant}: {printable(str(finding))}" for finding in verdict.findings]
        if verdict.broken > len(verdict.findings):
            lines.append(f"  {verdict.invariant}: and {verdict.broken - len(verdict.findings):,} more")
    lines += [f"  {it.invariant}: {count:,} {what}" for it in verdicts.all for what, count in it.notes.items()]
    return "\n".join([*lines, _verdict(verdicts)])


def _verdict(verdicts: Verdicts) -> str:
    if verdicts.broken:
        broken = ", ".join(it.invariant for it in verdicts.all if it.broken)
        return f"The ledger does NOT hold: {verdicts.broken:,} findings ({broken})."
    unseen = [it.invariant for it in verdicts.all if it.ok is None]
    return (
        "The ledger holds." if not unseen else f"The ledger holds, as far as it was looked at: not {', '.join(unseen)}."
    )


def _as_json(verdicts: Verdicts) -> dict[str, object]:
    return {"ok": not verdicts.broken, "invariants": [as_json(verdict) for verdict in verdicts.all]}
