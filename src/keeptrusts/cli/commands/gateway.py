"""`kt gateway run`: a gateway alone, with the rules of one policy file."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from keeptrusts.cli.failure import SAID_NO, Failure
from keeptrusts.cli.listening import address, must_be_free
from keeptrusts.settings import default_data_dir
from keeptrusts.supervisor.lifeline import hold_lifeline

DEFAULT_PORT = 41002

app = typer.Typer(add_completion=False, rich_markup_mode=None, help="A gateway: the door that applications call.")


@app.command()
def run(
    policy_config: Annotated[Path, typer.Option(help="The policy file; `kt policy lint` checks one.")],
    port: Annotated[int | None, typer.Option(min=1, max=65_535, help="On this machine alone (default 41002).")] = None,
    listen: Annotated[str | None, typer.Option(help="Elsewhere: HOST:PORT.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Where its journal is kept (default ~/.keeptrusts).")] = None,
) -> None:
    """Run a gateway until SIGTERM or Ctrl-C. It does not start on a policy file with errors."""
    hold_lifeline(os.environ)
    at = address(port, listen, DEFAULT_PORT)
    must_be_free(at)
    from keeptrusts.cli.rules import checked_rulebook
    from keeptrusts.wiring import CannotStart, run_gateway

    rulebook = checked_rulebook(policy_config, os.environ, sys.stderr)
    home = (data_dir or default_data_dir(Path.home())).expanduser().absolute()
    try:
        run_gateway(rulebook, at.host, at.port, home, os.environ)
    except CannotStart as trouble:
        raise Failure(str(trouble), SAID_NO) from None
