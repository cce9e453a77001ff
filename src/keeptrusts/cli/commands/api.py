"""`kt api run`: the API alone."""

import os
from pathlib import Path
from typing import Annotated

import typer

from keeptrusts.cli.failure import SAID_NO, Failure
from keeptrusts.cli.listening import address, bound
from keeptrusts.cli.log_options import LOG_FORMAT, LOG_LEVEL, LogFormat, LogLevel, with_log_options
from keeptrusts.settings import default_data_dir, read_settings
from keeptrusts.supervisor.lifeline import hold_lifeline

DEFAULT_PORT = 8080
LINGER_S = 1.5
"""How much longer than its supervisor the API lives, so that a gateway can hand over its journal and its leases."""

app = typer.Typer(add_completion=False, rich_markup_mode=None, help="The API: keys, wallets, prices, events.")


@app.command()
def run(
    port: Annotated[int | None, typer.Option(min=1, max=65_535, help="On this machine alone (default 8080).")] = None,
    listen: Annotated[str | None, typer.Option(help="Elsewhere: HOST:PORT.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Where the ledger is kept (default ~/.keeptrusts).")] = None,
    log_format: Annotated[LogFormat | None, LOG_FORMAT] = None,
    log_level: Annotated[LogLevel | None, LOG_LEVEL] = None,
) -> None:
    """Run the API until SIGTERM or Ctrl-C. One process at a time uses a data directory."""
    hold_lifeline(os.environ, LINGER_S)
    environ = with_log_options(os.environ, log_format, log_level)
    with bound(address(port, listen, DEFAULT_PORT)) as listener:
        from keeptrusts.wiring import CannotStart, run_api

        home = (data_dir or default_data_dir(Path.home())).expanduser().absolute()
        try:
            run_api(listener, home, read_settings(environ), environ)
        except CannotStart as trouble:
            raise Failure(str(trouble), SAID_NO) from None
