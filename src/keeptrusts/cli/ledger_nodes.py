"""`kt ledger node`: the gateway nodes that the ledger knows, what each holds, and giving one up that is lost."""

from decimal import Decimal
from typing import Annotated, Any, Literal
from urllib.parse import quote

import typer

from keeptrusts.cli.api_client import api_of_this_shell
from keeptrusts.cli.columns import columns
from keeptrusts.cli.json_text import json_text
from keeptrusts.cli.money_text import dollars
from keeptrusts.cli.printable import printable

app = typer.Typer(add_completion=False, rich_markup_mode=None, help="Gateway nodes: one for each gateway process.")

Form = Annotated[Literal["table", "json"], typer.Option("--format")]
HEADING = ("Node", "Host", "State", "Leases", "Leased", "In suspense", "Config", "Registered")


@app.command("list")
def list_nodes(
    every: Annotated[bool, typer.Option("--all", help="Those that have ended in good order, too.")] = False,
    form: Form = "table",
) -> None:
    """Show the gateway nodes, the newest first. `silent`: not heard of for ten seconds, and not ended either."""
    state = "all" if every else "open"
    found = [node for page in api_of_this_shell().pages("gateways", "data", {"state": state}) for node in page]
    print(json_text(found, 2) if form == "json" else columns(HEADING, [_row(node) for node in found]))


@app.command()
def retire(
    node: Annotated[str, typer.Argument(help="The node's id, nod_...", metavar="NODE")],
    force: Annotated[
        bool, typer.Option("--force", help="Also one that is alive: it ends within a second or two.")
    ] = False,
    form: Form = "table",
) -> None:
    """Give up a node whose machine or disk is lost: what it had leased goes to suspense.

    A gateway that crashed needs no retiring: the next one on its data directory recovers it. What a retired node still
    ships is booked all the same.
    """
    answer = api_of_this_shell().post(f"gateways/{quote(node, safe='')}/retire", {"force": force})
    print(json_text(answer, 2) if form == "json" else columns(HEADING, [_row(answer)]))


def _row(node: Any) -> tuple[str, ...]:
    state = node["state"] if node["state"] != "live" else "alive" if node["alive"] else "silent"
    amounts = (dollars(Decimal(str(node[name]))) for name in ("leased", "suspense"))
    told = (printable(str(text)) for text in (node["id"], node["hostname"], state, node["leases"]))
    version = node["config_version"]
    config = f"version {version}" if version is not None else node["config_fingerprint"] or "unknown"
    return (*told, *amounts, printable(config), printable(node["registered_at"]))
