"""`kt doctor`: it works when nothing else does, says what to do, and shows no secret."""

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from keeptrusts.cli.main import main
from tests.journeys.processes import free_port

SECRET = "sk-do-not-show-me"
POLICY = """\
version: '1'
providers:
  targets:
    - {{id: near, provider: openai-compatible, base_url: 'http://127.0.0.1:{port}/v1', secret_key_ref: {{env: NEAR_KEY}}}}
    - {{id: made-up, provider: simulated}}
"""


def examined(home: Path, policy: Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, dict[str, Any]]:
    ports = ["--gateway-port", str(free_port()), "--api-port", str(free_port())]
    code = main(["doctor", "--data-dir", str(home), "--policy-config", str(policy), "--format", "json", *ports, *more])
    out = capsys.readouterr().out
    assert SECRET not in out
    return code, {check["name"]: check for check in json.loads(out)["checks"]}


def test_with_nothing_there_it_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    code, found = examined(tmp_path / "home", tmp_path / "none.yaml", capsys)
    assert code == 1
    assert found["policy file"]["status"] == "fail"
    assert "kt init" in found["policy file"]["advice"]
    assert found["data directory"]["status"] == "ok"
    assert found["API"]["status"] == "fail"


def test_a_sound_machine_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    policy = tmp_path / "p.yaml"
    monkeypatch.setenv("NEAR_KEY", SECRET)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        policy.write_text(POLICY.format(port=listener.getsockname()[1]))
        code, found = examined(home, policy, capsys, "--offline")
    assert code == 0, found
    assert {check["status"] for check in found.values()} == {"ok"}
    assert os.listdir(home) == []


def test_what_is_wrong_is_named_with_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    left = home / "gateway" / "journals" / "nod_1"
    left.mkdir(parents=True)
    (left / "lock").touch()
    policy = tmp_path / "p.yaml"
    policy.write_text(POLICY.format(port=free_port()))
    monkeypatch.delenv("NEAR_KEY", raising=False)
    code, found = examined(home, policy, capsys)
    assert code == 1
    assert found["data directory"]["advice"] == f"chmod 700 {home}"
    assert found["secrets"]["advice"] == "export NEAR_KEY=..."
    assert found["target near"]["status"] == "fail"
    assert "recovers them" in found["journals"]["advice"]
