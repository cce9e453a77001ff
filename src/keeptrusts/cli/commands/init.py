"""`kt init`: writes a policy file to begin with, for the providers and teams that are named, or asked for at a terminal."""

import os
import re
import sys
from pathlib import Path
from secrets import token_bytes
from typing import Annotated

import typer

from keeptrusts.cli.failure import SAID_NO, Failure
from keeptrusts.cli.home_dir import write_private
from keeptrusts.cli.starter import PROVIDERS, TEAM, TEAM_RULE, Starter, next_steps, starter_text
from keeptrusts.core.identity.gateway_key import GROUP_PREFIX, SECRET_BYTES, issue_key
from keeptrusts.settings import DEFAULT_API_URL

app = typer.Typer(add_completion=False, rich_markup_mode=None)

AMOUNT = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?")


@app.command()
def init(
    file: Annotated[Path, typer.Option(help="The file to write.")] = Path("policy-config.yaml"),
    provider: Annotated[
        list[str] | None, typer.Option(help=f"What to call: {', '.join(PROVIDERS)}. Again: several.")
    ] = None,
    team: Annotated[list[str] | None, typer.Option(help="Who calls. Again: several.")] = None,
    budget: Annotated[str | None, typer.Option(help="USD for each team and month, as 500.")] = None,
    api_url: Annotated[str, typer.Option(help="Where the API answers.")] = DEFAULT_API_URL,
    alone: Annotated[bool, typer.Option("--alone", help="A gateway without the API: no budgets.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write a policy file to begin with. What is not said is asked for at a terminal; elsewhere it is simulated and one team.

    The file is readable by you alone, because it holds the teams' keys. One that is there stays, but for --force.
    """
    from keeptrusts.core.rulebook.from_yaml import compile_rulebook

    if file.exists() and not force:
        raise Failure(f"{file} is there already: --force replaces it, --file writes another", SAID_NO)
    if not file.absolute().parent.is_dir():
        raise Failure(f"no directory {file.absolute().parent}: make it first")
    asks = sys.stdin.isatty() and provider is None and team is None
    providers = _providers(provider, asks)
    teams = _teams(team, asks)
    if asks and budget is None and not alone:
        budget = typer.prompt("Budget of each team, in USD a month", default="25")
    if budget is not None and not AMOUNT.fullmatch(budget):
        raise Failure("--budget is an amount of USD, as 500 or 99.50")
    if budget is not None and alone:
        raise Failure("--budget needs the API, where budgets are kept: leave out --alone")
    starter = Starter(providers, teams, None if alone else api_url)
    text = starter_text(starter, str(file), lambda: issue_key(GROUP_PREFIX, token_bytes(SECRET_BYTES)))
    compiled = compile_rulebook(text)
    if compiled.rulebook is None:
        raise Failure(f"{compiled.problems[0].message}: {compiled.problems[0].suggestion or 'say it differently'}")
    write_private(file, text)
    print(f"Wrote {file}: {', '.join(providers)} for {', '.join(teams)}. Next:")
    print("\n".join(next_steps(starter, str(file), budget, os.environ)))


def _providers(given: list[str] | None, asks: bool) -> list[str]:
    if given is None:
        said = typer.prompt(f"Providers ({', '.join(PROVIDERS)})", default="simulated") if asks else "simulated"
        given = said.replace(",", " ").split()
    for name in given:
        if name not in PROVIDERS:
            raise Failure(f"no provider {name!r}: known here are {', '.join(PROVIDERS)}")
    return list(dict.fromkeys(given))


def _teams(given: list[str] | None, asks: bool) -> list[str]:
    if given is None:
        said = typer.prompt("Teams", default="engineering") if asks else "engineering"
        given = said.replace(",", " ").split()
    for name in given:
        if not TEAM.fullmatch(name):
            raise Failure(f"{name!r} is no name: {TEAM_RULE}")
    return list(dict.fromkeys(given))
