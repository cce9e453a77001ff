"""``--log-format`` and ``--log-level`` of the commands that run processes: put where children and log both find them."""

import logging
from collections.abc import Callable, Mapping
from typing import Literal

import typer

from keeptrusts.cli.failure import Failure
from keeptrusts.logs import FORMAT_ENV, LEVEL_ENV, BadLogSettings, start_logging

LogFormat = Literal["text", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]
LOG_FORMAT = typer.Option(help=f"How log lines are written (default {FORMAT_ENV}, else text).")
LOG_LEVEL = typer.Option(help=f"The least that is logged (default {LEVEL_ENV}, else info).")


def with_log_options(environ: Mapping[str, str], log_format: str | None, log_level: str | None) -> Mapping[str, str]:
    """The environment of the processes to run: what the command line says wins."""
    given = {FORMAT_ENV: log_format, LEVEL_ENV: log_level}
    said = {name: value for name, value in given.items() if value is not None}
    return {**environ, **said} if said else environ


def supervisors_voice(environ: Mapping[str, str], plain: Callable[[str], None]) -> Callable[[str], None]:
    """How a supervisor says what becomes of what it runs: ``plain``, or as JSON where the lines of those are JSON.

    Raises Failure for settings that are none.
    """
    if (environ.get(FORMAT_ENV) or "").strip().lower() != "json":
        return plain
    try:
        start_logging(environ)
    except BadLogSettings as wrong:
        raise Failure(str(wrong)) from None
    return logging.getLogger("keeptrusts::supervisor").info
