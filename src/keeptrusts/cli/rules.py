"""The rules of policy files for a process that is to live by them: every problem is shown, and an error is a refusal."""

import time
from collections.abc import Mapping
from typing import NamedTuple, TextIO

from keeptrusts.cli.failure import CANNOT_ASK, SAID_NO, Failure
from keeptrusts.cli.policy_report import problem_line
from keeptrusts.core.rulebook.from_yaml import compile_layers
from keeptrusts.core.rulebook.missing_secrets import missing_secrets
from keeptrusts.core.rulebook.rulebook import Rulebook
from keeptrusts.gateway.last_good import LastGood
from keeptrusts.gateway.policy_files import PolicyFiles, PolicyTexts, PolicyUnreadable, StartPolicy


class Rules(NamedTuple):
    """What a gateway starts with, and where it is from."""

    rulebook: Rulebook
    policy: StartPolicy


def checked_rules(
    files: PolicyFiles, environment: Mapping[str, str], out: TextIO, last_good: LastGood, fall_back: bool = False
) -> Rules:
    """The files' rules; their problems go to ``out``, a line each. With errors in them the last good ones are taken, if
    ``fall_back``; else Failure is raised."""
    stamp = files.stamp()
    try:
        texts = files.read()
        return Rules(_compiled(texts, str(files), environment, out), StartPolicy(files, texts, stamp))
    except PolicyUnreadable as trouble:
        failure = Failure(f"the gateway does not start: {trouble}", CANNOT_ASK)
    except Failure as trouble:
        failure = trouble
    kept = last_good.load()
    if kept is None:
        raise Failure(f"{failure.message}, and no last good configuration is there", SAID_NO) if fall_back else failure
    texts, saved_at_s = kept
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(saved_at_s))
    if not fall_back:
        raise Failure(f"{failure.message}; --last-good starts with what worked last, {when}", failure.exit_code)
    rulebook = _compiled(texts, "the last good configuration", environment, out)
    print(
        f"{files} cannot be used: starting with the last good configuration, of {when}. "
        "What is there is taken as soon as it can be.",
        file=out,
        flush=True,
    )
    return Rules(rulebook, StartPolicy(files, texts, stamp, failure.message))


def _compiled(texts: PolicyTexts, name: str, environment: Mapping[str, str], out: TextIO) -> Rulebook:
    compiled = compile_layers(texts)
    problems = list(compiled.problems)
    if compiled.rulebook is not None:
        problems += missing_secrets(compiled.rulebook, environment, compiled.places)
    for problem in problems:
        print(problem_line(texts[0].name, problem), file=out, flush=True)
    if compiled.rulebook is None:
        errors = sum(problem.severity == "error" for problem in problems)
        raise Failure(f"the gateway does not start: {name} has {errors} error{'s' * (errors != 1)}", SAID_NO)
    return compiled.rulebook
