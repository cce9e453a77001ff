"""`kt spend`: what teams spent in the current period, what is left, and which models took it."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import typer

from keeptrusts.cli.api_client import Api, api_of_this_shell, member
from keeptrusts.cli.failure import Failure
from keeptrusts.cli.json_text import json_text
from keeptrusts.cli.printable import printable
from keeptrusts.cli.spend_report import ModelSpend, as_json, merged, team_page, team_table
from keeptrusts.cli.wallet_view import Wallet, all_wallets, wallets_of

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def spend(
    team: Annotated[str | None, typer.Option(help="One team, by its name or its id.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All teams, a line each.")] = False,
    form: Annotated[Literal["table", "json"], typer.Option("--format", help="json adds the burn rate.")] = "table",
) -> None:
    """What teams spent in the current period, what is left, and which models took it.

    Amounts under a cent keep enough digits to be seen; a budget that was touched never looks whole.
    """
    if (team is None) != every:
        raise Failure("say which: --team NAME, or --all")
    api = api_of_this_shell()
    wallets, now = all_wallets(api), datetime.now(UTC)
    if team is None:
        print(json_text([as_json(it, None, now) for it in wallets], 2) if form == "json" else team_table(wallets))
        return
    found = [(wallet, _models(api, wallet)) for wallet in wallets_of(team, wallets)]
    if form == "json":
        pages = [as_json(wallet, models, now) for wallet, models in found]
        print(json_text(pages[0] if len(pages) == 1 else pages, 2))
    else:
        print("\n\n".join(team_page(wallet, models) for wallet, models in found))


def _models(api: Api, wallet: Wallet) -> list[ModelSpend]:
    query = {
        "team_id": wallet.team_id,
        "since": wallet.start.isoformat(),
        "until": wallet.end.isoformat(),
        "aggregate": "by_model",
    }
    rows = member(api.get("events", query), "models", list, "events?aggregate=by_model")
    return merged([read_model(row) for row in rows])


def read_model(row: Any) -> ModelSpend:
    """One row of the by_model aggregate."""
    try:
        return ModelSpend(
            model=printable(row["model"]),
            cost=Decimal(row["total_cost"]),
            tokens=row["total_tokens"],
            requests=row["count"],
        )
    except (KeyError, TypeError, ArithmeticError):
        raise Failure(
            "the API's by_model rows have another shape: this `kt` and the API are of different versions"
        ) from None
