"""``--log-format`` and ``--log-level`` of the commands that run processes: put where children and log both find them."""

from collections.abc import Mapping
from typing import Literal

import typer

from keeptrusts.logs import FORMAT_ENV, LEVEL_ENV

LogFormat = Literal["text", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]
LOG_FORMAT = typer.Option(help=f"How log lines are written (default {FORMAT_ENV}, else text).")
LOG_LEVEL = typer.Option(help=f"The least that is logged (default {LEVEL_ENV}, else info).")


def with_log_options(environ: Mapping[str, str], log_format: str | None, log_level: str | None) -> Mapping[str, str]:
    """The environment of the processes to run: what the command line says wins."""
    given = {FORMAT_ENV: log_format, LEVEL_ENV: log_level}
    said = {name: value for name, value in given.items() if value is not None}
    return {**environ, **said} if said else environ
