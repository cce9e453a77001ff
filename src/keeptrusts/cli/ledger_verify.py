"""`kt ledger verify`: holds every row of a ledger against the invariants, without the API, and names the rows that break one."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from keeptrusts.cli.failure import SAID_NO
from keeptrusts.cli.json_text import json_text
from keeptrusts.settings import default_data_dir


def verify(
    data_dir: Annotated[
        Path | None, typer.Option(help="Where the API keeps its files (default ~/.keeptrusts).")
    ] = None,
    database: Annotated[
        str | None, typer.Option(help="The ledger: a file, or postgresql://... (default: ledger.db of --data-dir).")
    ] = None,
    at_rest: Annotated[
        bool, typer.Option("--at-rest", help="Every gateway has stopped: a lease that is still open breaks L12.")
    ] = False,
    form: Annotated[Literal["table", "json"], typer.Option("--format", help="json is for programs.")] = "table",
) -> None:
    """Hold every row of the ledger against the invariants L1 to L12, and name the rows that break one.

    Reads the database itself, whether the API runs or not, and changes nothing. Exits with 0 when all hold, 1 when a row
    breaks one, 2 when it cannot be told.
    """
    from keeptrusts.cli.ledger_check import examined, for_programs, report

    home = (data_dir or default_data_dir(Path.home())).expanduser()
    verdicts = examined(home, database, at_rest)
    print(json_text(for_programs(verdicts), 2) if form == "json" else report(verdicts))
    raise typer.Exit(SAID_NO if verdicts.broken else 0)
