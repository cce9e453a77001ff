"""`kt policy`: checks, compares and shows policy files without starting anything, and prints their schema for editors."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from keeptrusts.cli.api_client import api_of_this_shell
from keeptrusts.cli.columns import columns
from keeptrusts.cli.failure import CANNOT_ASK, SAID_NO, Failure
from keeptrusts.cli.json_text import json_text
from keeptrusts.cli.policy_report import as_json, change_json, change_line, problem_line, verdict_lines
from keeptrusts.cli.printable import printable

if TYPE_CHECKING:
    from keeptrusts.core.rulebook.from_yaml import Compiled
    from keeptrusts.core.rulebook.policy_cases import Case
    from keeptrusts.core.rulebook.rulebook import Rulebook

POLICY_FILE = Path("policy-config.yaml")

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    help="Check, try, compare and show policy files, and give managed gateways theirs.",
)


@app.command()
def lint(
    file: Annotated[
        list[Path] | None, typer.Option(help="The policy file. Again: further files, laid over it in turn.")
    ] = None,
    form: Annotated[Literal["text", "json"], typer.Option("--format", help="json is for programs.")] = "text",
) -> None:
    """Say everything that is wrong with a policy file (policy-config.yaml), each with its line and what would be right.

    Exits with 0 for a valid file (warnings allowed), 1 for a file with errors, 2 for one that cannot be read.
    """
    from keeptrusts.core.rulebook.missing_secrets import missing_secrets

    environment: Mapping[str, str] = os.environ
    files = file or [POLICY_FILE]
    name = ", ".join(map(str, files))
    compiled = compiled_files(files)
    rulebook, problems = compiled.rulebook, list(compiled.problems)
    if rulebook is not None:
        problems += missing_secrets(rulebook, environment, compiled.places)
        problems.sort(key=lambda problem: (problem.line or 0, problem.column or 0))
    if form == "json":
        print(json_text(as_json(name, rulebook, problems), 2))
    else:
        lines = [problem_line(name, problem) for problem in problems]
        print("\n".join([*lines, *verdict_lines(name, rulebook, problems)]))
    raise typer.Exit(0 if rulebook is not None else 1)


@app.command()
def show(
    file: Annotated[
        list[Path] | None, typer.Option(help="The policy file. Again: further files, laid over it in turn.")
    ] = None,
) -> None:
    """Print what the files make together, each line with the file and line that it is from; secrets are hidden.

    Exits with 1 when the result has errors (`kt policy lint` says which), 2 when a file cannot be read.
    """
    from keeptrusts.core.rulebook.effective import effective_lines

    files = file or [POLICY_FILE]
    compiled = compiled_files(files)
    for line in effective_lines(compiled):
        print(line)
    if compiled.document is None:
        print("\n".join(problem_line(str(files[0]), problem) for problem in compiled.problems))
    raise typer.Exit(0 if compiled.rulebook is not None else 1)


@app.command()
def diff(
    old: Annotated[Path, typer.Argument(help="The file as it was; with --gateway the only one.")],
    new: Annotated[Path | None, typer.Argument(help="The file as it is to be.")] = None,
    gateway: Annotated[
        str | None, typer.Option(help="Compare with what this running gateway goes by, as http://localhost:41002.")
    ] = None,
    form: Annotated[Literal["text", "json"], typer.Option("--format", help="json is for programs.")] = "text",
) -> None:
    """Say what another policy file means for calls: which things come and go, and which settings change. No key is shown.

    Exits with 0 when both mean the same, 1 when they differ, 2 when one cannot be read or has errors.
    """
    from keeptrusts.cli.running_config import changes_from_running
    from keeptrusts.core.rulebook.compare import changes

    if (new is None) == (gateway is None):
        raise Failure("name two files, or one and the --gateway to compare it with")
    if new is not None:
        found = changes(_sound_rulebook(old), _sound_rulebook(new))
    else:
        assert gateway is not None
        found = changes_from_running(gateway, _sound_rulebook(old))
    if form == "json":
        print(json.dumps({"changes": [change_json(change) for change in found]}, indent=2))
    else:
        print("\n".join(change_line(change) for change in found) or "no difference")
    raise typer.Exit(1 if found else 0)


@app.command()
def route(
    model: Annotated[str, typer.Option(help="What a client would send as model: a model, a group, an alias.")],
    file: Annotated[
        list[Path] | None, typer.Option("--file", "--policy-config", help="The policy file, and files laid over it.")
    ] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="The call's own output limit.")] = None,
    group: Annotated[str | None, typer.Option(help="The consumer group that calls: its list of models counts.")] = None,
    door: Annotated[
        Literal["chat", "completions", "responses", "messages", "embeddings"], typer.Option(help="The route it takes.")
    ] = "chat",
    form: Annotated[Literal["text", "json"], typer.Option("--format", help="json is for programs.")] = "text",
) -> None:
    """Show where calls to a model would go, in which order, and which targets are left out and why. Sends nothing.

    Exits with 0 when there is a target, 1 when there is none or the file has errors, 2 when it cannot be read.
    """
    from keeptrusts.cli.route_report import Asked, catalogue_prices, route_json, route_lines, route_of
    from keeptrusts.gateway.sign_in import missing_secret

    files = file or [POLICY_FILE]
    rulebook = compiled_files(files).rulebook
    if rulebook is None:
        raise Failure(f"{files[0]} has errors: run `kt policy lint`", SAID_NO)
    asked = Asked(model, max_tokens, door, group)
    found = route_of(rulebook, catalogue_prices(), asked, lambda target: missing_secret(target, os.environ))
    if form == "json":
        print(json_text(route_json(asked, found), 2))
    else:
        print("\n".join(route_lines(rulebook, asked, found)))
    raise typer.Exit(0 if found.choices else 1)


@app.command("test")
def try_cases(
    cases: Annotated[list[Path], typer.Option(help="A file of golden cases, in YAML or JSON. Again: further ones.")],
    file: Annotated[
        list[Path] | None, typer.Option(help="The policy file. Again: further files, laid over it in turn.")
    ] = None,
    form: Annotated[Literal["text", "json"], typer.Option("--format", help="json is for programs.")] = "text",
) -> None:
    """Hold golden cases against the policies of a file, by the code that judges in the gateway. Calls nobody.

    Exits with 0 when every case is as expected, 1 when one is not, 2 when a file cannot be read or has errors.
    """
    from keeptrusts.cli.policy_cases import result_lines, results_json, run_cases, unasked
    from keeptrusts.core.refusal import Refused
    from keeptrusts.core.rulebook.policy_cases import read_cases
    from keeptrusts.gateway.policy_files import PolicyUnreadable, read_policy_file

    rulebook = compiled_files(file or [POLICY_FILE]).rulebook
    if rulebook is None:
        raise Failure(f"{(file or [POLICY_FILE])[0]} has errors: run `kt policy lint`", CANNOT_ASK)
    found: list[Case] = []
    for path in cases:
        try:
            read = read_cases(read_policy_file(path))
        except PolicyUnreadable as trouble:
            raise Failure(str(trouble), CANNOT_ASK) from None
        if read.problems:
            raise Failure("\n".join(problem_line(str(path), problem) for problem in read.problems), CANNOT_ASK)
        found += read.cases
    try:
        results = run_cases(rulebook, found, os.environ)
    except Refused as refused:
        raise Failure(f"a case is no call: {refused.message}", CANNOT_ASK) from None
    skipped = unasked(rulebook)
    if form == "json":
        print(json_text(results_json(results, skipped), 2))
    else:
        print("\n".join(result_lines(results, skipped)))
    raise typer.Exit(1 if any(result.wrong for result in results) else 0)


@app.command()
def push(
    file: Annotated[Path, typer.Argument(help="The file for all managed gateways.")] = POLICY_FILE,
    description: Annotated[str, typer.Option(help="Why, for the history.")] = "",
    expect: Annotated[
        int | None, typer.Option(min=0, help="The version that you saw last: another in force is a no.")
    ] = None,
) -> None:
    """Put a policy file at the API for all gateways that run with --managed: in force there within about a second.

    It is checked first, here and there. No key of a group may stand in it: make keys with `kt tokens create`.
    """
    from keeptrusts.core.rulebook.managed import compile_managed
    from keeptrusts.gateway.policy_files import PolicyUnreadable, read_policy_file

    try:
        text = read_policy_file(file)
    except PolicyUnreadable as trouble:
        raise Failure(str(trouble), CANNOT_ASK) from None
    _sound(file, compile_managed(text))
    body: dict[str, object] = {"text": text, "description": description}
    if expect is not None:
        body["expected_version"] = expect
    _told(api_of_this_shell().put("gateway-config", body))


@app.command()
def pull(
    version: Annotated[int | None, typer.Option(min=1, help="Another than the one in force.")] = None,
) -> None:
    """Print the configuration that managed gateways go by."""
    print(api_of_this_shell().get("gateway-config", {"version": version})["text"], end="")


@app.command()
def versions() -> None:
    """Show who put which configuration for managed gateways, the newest first."""
    found = api_of_this_shell().get("gateway-config/versions")["data"]
    rows = [
        tuple(printable(str(row[name])) for name in ("version", "created_at", "actor", "description")) for row in found
    ]
    print(columns(("Version", "Put at", "By", "Why"), rows))


@app.command()
def rollback(version: Annotated[int, typer.Argument(help="The version whose text is to be in force again.")]) -> None:
    """Put an earlier configuration in force again for all managed gateways, as a new version."""
    _told(api_of_this_shell().post("gateway-config/rollback", {"version": version}))


def _told(answer: dict[str, Any]) -> None:
    if not answer["is_new"]:
        print(f"version {answer['version']} says the same already")
        return
    print(f"version {answer['version']} is in force for managed gateways")
    for change in answer["changes"]:
        print(f"  {printable(change)}")


@app.command()
def schema() -> None:
    """Print the JSON Schema of policy files, for editors that complete and check YAML."""
    from keeptrusts.core.rulebook.schema import editor_schema

    print(json.dumps(editor_schema(), indent=2))


def compiled_files(files: Sequence[Path]) -> "Compiled":
    """The files laid over each other and checked. Raises Failure (exit code 2) when one cannot be read."""
    from keeptrusts.core.rulebook.from_yaml import compile_layers
    from keeptrusts.gateway.policy_files import PolicyFiles, PolicyUnreadable

    try:
        return compile_layers(PolicyFiles(files).read())
    except PolicyUnreadable as trouble:
        raise Failure(str(trouble), CANNOT_ASK) from None


def _sound_rulebook(file: Path) -> "Rulebook":
    return _sound(file, compiled_files([file]))


def _sound(file: Path, compiled: "Compiled") -> "Rulebook":
    if compiled.rulebook is None:
        lines = [problem_line(str(file), problem) for problem in compiled.problems if problem.severity == "error"]
        raise Failure("\n".join([f"{file} has errors", *lines]), CANNOT_ASK)
    return compiled.rulebook
