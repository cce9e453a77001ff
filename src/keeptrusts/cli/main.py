"""`kt`: finds the command that was asked for, loads that one alone, and turns what stops it into a line and an exit code."""

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from io import TextIOWrapper
from typing import NamedTuple

from keeptrusts import __version__
from keeptrusts.cli.broken_pipe import reader_may_leave
from keeptrusts.cli.failure import CANNOT_ASK, Failure


class Command(NamedTuple):
    """A word after `kt`. Its typer app is ``app`` in ``cli/commands/<name>.py``; no verbs: the word itself runs.

    A verb of two words is a noun inside the noun, and what is done with it.
    """

    summary: str
    verbs: tuple[str, ...] = ()


COMMANDS: dict[str, Command] = {
    "init": Command("write a policy file to begin with"),
    "doctor": Command("look at everything that a start needs"),
    "up": Command("run API, gateway and ledger on this machine"),
    "api": Command("run the API alone", ("run",)),
    "gateway": Command("run a gateway alone", ("run",)),
    "policy": Command(
        "check, show and compare policy files",
        ("lint", "test", "route", "show", "diff", "push", "pull", "versions", "rollback", "schema"),
    ),
    "spend": Command("what teams spent, and what is left"),
    "events": Command("calls as they were recorded", ("tail", "list", "explain")),
    "tokens": Command("gateway keys", ("create", "list", "show", "rotate", "suspend", "resume", "revoke")),
    "wallets": Command(
        "budgets",
        ("allocate", "balance", "tree", "credit", "transfer", "reclaim", "freeze", "unfreeze", "close"),
    ),
    "teams": Command("the directory of teams", ("add", "list")),
    "tickets": Command("calls that wait for an approver", ("list", "approve", "deny")),
    "ledger": Command(
        "the books themselves",
        (
            "verify",
            "node list",
            "node retire",
            "suspense list",
            "suspense resolve",
            "recovery status",
            "recovery finish",
            "rebuild",
        ),
    ),
    "audit": Command("who changed what, and what of it is proven", ("list", "checkpoints", "verify", "prove", "check")),
}

ENDING = """
Options:
  --version   print the version
  --help      print this page, or a command's own: kt COMMAND --help

Environment:
  KEEPTRUSTS_API_URL     where the API answers (default http://localhost:8080)
  KEEPTRUSTS_API_TOKEN   the token to call it with (default: the admin token that `kt up` made)
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line (without the leading ``kt``) and returns its exit code: 0 done, 1 no, 2 cannot be asked."""
    asked = list(sys.argv[1:] if argv is None else argv)
    code = 0
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A terminal that cannot show a character gets its escape, not a stack trace of ours.
            stream.reconfigure(errors="backslashreplace")
    try:
        with reader_may_leave():
            code = _run(asked)
    except Failure as failure:
        print(f"kt: {failure.message}", file=sys.stderr)
        code = failure.exit_code
    except KeyboardInterrupt:
        code = 130
    return code


def overview() -> str:
    """The page of `kt --help`: a line for each command, and below it its verbs, within 80 columns."""
    from textwrap import wrap

    names = {f"{name} {it.verbs[0]}" if len(it.verbs) == 1 else name: it for name, it in COMMANDS.items()}
    width = max(map(len, names))
    lines = []
    for name, command in names.items():
        verbs = command.verbs[1:] and command.verbs
        lines.append(f"  {name.ljust(width)}   {command.summary}" + ":" * bool(verbs))
        # A verb of two words stays on one line.
        listed = wrap(", ".join(verb.replace(" ", "\0") for verb in verbs), 80 - width - 5)
        lines += [f"  {' ' * width}   {part}".replace("\0", " ") for part in listed]
    return (
        "\n".join(["Keeptrusts: token governance. Usage: kt COMMAND [OPTIONS]", "", "Commands:", *lines])
        + "\n"
        + ENDING
    )


def _run(asked: list[str]) -> int:
    match asked:
        case [] | ["--help" | "-h" | "help"]:
            print(overview(), end="")
            return 0
        case ["--version"]:
            print(f"kt {__version__}")
            return 0
        case [name, *rest] if name in COMMANDS:
            return _runner(name)(rest)
        case _:
            raise Failure(_unknown(asked[0]))


def _unknown(name: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, COMMANDS, n=1)
    return f"no command {name!r}: " + (f"did you mean `kt {near[0]}`?" if near else "see `kt --help`")


def _runner(name: str) -> Callable[[list[str]], int]:
    import typer

    app = import_module(f"keeptrusts.cli.commands.{name}").app
    # A noun with one verb stays a noun: left to itself, typer would drop the only verb.
    command = typer.main.get_group(app) if COMMANDS[name].verbs else typer.main.get_command(app)

    def run(rest: list[str]) -> int:
        try:
            command.main(rest, prog_name=f"kt {name}", standalone_mode=True)
        except SystemExit as ended:
            return ended.code if isinstance(ended.code, int) else CANNOT_ASK if ended.code else 0
        return 0

    return run


if __name__ == "__main__":
    sys.exit(main())
