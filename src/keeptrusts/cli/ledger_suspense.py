"""`kt ledger suspense`: money in doubt, and saying what became of it."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated, Any, Literal
from urllib.parse import quote

import typer

from keeptrusts.cli.api_client import Api, api_of_this_shell
from keeptrusts.cli.columns import columns
from keeptrusts.cli.json_text import json_text
from keeptrusts.cli.money_text import amount_usd, dollars
from keeptrusts.cli.printable import printable

app = typer.Typer(
    add_completion=False, rich_markup_mode=None, help="Money in doubt: counted as used until somebody says."
)

Form = Annotated[Literal["table", "json"], typer.Option("--format")]
LEASES = ("Lease", "Amount", "Wallets", "Node", "Host", "Since", "Why")
CALLS = ("Event", "At", "Team", "Model", "Posted", "Status", "Reason")


@app.command("list")
def list_suspense(
    calls: Annotated[
        bool,
        typer.Option("--calls", help="Calls of unknown outcome, too: they are posted at the most they can have cost."),
    ] = False,
    since: Annotated[str, typer.Option(help="For --calls: from when on, as 30d or 2026-04-01.")] = "30d",
    form: Form = "table",
) -> None:
    """Show the leases whose gateway could not prove what it spent, oldest first."""
    api = api_of_this_shell()
    leases = [item for page in api.pages("ledger/suspense", "data") for item in page]
    unknown = list(_unknown_calls(api, since)) if calls else []
    if form == "json":
        print(json_text({"leases": leases, **({"calls": unknown} if calls else {})}, 2))
        return
    print(columns(LEASES, [_lease(item) for item in leases]) if leases else "Nothing is in suspense.")
    if calls:
        print()
        print(
            columns(CALLS, [_call(event) for event in unknown]) if unknown else f"No call of unknown outcome ({since})."
        )


@app.command()
def resolve(
    lease: Annotated[str, typer.Argument(help="The lease's id, lse_...", metavar="LEASE")],
    spent: Annotated[str, typer.Option(help="What was really spent, in USD: 0 to the amount in suspense.")],
    note: Annotated[str | None, typer.Option(help="How you know, for statement and audit trail.")] = None,
    form: Form = "table",
) -> None:
    """Say what was really spent of a lease in suspense: that is posted, the rest is free again, in every wallet that counts it."""
    body = {"spent": amount_usd("--spent", spent)} | ({} if note is None else {"note": note})
    answer = api_of_this_shell().post(f"ledger/suspense/{quote(lease, safe='')}/resolve", body)
    if form == "json":
        print(json_text(answer, 2))
        return
    posted, freed = (dollars(Decimal(str(answer[name]))) for name in ("spent", "freed"))
    print(f"{printable(answer['lease_id'])}: {posted} posted, {freed} free again in {_wallets(answer)}")


def _unknown_calls(api: Api, since: str) -> Iterable[dict[str, Any]]:
    for page in api.pages("events", "events", {"usage_source": "worst_case", "since": since}):
        yield from page


def _lease(item: Any) -> tuple[str, ...]:
    told = (printable(str(item[name] or "-")) for name in ("gateway_id", "hostname", "since", "why"))
    return (printable(item["lease_id"]), dollars(Decimal(str(item["amount"]))), _wallets(item), *told)


def _wallets(item: Any) -> str:
    accounts = (f"{account['scope']}:{account['scope_id']} {account['period']}" for account in item["wallets"])
    return printable(", ".join(accounts))


def _call(event: Any) -> tuple[str, ...]:
    told = [printable(str(event[name] or "-")) for name in ("id", "timestamp", "team", "model", "status", "reason")]
    return (*told[:4], dollars(Decimal(str(event["cost_usd"] or 0))), *told[4:])
