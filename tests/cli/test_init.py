"""`kt init`: the file is sound whatever is asked for, private, and never written over another by mistake."""

from itertools import combinations
from pathlib import Path

import pytest

from keeptrusts.cli.main import main
from keeptrusts.cli.starter import PROVIDERS
from keeptrusts.core.rulebook.from_yaml import compile_rulebook


def written(file: Path, *more: str) -> str:
    assert main(["init", "--file", str(file), *more]) == 0
    return file.read_text()


@pytest.mark.parametrize("providers", [*combinations(PROVIDERS, 1), tuple(PROVIDERS)])
@pytest.mark.parametrize("alone", [True, False])
def test_the_file_is_sound_whatever_is_asked_for(tmp_path: Path, providers: tuple[str, ...], alone: bool):
    named = [word for name in providers for word in ("--provider", name)]
    text = written(tmp_path / "p.yaml", *named, "--team", "a", "--team", "b", *(["--alone"] if alone else []))
    compiled = compile_rulebook(text)
    assert compiled.rulebook is not None
    assert [problem for problem in compiled.problems if problem.code != "price_for_all"] == []
    assert [group.wallet_team_id for group in compiled.rulebook.groups] == ["team_a", "team_b"]
    assert compiled.rulebook.wallet_enforcement is not alone


def test_the_budgets_of_the_next_steps_are_those_that_the_groups_spend_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    text = written(tmp_path / "p.yaml", "--team", "a", "--team", "b", "--budget", "500")
    compiled = compile_rulebook(text)
    assert compiled.rulebook is not None
    shown = capsys.readouterr().out
    for group in compiled.rulebook.groups:
        assert f"kt wallets allocate --team {group.wallet_team_id} --amount 500\n" in shown


def test_keys_are_drawn_anew_and_the_file_is_private(tmp_path: Path):
    assert written(tmp_path / "a.yaml") != written(tmp_path / "b.yaml")
    assert (tmp_path / "a.yaml").stat().st_mode & 0o077 == 0


def test_a_file_that_is_there_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "p.yaml"
    file.write_text("mine")
    assert main(["init", "--file", str(file)]) == 1
    assert file.read_text() == "mine"
    assert "--force" in capsys.readouterr().err
    assert written(file, "--force") != "mine"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--provider", "opnai"], "no provider 'opnai'"),
        (["--team", "Bad Name"], "is no name"),
        (["--budget", "lots"], "amount of USD"),
        (["--budget", "5", "--alone"], "leave out --alone"),
        (["--api-url", "nowhere"], "http://"),
        (["--api-url", "http://a\nb: c"], "not an address"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], said: str
):
    assert main(["init", "--file", str(tmp_path / "p.yaml"), *more]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "p.yaml").exists()
