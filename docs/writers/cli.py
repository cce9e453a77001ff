"""`cli.md`: every command of `kt` and its options, from the commands themselves."""

from importlib import import_module
from typing import Any

import typer

from keeptrusts.cli import main
from writers.markdown import code, joined, opening, prose, table

INTRODUCTION = """\
`kt` is in `.venv/bin` after `make up` or `make test`. `kt COMMAND --help` prints what stands here.
Exit codes: 0 done, 1 the answer is no, 2 wrong usage or nobody to ask."""

ENVIRONMENT = (
    ("`KEEPTRUSTS_API_URL`", "Where the API answers.", f"`{'http://localhost:8080'}`"),
    ("`KEEPTRUSTS_API_TOKEN`", "The token to call it with.", "The admin token that `kt up` keeps in `~/.keeptrusts`."),
    (
        "`KEEPTRUSTS_DATABASE_URL`",
        "`kt up`, `kt api run`: the PostgreSQL that keeps the ledger.",
        "SQLite in the data directory.",
    ),
    (
        "`KEEPTRUSTS_KEY_PEPPER`",
        "The same: what keys are hashed with, in hexadecimal.",
        "The data directory's `key-pepper`.",
    ),
)


def page() -> str:
    """The whole page."""
    overview = table(
        ("Command", "Does"),
        [
            (f"`kt {' '.join(filter(None, (name, '|'.join(command.verbs))))}`", command.summary)
            for name, command in main.COMMANDS.items()
        ],
    )
    blocks = opening("The command line", INTRODUCTION, overview)
    blocks.append(table(("Environment", "Meaning", "When it is not set"), ENVIRONMENT))
    for name, described in main.COMMANDS.items():
        app = import_module(f"keeptrusts.cli.commands.{name}").app
        if described.verbs:
            group: Any = typer.main.get_group(app)
            for verb in described.verbs:
                blocks += _command(f"kt {name} {verb}", _found(group, verb))
        else:
            blocks += _command(f"kt {name}", typer.main.get_command(app))
    return joined(blocks)


def _found(group: Any, verb: str) -> Any:
    """The command of a verb, which may stand in a group inside the group."""
    for word in verb.split():
        group = group.commands[word]
    return group


def _command(call: str, command: Any) -> list[str]:
    context = command.make_context(call, [], resilient_parsing=True)
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and "--help" not in p.opts]
    usage = " ".join([call, *(a.name.upper() for a in arguments), "[OPTIONS]"])
    rows = [(code(a.name.upper()), "required", prose(a.help)) for a in arguments]
    rows += [(_names(option, context), _default(option), prose(option.help)) for option in options]
    listed = table(("Option", "Default", "Meaning"), rows) if rows else ""
    return [f"## `{call}`", prose(command.help), code(usage) if arguments else "", listed]


def _names(option: Any, context: Any) -> str:
    names = ", ".join(sorted(option.opts, key=len))
    if option.is_flag:
        return code(names)
    kind = option.display_type(context)
    value = kind.strip("<>").replace(" range", "").replace("str", "text").replace("int", "number")
    return code(f"{names} <{value}>")


def _default(option: Any) -> str:
    if option.required:
        return "required"
    return "" if option.default is None or option.is_flag else code(option.default)
