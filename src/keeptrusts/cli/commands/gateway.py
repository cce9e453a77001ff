"""`kt gateway run`: a gateway alone, with the rules of one policy file; or several workers on one port."""

import io
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from keeptrusts.cli.admin_address import ADMIN_LISTEN, with_admin_listen
from keeptrusts.cli.connection import checked_url
from keeptrusts.cli.failure import SAID_NO, Failure
from keeptrusts.cli.listening import Address, address, must_be_free
from keeptrusts.cli.log_options import LOG_FORMAT, LOG_LEVEL, LogFormat, LogLevel, with_log_options
from keeptrusts.cli.workers import Source
from keeptrusts.core.policies.failing import FAIL_MODE_ENV
from keeptrusts.gateway.acceptor import Place
from keeptrusts.settings import default_data_dir, read_settings
from keeptrusts.supervisor.lifeline import hold_lifeline
from keeptrusts.supervisor.shared_port import MAX_WORKERS, take_place

if TYPE_CHECKING:
    from keeptrusts.gateway.policy_files import PolicyFiles

DEFAULT_PORT = 41002
GRACE_S = 45.0
"""How long a gateway may take to end in order once its supervisor is gone: its calls (30 s), then its journal (10 s)."""

app = typer.Typer(add_completion=False, rich_markup_mode=None, help="A gateway: the door that applications call.")


@app.command()
def run(
    policy_config: Annotated[
        list[Path] | None,
        typer.Option(help="The policy file; `kt policy lint` checks one. Again: further files, laid over it in turn."),
    ] = None,
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
    managed: Annotated[
        bool, typer.Option("--managed", help="Go by the configuration that `kt policy push` puts at the API.")
    ] = False,
    api_url: Annotated[
        str | None, typer.Option(help="With --managed: where the API is (default KEEPTRUSTS_API_URL).")
    ] = None,
) -> None:
    """Run a gateway until SIGTERM or Ctrl-C. It does not start on a policy file with errors.

    While it runs it takes changes of the file by itself, and on SIGHUP at once; one with errors changes nothing.

    Told to stop, it takes no new calls, gives those under way 30 seconds, and leaves nothing behind; told twice, it ends.
    """
    if not managed and not policy_config:
        raise Failure(
            "name the policy file with --policy-config, or say --managed; `kt init` writes a file to begin with"
        )
    managed_by = (api_url or read_settings(os.environ).api_url) if managed else None
    source = Source(tuple(policy_config or ()), managed_by)
    supervised = hold_lifeline(os.environ, grace_s=GRACE_S)
    at = address(port, listen, DEFAULT_PORT)
    home = (data_dir or default_data_dir(Path.home())).expanduser().absolute()
    place = take_place(os.environ)
    environ = with_log_options(os.environ, log_format, log_level)
    environ = environ if admin_listen is None else {**environ, ADMIN_LISTEN: admin_listen}
    environ = environ if fail_mode is None else {**environ, FAIL_MODE_ENV: fail_mode}
    if workers > 1:
        raise typer.Exit(_run_workers(source, at, home, workers, last_good, environ))
    if place is None:
        must_be_free(at)
    _run_one(source, at, home, place, supervised, last_good, environ)


def _run_one(
    source: Source,
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
    files = _files(source, environ)
    kept = LastGood(home, files.names)
    # Nobody stands beside a managed gateway who could mend a file: without the API it starts on what worked last.
    fall_back = last_good or source.managed_by is not None
    started, policy = checked_rules(files, environ, problems, kept, fall_back)
    policy = replace(policy, adjusted=lambda rulebook: with_admin_listen(rulebook, environ))
    try:
        run_gateway(policy.adjusted(started), at.host, at.port, home, environ, place, supervised, policy)
    except (CannotStart, CutShort) as trouble:
        raise Failure(str(trouble), SAID_NO) from None


def _files(source: Source, environ: Mapping[str, str]) -> "PolicyFiles":
    from keeptrusts.core.rulebook.managed import TOKEN_ENV
    from keeptrusts.gateway.managed_policy import ManagedPolicy
    from keeptrusts.gateway.policy_files import PolicyFiles

    if source.managed_by is None:
        return PolicyFiles(source.files)
    token = environ.get(TOKEN_ENV, "").strip()
    if not token:
        raise Failure(f"--managed needs a token for {source.managed_by}: export {TOKEN_ENV}")
    return ManagedPolicy(source.files, checked_url(source.managed_by), token)


def _run_workers(
    source: Source, at: Address, home: Path, workers: int, last_good: bool, environ: Mapping[str, str]
) -> int:
    import asyncio

    from keeptrusts.cli.workers import run_workers

    return asyncio.run(run_workers(source, at, home, workers, environ, last_good))
