"""`kt gateway run`: a gateway alone, with the rules of one policy file; or several workers on one port."""

import io
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from keeptrusts.cli.admin_address import ADMIN_LISTEN, with_admin_listen
from keeptrusts.cli.failure import SAID_NO, Failure
from keeptrusts.cli.listening import Address, address, must_be_free
from keeptrusts.cli.log_options import LOG_FORMAT, LOG_LEVEL, LogFormat, LogLevel, with_log_options
from keeptrusts.core.policies.failing import FAIL_MODE_ENV
from keeptrusts.gateway.acceptor import Place
from keeptrusts.settings import default_data_dir
from keeptrusts.supervisor.lifeline import hold_lifeline
from keeptrusts.supervisor.shared_port import MAX_WORKERS, take_place

DEFAULT_PORT = 41002
GRACE_S = 45.0
"""How long a gateway may take to end in order once its supervisor is gone: its calls (30 s), then its journal (10 s)."""

app = typer.Typer(add_completion=False, rich_markup_mode=None, help="A gateway: the door that applications call.")


@app.command()
def run(
    policy_config: Annotated[
        list[Path],
        typer.Option(help="The policy file; `kt policy lint` checks one. Again: further files, laid over it in turn."),
    ],
    port: Annotated[int | None, typer.Option(min=1, max=65_535, help="On this machine alone (default 41002).")] = None,
    listen: Annotated[str | None, typer.Option(help="Elsewhere: HOST:PORT.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Where its journal is kept (default ~/.keeptrusts).")] = None,
    workers: Annotated[
        int, typer.Option(min=1, max=MAX_WORKERS, help="How many processes serve the port together.")
    ] = 1,
    admin_listen: Annotated[
        str | None, typer.Option(help="Where operators ask for metrics and health: HOST:PORT, or a socket's path.")
    ] = None,
    last_good: Annotated[
        bool, typer.Option("--last-good", help="When the policy file has errors, start with what worked last.")
    ] = False,
    fail_mode: Annotated[
        Literal["block", "allow"] | None,
        typer.Option(help="What becomes of calls that policies can't judge (default block).", envvar=FAIL_MODE_ENV),
    ] = None,
    log_format: Annotated[LogFormat | None, LOG_FORMAT] = None,
    log_level: Annotated[LogLevel | None, LOG_LEVEL] = None,
) -> None:
    """Run a gateway until SIGTERM or Ctrl-C. It does not start on a policy file with errors.

    While it runs it takes changes of the file by itself, and on SIGHUP at once; one with errors changes nothing.

    Told to stop, it takes no new calls, gives those under way 30 seconds, and leaves nothing behind; told twice, it ends.
    """
    supervised = hold_lifeline(os.environ, grace_s=GRACE_S)
    at = address(port, listen, DEFAULT_PORT)
    home = (data_dir or default_data_dir(Path.home())).expanduser().absolute()
    place = take_place(os.environ)
    environ = with_log_options(os.environ, log_format, log_level)
    environ = environ if admin_listen is None else {**environ, ADMIN_LISTEN: admin_listen}
    environ = environ if fail_mode is None else {**environ, FAIL_MODE_ENV: fail_mode}
    if workers > 1:
        raise typer.Exit(_run_workers(policy_config, at, home, workers, last_good, environ))
    if place is None:
        must_be_free(at)
    _run_one(policy_config, at, home, place, supervised, last_good, environ)


def _run_one(
    policy_config: Sequence[Path],
    at: Address,
    home: Path,
    place: Place | None,
    supervised: bool,
    last_good: bool,
    environ: Mapping[str, str],
) -> None:
    from msgspec.structs import replace

    from keeptrusts.cli.rules import checked_rules
    from keeptrusts.gateway.last_good import LastGood
    from keeptrusts.wiring import CannotStart, CutShort, run_gateway

    # Of several workers the first one speaks for all.
    problems = sys.stderr if place is None or place.number == 0 else io.StringIO()
    kept = LastGood(home, policy_config)
    started, policy = checked_rules(policy_config, environ, problems, kept, fall_back=last_good)
    policy = replace(policy, adjusted=lambda rulebook: with_admin_listen(rulebook, environ))
    try:
        run_gateway(policy.adjusted(started), at.host, at.port, home, environ, place, supervised, policy)
    except (CannotStart, CutShort) as trouble:
        raise Failure(str(trouble), SAID_NO) from None


def _run_workers(
    policy_config: Sequence[Path], at: Address, home: Path, workers: int, last_good: bool, environ: Mapping[str, str]
) -> int:
    import asyncio

    from keeptrusts.cli.workers import run_workers

    return asyncio.run(run_workers(policy_config, at, home, workers, environ, last_good))
