"""`kt` itself: finds commands, loads nothing it does not need, and ends with a clear line."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import typer

import keeptrusts
from keeptrusts.cli.main import COMMANDS, overview
from tests.cli.conftest import Kt


def test_help_lists_every_command_and_its_verbs(kt: Kt) -> None:
    ran = kt("--help")
    assert (ran.code, ran.out, ran.err) == (0, overview(), "")
    assert kt() == kt("-h") == ran
    for name, command in COMMANDS.items():
        assert f"  {name} " in ran.out
        assert all(verb in ran.out for verb in command.verbs)
    assert max(map(len, ran.out.splitlines())) <= 100


def test_help_and_version_load_no_framework() -> None:
    """Start-up time is what they import: under 150 ms leaves no room for typer, pydantic or msgspec."""
    program = (
        "import sys; from keeptrusts.cli.main import main; main(['--help']); main(['--version']);"
        "sys.exit(sorted({'typer', 'rich', 'pydantic', 'msgspec', 'asyncio', 'http'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def verbs_of(app: typer.Typer) -> list[str]:
    """The verbs of a noun, those of nouns inside it by both words."""
    verbs = [it.name or it.callback.__name__ for it in app.registered_commands if it.callback]
    for inner in app.registered_groups:
        assert inner.typer_instance
        verbs += [f"{inner.name} {verb}" for verb in verbs_of(inner.typer_instance)]
    return verbs


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_of_commands_is_what_their_files_hold(name: str) -> None:
    app = import_module(f"keeptrusts.cli.commands.{name}").app
    assert sorted(verbs_of(app)) == sorted(COMMANDS[name].verbs or (name,))


def test_every_command_file_is_in_the_table() -> None:
    files = Path(str(keeptrusts.__file__)).parent.joinpath("cli", "commands").glob("[a-z]*.py")
    assert {file.stem for file in files} == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_page_of_its_own(kt: Kt, name: str) -> None:
    ran = kt(name, "--help")
    assert ran.code == 0
    assert ran.out.startswith(f"Usage: kt {name} ")


def test_the_version_is_the_packages(kt: Kt) -> None:
    assert kt("--version").out == f"kt {keeptrusts.__version__}\n"


def test_an_unknown_command_is_wrong_usage_and_the_nearest_is_named(kt: Kt) -> None:
    assert kt("spnd") == (2, "", "kt: no command 'spnd': did you mean `kt spend`?\n")
    assert kt("xyzzy") == (2, "", "kt: no command 'xyzzy': see `kt --help`\n")


@pytest.mark.parametrize("words", [["spend", "--tem", "x"], ["tokens"], ["tokens", "make"], ["gateway", "run"]])
def test_wrong_usage_is_exit_code_2_and_no_stack_trace(kt: Kt, words: list[str]) -> None:
    ran = kt(*words)
    assert ran.code == 2
    assert "Traceback" not in ran.out + ran.err


def test_it_runs_as_a_module_too() -> None:
    """How `kt up` starts its children."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "keeptrusts.cli.main", "--version"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, f"kt {keeptrusts.__version__}\n")
