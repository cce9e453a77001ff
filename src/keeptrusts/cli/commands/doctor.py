"""`kt doctor`: everything that a start needs, looked at one by one, with what to do where it is not there."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

import typer

from keeptrusts.cli.check import Check, fail
from keeptrusts.cli.failure import Failure
from keeptrusts.cli.json_text import json_text
from keeptrusts.cli.printable import printable
from keeptrusts.settings import default_data_dir

app = typer.Typer(add_completion=False, rich_markup_mode=None)

Port = typer.Option(min=1, max=65_535)
POLICY_FILE = "policy-config.yaml"


@app.command()
def doctor(
    policy_config: Annotated[
        list[Path] | None,
        typer.Option(
            "--policy-config",
            "--config",
            help="The policy file (default: policy-config.yaml here, or in the data directory).",
        ),
    ] = None,
    data_dir: Annotated[Path | None, typer.Option(help="The data directory (default ~/.keeptrusts).")] = None,
    gateway_port: Annotated[int, Port] = 41002,
    api_port: Annotated[int, Port] = 8080,
    offline: Annotated[bool, typer.Option("--offline", help="Ask neither the API nor providers.")] = False,
    form: Annotated[Literal["text", "json"], typer.Option("--format", help="json is for programs.")] = "text",
) -> None:
    """Look at this machine, the policy file, the API and the providers, and say what is wrong and what to do.

    It changes nothing, shows no secret, and works when nothing else does. Exits with 1 when something fails.
    """
    home = (data_dir or default_data_dir(Path.home())).expanduser().absolute()
    files = policy_config or [_policy_file(home)]
    ports = {"gateway": gateway_port, "API": api_port}
    found: list[Check] = []
    for check in _checks(home, files, ports, offline, os.environ):
        found.append(check)
        if form == "text":
            print(printable(f"{check.status:<4}  {check.name}: {check.found}"), flush=True)
            if check.status != "ok":
                print(printable(f"      {check.advice}"), flush=True)
    failed = sum(check.status == "fail" for check in found)
    warned = sum(check.status == "warn" for check in found)
    if form == "json":
        print(json_text({"ok": not failed, "checks": [check._asdict() for check in found]}, 2))
    else:
        print(f"{len(found) - failed - warned} ok, {warned} to look at, {failed} failed")
    raise typer.Exit(1 if failed else 0)


def _checks(
    home: Path, files: list[Path], ports: Mapping[str, int], offline: bool, environ: Mapping[str, str]
) -> Iterator[Check]:
    from keeptrusts.cli.check_api import check_api
    from keeptrusts.cli.check_machine import check_machine
    from keeptrusts.cli.check_policy import check_providers, check_stores, read_rules
    from keeptrusts.cli.connection import find_connection

    yield from check_machine(home, ports)
    rulebook, found = read_rules(files, environ, home)
    yield from found
    if offline:
        return
    api = None if rulebook is None else rulebook.api
    if rulebook is None or api is not None:
        asked = dict(environ)
        if api is not None:
            asked |= {"KEEPTRUSTS_API_URL": api.url, "KEEPTRUSTS_API_TOKEN": environ.get(api.token_env, "")}
        try:
            connection = find_connection(asked, home)
        except Failure as trouble:
            yield fail("API", trouble.message, "the gateway registers there, and `kt` asks it")
        else:
            yield from check_api(connection)
    if rulebook is not None:
        yield from check_providers(rulebook, environ)
        yield from check_stores(rulebook, environ)


def _policy_file(home: Path) -> Path:
    here = Path(POLICY_FILE)
    return here if here.exists() or not (home / POLICY_FILE).exists() else home / POLICY_FILE
