"""``kt policy test``: golden cases are judged by the gateway's own code, and every difference is told."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from keeptrusts.cli.commands.policy import app
from keeptrusts.cli.policy_cases import run_cases
from keeptrusts.core.rulebook.from_yaml import compile_rulebook
from keeptrusts.core.rulebook.policy_cases import read_cases
from tests.architecture.sources import ROOT

EXAMPLES = ROOT / "examples" / "policies"
POLICIES = str(EXAMPLES / "policy-config.yaml")


def run(*arguments: str):
    return CliRunner().invoke(app, ["test", *arguments])


def test_the_examples_pass():
    done = run("--file", POLICIES, "--cases", str(EXAMPLES / "cases.yaml"))
    assert done.exit_code == 0, done.output
    assert "9 of 9 cases passed" in done.output


WRONG = """
cases:
  - name: all wrong
    input: Write to bob@example.com
    expect: {action: allow, policies: [no-secrets], actions: [], redacted: Write to bob@example.com}
  - name: right
    input: Hello
    expected: {verdict: allow}
"""


def test_every_difference_is_told(tmp_path: Path):
    cases = tmp_path / "cases.yaml"
    cases.write_text(WRONG)
    done = run("--file", POLICIES, "--cases", str(cases), "--format", "json")
    assert done.exit_code == 1
    told = json.loads(done.output)
    assert told["ok"] is False
    assert told["results"][0]["wrong"] == [
        "expected allow, got redact",
        "expected the policies no-secrets, got personal-data",
        "expected the actions none, got pii_redacted:email",
        "expected the text 'Write to bob@example.com', got 'Write to [EMAIL]'",
    ]
    assert told["results"][1]["passed"] is True


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("cases: []", "out_of_range"),
        ("", "empty"),
        ("cases: [{name: a, expect: {action: pass}}]", "unknown_value"),
        ("cases: [{name: a, inptu: b, expect: {action: allow}}]", "unknown_key"),
        ("cases: [{name: a, input: b}]", "missing_key"),
        ("cases: [", "yaml_syntax"),
    ],
)
def test_a_file_of_cases_is_checked_as_policy_files_are(text: str, code: str):
    read = read_cases(text)
    assert read.cases == ()
    assert [problem.code for problem in read.problems] == [code]


def test_a_policy_that_is_asked_elsewhere_is_said_to_be(tmp_path: Path):
    rulebook = compile_rulebook(
        "version: '1'\nproviders: {targets: [{id: s, provider: simulated}]}\n"
        "policies: [{name: g, type: external, config: {url: 'http://localhost:1/'}},"
        " {name: r, type: data_residency, action: block, config: {regions: [eu]}}]\n"
    ).rulebook
    assert rulebook is not None
    cases = read_cases("cases: [{name: a, input: hi, expect: {action: block, policies: [r]}}]").cases
    [result] = run_cases(rulebook, cases, {})
    assert result.wrong == ()
