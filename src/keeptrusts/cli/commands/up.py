"""`kt up`: API, gateway and ledger on this machine, as two supervised processes."""

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from keeptrusts.cli.home_dir import open_home
from keeptrusts.cli.log_options import LOG_FORMAT, LOG_LEVEL, LogFormat, LogLevel, with_log_options
from keeptrusts.cli.stack import Stack, prepare_stack, run_stack
from keeptrusts.settings import default_data_dir
from keeptrusts.supervisor.shared_port import MAX_WORKERS

app = typer.Typer(add_completion=False, rich_markup_mode=None)

Port = typer.Option(min=1, max=65_535)


@app.command()
def up(
    data_dir: Annotated[Path | None, typer.Option(help="Where everything is kept (default ~/.keeptrusts).")] = None,
    api_port: Annotated[int, Port] = 8080,
    gateway_port: Annotated[int, Port] = 41002,
    policy_config: Annotated[
        Path | None, typer.Option(help="The gateway's policy file (default: the one in the data directory).")
    ] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Add sample teams and a trickle of simulated calls.")] = False,
    workers: Annotated[
        int, typer.Option(min=1, max=MAX_WORKERS, help="How many gateway processes serve the port together.")
    ] = 1,
    log_format: Annotated[LogFormat | None, LOG_FORMAT] = None,
    log_level: Annotated[LogLevel | None, LOG_LEVEL] = None,
) -> None:
    """Run API, gateway and ledger on this machine until Ctrl-C. Both listen to this machine alone.

    The first start makes an admin token, a policy file and a small budget, so that the printed curl line works.
    """
    home = (data_dir or default_data_dir(Path.home())).expanduser().absolute()
    environ = with_log_options(os.environ, log_format, log_level)
    lock = open_home(home)
    try:
        stack: Stack = prepare_stack(home, api_port, gateway_port, policy_config, demo, environ, _say, workers)
        code = asyncio.run(run_stack(stack, environ, _say))
    finally:
        os.close(lock)
    raise typer.Exit(code)


def _say(line: str) -> None:
    try:
        print(line, flush=True)
    except BrokenPipeError:
        return  # nobody reads what we say; what we run goes on
