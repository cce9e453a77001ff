"""`kt policy`: checks a policy-config.yaml without starting anything, and prints its schema for editors."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import typer

from keeptrusts.cli.failure import CANNOT_ASK, Failure
from keeptrusts.cli.json_text import json_text
from keeptrusts.cli.policy_report import as_json, problem_line, verdict_lines

app = typer.Typer(add_completion=False, rich_markup_mode=None, help="Check a policy-config.yaml.")


@app.command()
def lint(
    file: Annotated[Path, typer.Option(help="The policy file.")] = Path("policy-config.yaml"),
    form: Annotated[Literal["text", "json"], typer.Option("--format", help="json is for programs.")] = "text",
) -> None:
    """Says everything that is wrong with a policy file, each with its line, its column and what would be right.

    Exits with 0 for a valid file (warnings allowed), 1 for a file with errors, 2 for one that cannot be read.
    """
    from keeptrusts.core.rulebook.from_yaml import compile_rulebook, missing_secrets

    environment: Mapping[str, str] = os.environ
    compiled = compile_rulebook(read_policy_text(file))
    rulebook, problems = compiled.rulebook, list(compiled.problems)
    if rulebook is not None:
        problems += missing_secrets(rulebook, environment, compiled.places)
        problems.sort(key=lambda problem: (problem.line or 0, problem.column or 0))
    if form == "json":
        print(json_text(as_json(str(file), rulebook, problems), 2))
    else:
        lines = [problem_line(str(file), problem) for problem in problems]
        print("\n".join([*lines, *verdict_lines(str(file), rulebook, problems)]))
    raise typer.Exit(0 if rulebook is not None else 1)


@app.command()
def schema() -> None:
    """Prints the JSON Schema of policy files, for editors that complete and check YAML."""
    from keeptrusts.core.rulebook.schema import policy_file_schema

    print(json.dumps(policy_file_schema(), indent=2))


def read_policy_text(file: Path) -> str:
    """The text of a policy file. Raises Failure (exit code 2) when there is none to read."""
    from keeptrusts.core.rulebook.from_yaml import TEXT_BYTES_MAX

    try:
        with file.open("rb") as opened:
            content = opened.read(TEXT_BYTES_MAX + 1)
    except FileNotFoundError:
        raise Failure(f"no file {file}: name it with --file", CANNOT_ASK) from None
    except IsADirectoryError:
        raise Failure(f"{file} is a directory: name the policy file in it", CANNOT_ASK) from None
    except OSError as trouble:
        raise Failure(f"cannot read {file}: {trouble.strerror or trouble}", CANNOT_ASK) from None
    if len(content) > TEXT_BYTES_MAX:
        raise Failure(f"{file} is over {TEXT_BYTES_MAX} bytes: no policy file is that long", CANNOT_ASK)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as bad:
        line = content.count(b"\n", 0, bad.start) + 1
        raise Failure(f"{file} is not UTF-8 text (line {line}, byte {bad.start})", CANNOT_ASK) from None
