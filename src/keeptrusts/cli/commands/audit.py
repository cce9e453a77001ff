"""`kt audit`: who changed what, and whether the ledger is still what was signed."""

import asyncio
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from keeptrusts.cli.api_client import PAGE_LIMIT, api_of_this_shell
from keeptrusts.cli.columns import columns
from keeptrusts.cli.failure import SAID_NO
from keeptrusts.cli.json_text import json_text
from keeptrusts.cli.printable import printable
from keeptrusts.settings import default_data_dir

app = typer.Typer(add_completion=False, rich_markup_mode=None, help="Who changed what, and what of it is proven.")

Form = Annotated[Literal["table", "json"], typer.Option("--format")]
Database = Annotated[
    str | None, typer.Option(help="The ledger: a file, or postgresql://... (default: ledger.db of --data-dir).")
]
Home = Annotated[Path | None, typer.Option(help="Where the API keeps its files (default ~/.keeptrusts).")]
Last = Annotated[int, typer.Option(min=1, max=100_000, help="How many, the newest first.")]


@app.command("list")
def list_acts(
    last: Last = 50,
    since: Annotated[str | None, typer.Option(help="From when: 1h, 30d, 2026-04-01 or RFC 3339.")] = None,
    until: Annotated[str | None, typer.Option(help="Until when, not included; written as --since.")] = None,
    actor: Annotated[str | None, typer.Option(help="Whose acts: admin, tok_..., a node's id.")] = None,
    action: Annotated[str | None, typer.Option(help="Of one kind, as wallet.allocate.")] = None,
    subject: Annotated[str | None, typer.Option(help="On one thing, by its id.")] = None,
    form: Form = "table",
) -> None:
    """What operators changed, the newest first."""
    query = {"since": since, "until": until, "actor": actor, "action": action, "subject_id": subject}
    acts = _newest("audit", "acts", last, query)
    if form == "json":
        print(json_text(acts, 2))
    else:
        print(columns(("When", "Actor", "Action", "On", "Before", "After"), [_act_row(act) for act in acts]))


@app.command()
def checkpoints(last: Last = 20, form: Form = "table") -> None:
    """The signed checkpoints, the newest first. Keep the newest hash elsewhere: it stands for every row before it."""
    found = _newest("audit/checkpoints", "checkpoints", last, {})
    if form == "json":
        print(json_text(found, 2))
    else:
        rows = [
            (str(each["number"]), str(each["made_at"] or "-"), str(sum((each["rows"] or {}).values())), each["hash"])
            for each in found
        ]
        print(columns(("Number", "Made at", "Rows so far", "Hash"), rows))


@app.command()
def verify(
    database: Database = None,
    public_key: Annotated[
        Path | None, typer.Option(help="Public keys to trust, one a line (default: audit-keys.pub of --data-dir).")
    ] = None,
    witness: Annotated[
        list[str] | None,
        typer.Option(help="A checkpoint that was kept elsewhere, as NUMBER:HASH; may be given more than once."),
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where the API keeps its files (default ~/.keeptrusts).")
    ] = None,
    form: Annotated[Literal["text", "json"], typer.Option("--format", help="json is for programs.")] = "text",
) -> None:
    """Recompute every checkpoint from the ledger's own rows, check signatures and chain, and name what differs.

    Reads the database itself, not through the API, and changes nothing. Exits with 0 when everything that checkpoints cover is
    as it was, 1 when something is not, 2 when it cannot be told.
    """
    from keeptrusts.cli.audit_check import asked_check, run_check
    from keeptrusts.cli.audit_report import as_json, lines

    home = (data_dir or default_data_dir(Path.home())).expanduser()
    check = asked_check(home, database, public_key, witness or [])
    report = asyncio.run(run_check(check))
    print(json_text(as_json(check, report), 2) if form == "json" else "\n".join(lines(check, report)))
    raise typer.Exit(0 if report.proven else SAID_NO)


@app.command()
def prove(
    event: Annotated[str, typer.Option(help="The event's id, as `kt events list` shows it.")],
    database: Database = None,
    data_dir: Home = None,
) -> None:
    """Print a proof that one event is in the ledger as it was signed: for somebody who may not see the others."""
    from keeptrusts.cli.audit_check import proof_of

    home = (data_dir or default_data_dir(Path.home())).expanduser()
    print(json_text(asyncio.run(proof_of(home, database, event)), 2))


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="What `kt audit prove` printed.")],
    public_key: Annotated[Path, typer.Option(help="Public keys to trust, one a line, as in audit-keys.pub.")],
) -> None:
    """Check such a proof, with nothing but the public key. Exits with 0 when it holds, 1 when it does not."""
    from keeptrusts.cli.audit_check import faults_of_proof

    proof, faults = faults_of_proof(file, public_key)
    for fault in faults:
        print(fault)
    if faults:
        raise typer.Exit(SAID_NO)
    print(f"{printable(proof.row_id)} is row {proof.number} of checkpoint {proof.checkpoint}, as it was signed")


def _newest(path: str, rows: str, last: int, query: Mapping[str, object]) -> list[dict[str, Any]]:
    pages = api_of_this_shell().pages(path, rows, {**query, "limit": min(last, PAGE_LIMIT)})
    return list(islice((row for page in pages for row in page), last))


def _act_row(act: Mapping[str, Any]) -> tuple[str, ...]:
    told = (act["timestamp"], act["actor"], act["action"], act["subject_id"])
    sides = ("-" if act[side] is None else json_text(act[side]) for side in ("before", "after"))
    return tuple(printable(str(cell)) for cell in (*told, *sides))
