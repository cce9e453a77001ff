"""`kt wallets`: gives budgets, moves and stops them, and says what is left of them."""

import sys
from collections.abc import Sequence
from typing import Annotated, Any, Literal
from urllib.parse import quote

import typer

from keeptrusts.cli.api_client import api_of_this_shell
from keeptrusts.cli.columns import columns
from keeptrusts.cli.failure import Failure
from keeptrusts.cli.json_text import json_text
from keeptrusts.cli.money_text import amount_usd, dollars, figures
from keeptrusts.cli.printable import printable
from keeptrusts.cli.wallet_view import (
    Wallet,
    all_wallets,
    every_wallet,
    in_tree,
    known_team_id,
    read_wallet,
    wallets_of,
)
from keeptrusts.core.metering.teams import ID_PREFIX
from keeptrusts.core.periods import PeriodKind

app = typer.Typer(add_completion=False, rich_markup_mode=None, help="Budgets.")

Form = Annotated[Literal["table", "json"], typer.Option("--format")]


Amount = Annotated[str, typer.Option(help="USD, as 500 or 0.01.")]
Name = Annotated[
    str, typer.Option("--wallet", help="A team by name or id, or another scope as project:search or department:eng.")
]
Period = Annotated[PeriodKind, typer.Option(help="Which of its budgets.")]
Why = Annotated[str | None, typer.Option(help="Why, for the wallet's statement.")]


@app.command()
def allocate(
    amount: Annotated[str, typer.Option(help="USD for a period, as 500 or 0.01.")],
    period: Annotated[
        PeriodKind, typer.Option(help="What the amount is for; it stands for later ones too.")
    ] = "monthly",
    team: Annotated[str | None, typer.Option(help="The team, by its name or its id; a new one gets a wallet.")] = None,
    wallet: Annotated[
        str | None, typer.Option(help="Instead of --team: a scope and its id, as department:eng.")
    ] = None,
    parent: Annotated[
        str | None, typer.Option(help="The wallet that it draws on: wal_..., a scope and its id, or none.")
    ] = None,
    overcommit: Annotated[bool | None, typer.Option(help="Its children may have more than it has.")] = None,
    carry_over: Annotated[bool | None, typer.Option(help="What a period leaves goes to the next.")] = None,
    fallback: Annotated[
        Literal["none", "parent"] | None, typer.Option(help="Whether calls go on with the parent's money.")
    ] = None,
    on_hard_cap: Annotated[
        Literal["block", "escalate"] | None, typer.Option(help="escalate: hold calls that do not fit for an approver.")
    ] = None,
    time_zone: Annotated[str | None, typer.Option(help="Where its days begin, as Europe/Berlin.")] = None,
    fiscal_month: Annotated[int | None, typer.Option(min=1, max=12, help="The month its years begin in.")] = None,
    description: Why = None,
    form: Form = "table",
) -> None:
    """Set a budget for this period and those that follow. It replaces the one before; it does not add."""
    if (team is None) == (wallet is None):
        raise Failure("say whose budget it is: --team NAME, or --wallet SCOPE:ID")
    api = api_of_this_shell()
    options = {
        "parent": parent,
        "overcommit": overcommit,
        "carry_over": carry_over,
        "fallback": fallback,
        "on_hard_cap": on_hard_cap,
        "time_zone": time_zone,
        "fiscal_month": fiscal_month,
        "description": description,
    }
    known = None if team is None else known_team_id(team, api)
    body = (_scope_of(wallet) if team is None else {"team_id": known or team}) | {
        "amount": amount_usd("--amount", amount),
        "currency": "USD",
        "period": period,
    }
    _say(api.post("wallets/allocate", body | {name: it for name, it in options.items() if it is not None}), form)
    if team is not None and known is None and not team.startswith(ID_PREFIX):
        # A name that is not known yet is taken for an id; who meant team_NAME must hear of it before calls are refused.
        told = f"no wallet was called {team!r} before: this one is that of keys and groups whose team id is {team!r}"
        print(f"kt: {printable(told)}", file=sys.stderr)


@app.command()
def credit(
    wallet: Name, amount: Amount, period: Period = "monthly", description: Why = None, form: Form = "table"
) -> None:
    """Add to a wallet's current period alone."""
    body = _moved(amount, period, description)
    _say(api_of_this_shell().post("wallets/credit", {"wallet": wallet, **body}), form)


@app.command()
def reclaim(
    wallet: Name,
    amount: Annotated[str | None, typer.Option(help="USD; everything unused, if left out.")] = None,
    period: Period = "monthly",
    description: Why = None,
    form: Form = "table",
) -> None:
    """Take unused money back from a wallet's current period."""
    body = _moved(amount, period, description)
    _say(api_of_this_shell().post("wallets/reclaim", {"wallet": wallet, **body}), form)


@app.command()
def transfer(
    giving: Annotated[str, typer.Option("--from", help="The wallet that gives.")],
    taking: Annotated[str, typer.Option("--to", help="The wallet that takes.")],
    amount: Amount,
    period: Period = "monthly",
    description: Why = None,
    form: Form = "table",
) -> None:
    """Move unused money of the current period from one wallet to another."""
    body = {"from": giving, "to": taking, **_moved(amount, period, description)}
    answer = api_of_this_shell().post("wallets/transfer", body)
    print(json_text(answer, 2) if form == "json" else _table([read_wallet(answer["from"]), read_wallet(answer["to"])]))


@app.command()
def freeze(wallet: Name) -> None:
    """Stop all spending from a wallet and from those below it."""
    _set_state(wallet, "freeze")


@app.command()
def unfreeze(wallet: Name) -> None:
    """Let a frozen wallet pay again."""
    _set_state(wallet, "unfreeze")


@app.command()
def close(wallet: Name) -> None:
    """End a wallet for good."""
    _set_state(wallet, "close")


@app.command()
def tree(form: Form = "table") -> None:
    """Show every wallet below the one that it draws on."""
    api = api_of_this_shell()
    if form == "json":
        print(json_text(api.get("wallets"), 2))
        return
    heading = ("Wallet", "Period", "Budget", "Spent", "Reserved", "Available", "State")
    rows = []
    for depth, it in in_tree(every_wallet(api)):
        name = f"{'  ' * depth}{it.scope}:{it.team_id}"
        rows.append((name, it.period, *_amounts(it), it.state))
    print(columns(heading, rows))


def _set_state(wallet: str, verb: str) -> None:
    answer = api_of_this_shell().post(f"wallets/{quote(wallet, safe='')}/{verb}", {})
    print(f"{printable(answer['scope'])}:{printable(answer['scope_id'])} is {printable(answer['state'])}")


def _scope_of(wallet: str | None) -> dict[str, str]:
    scope, colon, scope_id = (wallet or "").partition(":")
    if not colon or not scope_id:
        raise Failure(f"--wallet: {wallet!r} is not a scope and its id, as department:eng")
    return {"scope": scope, "scope_id": scope_id}


def _moved(amount: str | None, period: str, description: str | None) -> dict[str, Any]:
    given = None if amount is None else amount_usd("--amount", amount)
    body = {"amount": given, "period": period, "description": description}
    return {name: it for name, it in body.items() if it is not None}


def _say(answer: Any, form: str) -> None:
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


def _amounts(it: Wallet) -> tuple[str, str, str, str]:
    shown = figures(it.budget, it.spent)
    return shown.budget, shown.spent, dollars(it.reserved), dollars(it.available, shown.places)


def _table(wallets: Sequence[Wallet]) -> str:
    heading = ("Team", "Id", "Period", "Budget", "Spent", "Reserved", "Available")
    rows = []
    for it in wallets:
        period = f"{it.period} {it.first_day} to {it.last_day}"
        rows.append((it.team, it.team_id, period, *_amounts(it)))
    return columns(heading, rows)
