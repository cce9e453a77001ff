"""What `kt policy lint` prints: a line for each problem as compilers write them, and a summary; or the same as JSON."""

from collections.abc import Sequence
from typing import Any

from keeptrusts.cli.printable import printable
from keeptrusts.core.problem import Problem
from keeptrusts.core.rulebook.compare import Change
from keeptrusts.core.rulebook.rulebook import Rulebook

NOTHING = "none"


def problem_line(file: str, problem: Problem) -> str:
    """``file:line:column: error: path: message (suggestion)``; a part that is unknown is left out."""
    place = ":".join(str(part) for part in (problem.file or file, problem.line, problem.column) if part is not None)
    path = f"{problem.path}: " if problem.path else ""
    suggestion = f" ({problem.suggestion})" if problem.suggestion else ""
    return printable(f"{place}: {problem.severity}: {path}{problem.message}{suggestion}")


def verdict_lines(file: str, rulebook: Rulebook | None, problems: Sequence[Problem]) -> list[str]:
    """The end of a text report: whether the file is valid, and what is in it."""
    errors = sum(problem.severity == "error" for problem in problems)
    warnings = len(problems) - errors
    told = [_counted(errors, "error")] if errors else []
    told += [_counted(warnings, "warning")] if warnings else []
    if rulebook is None:
        return [f"X {printable(file)} has {' and '.join(told)}"]
    return [f"OK {printable(file)} is valid" + (f", with {told[0]}" if told else ""), *summary_lines(rulebook)]


def summary_lines(rulebook: Rulebook) -> list[str]:
    """What a valid file holds, a line for each kind of thing."""
    rows = {
        "Targets": [f"{target.id} ({target.provider})" for target in rulebook.targets],
        "Consumer groups": [group.name for group in rulebook.groups],
        "Model groups": [group.name for group in rulebook.model_groups],
        "Spend controls": [f"{control.team} ({control.period})" for control in rulebook.spend_controls],
        "Policies": [f"{policy.name} ({policy.type}, {policy.action})" for policy in rulebook.policies],
        "Budget alerts": [f"{threshold.percent}% {threshold.action}" for threshold in rulebook.thresholds],
    }
    lines = [_row(name, items) for name, items in rows.items()]
    enforcement = "on: wallets are limits" if rulebook.wallet_enforcement else "off"
    return [printable(line) for line in (*lines, f"  Wallet enforcement: {enforcement}")]


def as_json(file: str, rulebook: Rulebook | None, problems: Sequence[Problem]) -> dict[str, Any]:
    """The report for programs."""
    return {
        "valid": rulebook is not None,
        "file": file,
        "errors": [_json(problem) for problem in problems if problem.severity == "error"],
        "warnings": [_json(problem) for problem in problems if problem.severity == "warning"],
    }


MARKS = {"added": "+", "removed": "-", "changed": "~"}


def change_line(change: Change) -> str:
    """``+`` what comes, ``-`` what goes, ``~`` what changes."""
    return printable(f"{MARKS[change.kind]} {change.text}")


def change_json(change: Change) -> dict[str, Any]:
    """The change for programs."""
    return {**{name: getattr(change, name) for name in change.__struct_fields__}, "text": change.text}


def _json(problem: Problem) -> dict[str, Any]:
    named = {} if problem.file is None else {"file": problem.file}
    return {
        **named,
        "code": problem.code,
        "path": problem.path,
        "line": problem.line,
        "column": problem.column,
        "message": problem.message,
        "suggestion": problem.suggestion,
    }


def _row(name: str, items: Sequence[str]) -> str:
    return f"  {name}: {len(items)} ({', '.join(items)})" if items else f"  {name}: {NOTHING}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
