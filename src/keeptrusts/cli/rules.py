"""The rules of a policy file for a process that is to live by them: every problem is shown, and an error is a refusal."""

from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from keeptrusts.cli.commands.policy import read_policy_text
from keeptrusts.cli.failure import SAID_NO, Failure
from keeptrusts.cli.policy_report import problem_line
from keeptrusts.core.rulebook.from_yaml import compile_rulebook, missing_secrets
from keeptrusts.core.rulebook.rulebook import Rulebook


def checked_rulebook(file: Path, environment: Mapping[str, str], out: TextIO) -> Rulebook:
    """The file's rules; its problems go to ``out``, a line each. Raises Failure when one of them is an error."""
    compiled = compile_rulebook(read_policy_text(file))
    problems = list(compiled.problems)
    if compiled.rulebook is not None:
        problems += missing_secrets(compiled.rulebook, environment, compiled.places)
    for problem in problems:
        print(problem_line(str(file), problem), file=out, flush=True)
    if compiled.rulebook is None:
        errors = sum(problem.severity == "error" for problem in problems)
        raise Failure(f"the gateway does not start: {file} has {errors} error{'s' * (errors != 1)}", SAID_NO)
    return compiled.rulebook
