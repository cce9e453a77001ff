"""`kt ledger recovery`: whether the ledger waits for gateways to bring back what it lost, and an end by an operator's word."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import typer

from keeptrusts.cli.api_client import api_of_this_shell, member
from keeptrusts.cli.columns import columns
from keeptrusts.cli.json_text import json_text
from keeptrusts.cli.printable import printable

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    help="A ledger that was put back to an older state, and what it waits for.",
)

Form = Annotated[Literal["table", "json"], typer.Option("--format", help="json is for programs.")]

PATH = "ledger/recovery"
STATES = {
    "complete": "has brought everything",
    "behind": "is bringing its journal",
    "silent": "not heard of: if it is gone for good, its leases' money is nobody's to say",
}


@app.command()
def status(form: Form = "table") -> None:
    """Whether the ledger is in recovery mode, and which gateways it waits for."""
    answer = api_of_this_shell().get(PATH)
    print(json_text(answer, 2) if form == "json" else _told(answer))


@app.command()
def finish(form: Form = "table") -> None:
    """End the recovery without the gateways that have not brought back their journals. Money is granted again at once.

    What those gateways spent since the backup is unknown to the ledger, so budgets may be overspent by as much as they hold.
    """
    answer = api_of_this_shell().post(f"{PATH}/finish", {})
    if form == "json":
        print(json_text(answer, 2))
        return
    left = [node for node in member(answer, "nodes", list, PATH) if node["state"] != "complete"]
    print(f"The recovery is over, without the journals of {len(left)} gateways.")


def _told(answer: Mapping[str, Any]) -> str:
    nodes = member(answer, "nodes", list, PATH)
    if not member(answer, "recovering", bool, PATH):
        return "The ledger is not in recovery mode."
    rows = [
        (
            printable(str(node["node_id"])),
            printable(str(node["hostname"])),
            str(node["applied_seq"]),
            "-" if node["awaited_seq"] is None else str(node["awaited_seq"]),
            STATES.get(str(node["state"]), printable(str(node["state"]))),
        )
        for node in nodes
    ]
    waiting = sum(node["state"] != "complete" for node in nodes)
    lines = [
        f"RECOVERY MODE since {answer['since']}: {printable(str(answer['reason']))}.",
        "No money is granted; gateways go on with what they hold.",
        *([columns(("Gateway", "Host", "Applied", "Awaited", ""), rows)] if rows else []),
        f"Waiting for {waiting} gateways. It ends by itself; `kt ledger recovery finish` ends it without them.",
    ]
    return "\n".join(lines)
