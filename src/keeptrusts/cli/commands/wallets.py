"""`kt wallets`: gives teams a budget, and says what is left of it."""

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Annotated, Literal

import typer

from keeptrusts.cli.api_client import api_of_this_shell
from keeptrusts.cli.columns import columns
from keeptrusts.cli.failure import Failure
from keeptrusts.cli.json_text import json_text
from keeptrusts.cli.money_text import dollars, figures
from keeptrusts.cli.wallet_view import Wallet, all_wallets, read_wallet, team_id_of, wallets_of
from keeptrusts.core.money import BadAmount, nanos_from_usd
from keeptrusts.core.periods import PeriodKind

app = typer.Typer(add_completion=False, rich_markup_mode=None, help="Teams' budgets.")

Form = Annotated[Literal["table", "json"], typer.Option("--format")]


@app.command()
def allocate(
    team: Annotated[str, typer.Option(help="The team, by its name or its id; a new one gets a wallet.")],
    amount: Annotated[str, typer.Option(help="USD for a period, as 500 or 0.01.")],
    period: Annotated[
        PeriodKind, typer.Option(help="What the amount is for; it stands for later ones too.")
    ] = "monthly",
    description: Annotated[str | None, typer.Option(help="Why, for the wallet's statement.")] = None,
    form: Form = "table",
) -> None:
    """Set a team's budget for this period and those that follow. It replaces the one before; it does not add."""
    api = api_of_this_shell()
    body = {
        "team_id": team_id_of(team, api),
        "amount": _usd(amount),
        "currency": "USD",
        "period": period,
    } | ({} if description is None else {"description": description})
    answer = api.post("wallets/allocate", body)
    print(json_text(answer, 2) if form == "json" else _table([read_wallet(answer)]))


@app.command()
def balance(
    team: Annotated[str, typer.Option(help="The team, by its name or its id.")],
    form: Form = "table",
) -> None:
    """What a team may still spend in this period, and what its running calls hold."""
    api = api_of_this_shell()
    if form == "json":
        print(json_text(api.get("wallets/balance", {"team_id": team}), 2))
    else:
        print(_table(wallets_of(team, all_wallets(api))))


def _table(wallets: Sequence[Wallet]) -> str:
    heading = ("Team", "Id", "Period", "Budget", "Spent", "Reserved", "Available")
    rows = []
    for it in wallets:
        shown = figures(it.budget, it.spent)
        period = f"{it.period} {it.first_day} to {it.last_day}"
        amounts = (shown.budget, shown.spent, dollars(it.reserved), dollars(it.available, shown.places))
        rows.append((it.team, it.team_id, period, *amounts))
    return columns(heading, rows)


def _usd(text: str) -> Decimal:
    try:
        amount = Decimal(text)
        nanos_from_usd(amount)
    except (InvalidOperation, BadAmount) as trouble:
        said = trouble if isinstance(trouble, BadAmount) else f"{text!r} is not a number"
        raise Failure(f"--amount: {said}; write USD as 500 or 0.01") from None
    if amount < 0:
        raise Failure(f"--amount: a budget is at least 0, not {text}")
    return amount
