"""`kt teams`: the directory of teams."""

from typing import Annotated
from urllib.parse import quote

import typer

from keeptrusts.cli.api_client import api_of_this_shell
from keeptrusts.cli.columns import columns
from keeptrusts.cli.printable import printable

app = typer.Typer(add_completion=False, rich_markup_mode=None, help="The directory of teams.")


@app.command()
def add(
    team_id: Annotated[str, typer.Argument(help="Its id, as team_search.")],
    name: Annotated[str | None, typer.Option(help="What people call it.")] = None,
) -> None:
    """Enter a team, or name it anew."""
    answer = api_of_this_shell().put(f"teams/{quote(team_id, safe='')}", {} if name is None else {"name": name})
    print(f"{printable(answer['id'])}: {printable(answer['name'])}")


@app.command("list")
def list_teams() -> None:
    """Show the teams that were entered."""
    found = api_of_this_shell().get("teams")["data"]
    print(columns(("Id", "Name"), [(printable(team["id"]), printable(team["name"])) for team in found]))
