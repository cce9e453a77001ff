"""Several gateway workers on one port: what each is started with, and `kt gateway run --workers`, which watches them."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from keeptrusts.cli.listening import Address, bound
from keeptrusts.cli.log_options import supervisors_voice
from keeptrusts.supervisor.child import Child
from keeptrusts.supervisor.shared_port import SharedPort, share
from keeptrusts.supervisor.supervise import Patience, Supervisor, stop_on_signals

# -P keeps whatever lies in the directory that kt was called in from being imported.
PYTHON = (sys.executable, "-P", "-m")
TEAM = "gateway"
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - where to knock, not where to listen


class Source(NamedTuple):
    """Where a gateway's rules are from: files, and below them, where ``managed_by`` names an API, the configuration there."""

    files: tuple[Path, ...]
    managed_by: str | None = None


LAST_GOOD = ("--last-good",)
"""What a gateway that died gets beside its command line: a file that was broken meanwhile must not keep it down."""


def gateway_command(source: Source, at: Address, home: Path) -> tuple[str, ...]:
    """The command line of one gateway."""
    kt = (*PYTHON, "keeptrusts.cli.main", "gateway", "run")
    named = [word for file in source.files for word in ("--policy-config", str(file))]
    if source.managed_by is not None:
        named += ["--managed", "--api-url", source.managed_by]
    return (*kt, *named, "--listen", str(at), "--data-dir", str(home))


def worker_children(
    source: Source,
    at: Address,
    home: Path,
    port: SharedPort,
    environ: Mapping[str, str],
    last_good: bool = False,
) -> list[Child]:
    """A child for each worker. Whichever is ready first makes the port ready, so one of them is asked."""
    argv = gateway_command(source, at, home) + (LAST_GOOD if last_good else ())
    return [
        Child(
            f"gateway {number + 1}",
            argv,
            {**environ, **port.place(number)},
            at.port if number == 0 else None,
            ready_host=EVERYWHERE.get(at.host, at.host),
            team=TEAM,
            inherited=port.inherited,
            when_restarted=() if last_good else LAST_GOOD,
            takes_reload=True,
        )
        for number in range(port.workers)
    ]


async def run_workers(
    source: Source,
    at: Address,
    home: Path,
    workers: int,
    environ: Mapping[str, str],
    last_good: bool = False,
) -> int:
    """Runs the workers until a signal; returns the exit code. Raises Failure when the port can't be had."""
    say = supervisors_voice(environ, _say)
    with bound(at) as listener:
        supervisor = Supervisor(say, Patience(ready_timeout_s=None))
        stop_on_signals(supervisor)

        async def when_ready() -> Sequence[Child]:
            say(f"{workers} gateway workers serve {at}")
            return []

        children = worker_children(source, at, home, share(listener, workers), environ, last_good)
        return await supervisor.run(children, when_ready)


def _say(line: str) -> None:
    try:
        print(line, flush=True)
    except BrokenPipeError:
        return  # nobody reads what we say; what we run goes on
