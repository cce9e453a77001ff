"""`kt policy lint` tells people and programs what is wrong, and the shell whether anything is."""

import json
import os

import pytest

from keeptrusts.cli.main import main
from tests.architecture.sources import ROOT

VALID = ROOT / "examples" / "wallets.yaml"
BROKEN = """\
version: '1'
providers:
  targets:
    - id: openai
      provider: opnai
consumer_group: []
"""


@pytest.fixture(autouse=True)
def _secrets(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    monkeypatch.setenv("KEEPTRUSTS_API_TOKEN", "kt_ak_x")


@pytest.fixture
def lint(capsys):
    def run(file, *options):
        code = main(["policy", "lint", "--file", str(file), *options])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def broken(tmp_path):
    file = tmp_path / "policy-config.yaml"
    file.write_text(BROKEN)
    return file


def test_a_valid_file_is_ok_and_summed_up(lint):
    code, out, err = lint(VALID)
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == f"OK {VALID} is valid"
    assert "Targets: 1 (openai (openai))" in out
    assert "Wallet enforcement: on" in out


def test_every_problem_is_a_line_with_file_line_and_column(lint, broken):
    code, out, err = lint(broken)
    assert (code, err) == (1, "")
    first, second, verdict = out.splitlines()
    assert first.startswith(
        f"{broken}:5:17: error: providers.targets[0].provider: unknown provider `opnai` (did you mean"
    )
    assert second == (
        f"{broken}:6:1: error: consumer_group: unknown key `consumer_group` (did you mean `consumer_groups`?)"
    )
    assert verdict == f"X {broken} has 2 errors"


def test_programs_get_the_same_as_json(lint, broken):
    code, out, _ = lint(broken, "--format", "json")
    report = json.loads(out)
    assert (code, report["valid"], report["file"], report["warnings"]) == (1, False, str(broken), [])
    assert [(e["code"], e["line"], e["column"]) for e in report["errors"]] == [
        ("unknown_value", 5, 17),
        ("unknown_key", 6, 1),
    ]
    assert set(report["errors"][0]) == {"code", "path", "line", "column", "message", "suggestion"}


def test_a_missing_secret_is_a_warning_and_the_file_stays_valid(lint, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    code, out, _ = lint(VALID)
    assert code == 0
    assert f"{VALID}:9:14: warning: providers.targets[0].secret_key_ref.env: OPENAI_API_KEY is not set" in out
    assert f"OK {VALID} is valid, with 1 warning" in out


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no file"),
        (b"version: '1'\n\xff\xfe", "is not UTF-8 text (line 2, byte 13)"),
        (b"#" * 1_000_001, "is over 1000000 bytes"),
    ],
    ids=["missing", "not utf-8", "too long"],
)
def test_a_file_that_cannot_be_used_is_one_line_and_exit_2(lint, tmp_path, content, said):
    file = tmp_path / "policy-config.yaml"
    if content is not None:
        file.write_bytes(content)
    code, out, err = lint(file)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


def test_a_directory_is_no_policy_file(lint, tmp_path):
    code, _, err = lint(tmp_path)
    assert code == 2
    assert "is a directory" in err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_exit_2(lint, broken):
    broken.chmod(0)
    code, _, err = lint(broken)
    assert code == 2
    assert "cannot read" in err


def test_what_stands_in_a_file_cannot_steer_the_terminal(lint, tmp_path):
    file = tmp_path / "p.yaml"
    file.write_text('"\\e[2J\\e]0;owned\\a": 1\n')
    code, out, _ = lint(file)
    assert code == 1
    assert "\x1b" not in out
    assert "\x07" not in out


def test_the_schema_is_printed_for_editors(capsys):
    assert main(["policy", "schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "policy-config.yaml"
