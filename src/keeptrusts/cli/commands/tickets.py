"""`kt tickets`: calls that a budget or a policy holds for an approver, and the approver's word on them."""

from decimal import Decimal
from typing import Annotated, Any, Literal

import typer

from keeptrusts.cli.api_client import api_of_this_shell
from keeptrusts.cli.columns import columns
from keeptrusts.cli.json_text import json_text
from keeptrusts.cli.money_text import amount_usd, dollars
from keeptrusts.cli.printable import printable

app = typer.Typer(add_completion=False, rich_markup_mode=None, help="Calls that wait for an approver.")

Form = Annotated[Literal["table", "json"], typer.Option("--format")]
Ticket = Annotated[str, typer.Argument(help="The ticket's id, tkt_...")]
Note = Annotated[str | None, typer.Option(help="Why, for the audit trail.")]


@app.command("list")
def list_tickets(
    every: Annotated[bool, typer.Option("--all", help="Those that were decided or have expired, too.")] = False,
    form: Form = "table",
) -> None:
    """Show the calls that wait, the newest first."""
    found = api_of_this_shell().get("cost-tickets", {"status": "all" if every else "live"})
    if form == "json":
        print(json_text(found, 2))
        return
    heading = ("Ticket", "Status", "Team", "Model", "Why", "Since", "Until")
    print(columns(heading, [_row(ticket) for ticket in found["data"]]))


@app.command()
def approve(
    ticket: Ticket,
    top_up: Annotated[
        str, typer.Option(help="USD to credit to the wallet besides, as 50 or 0.5: for a budget's ticket.")
    ] = "0",
    note: Note = None,
    form: Form = "table",
) -> None:
    """Let a held call through, once: above its budget, or past the policies that hold it."""
    body = {"top_up": amount_usd("--top-up", top_up)} | ({} if note is None else {"note": note})
    _say(api_of_this_shell().post(f"cost-tickets/{ticket}/approve", body), form)


@app.command()
def deny(ticket: Ticket, note: Note = None, form: Form = "table") -> None:
    """Refuse a held call."""
    _say(api_of_this_shell().post(f"cost-tickets/{ticket}/deny", {} if note is None else {"note": note}), form)


def _say(ticket: Any, form: str) -> None:
    print(json_text(ticket, 2) if form == "json" else f"{printable(ticket['id'])} is {printable(ticket['status'])}")


def _row(ticket: Any) -> tuple[str, ...]:
    names = (printable(str(ticket[name] or "-")) for name in ("id", "status", "team_id", "model"))
    return (*names, printable(_why(ticket)), printable(ticket["created_at"]), printable(ticket["expires_at"]))


def _why(ticket: Any) -> str:
    """What a budget would need, or what policies found."""
    if ticket["kind"] == "budget":
        return f"needs {dollars(Decimal(str(ticket['needed'])))}"
    return ", ".join(ticket["found"])
