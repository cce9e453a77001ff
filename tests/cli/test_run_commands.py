"""`kt gateway run` and `kt api run`: what cannot work is refused with a clear line before anything is started."""

import socket
from pathlib import Path

import pytest

from tests.cli.conftest import Kt

GOOD = """\
version: '1'
providers:
  targets:
    - id: openai
      provider: openai
      secret_key_ref:
        env: OPENAI_API_KEY
"""


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    file = tmp_path / "policy-config.yaml"
    file.write_text(GOOD)
    return file


def test_a_policy_file_with_errors_shows_them_all_and_starts_nothing(kt: Kt, policy: Path) -> None:
    policy.write_text(GOOD.replace("provider: openai", "provider: opnai").replace("version: '1'", "version: '7'"))
    ran = kt("gateway", "run", "--policy-config", str(policy), "--port", str(unused_port()))
    assert (ran.code, ran.out) == (1, "")
    *problems, last = ran.err.splitlines()
    assert [line.split(":")[1] for line in problems] == ["1", "5"], "line numbers"
    assert all(line.startswith(f"{policy}:") for line in problems)
    assert last == f"kt: the gateway does not start: {policy} has 2 errors"


def test_a_policy_file_that_is_not_there_is_wrong_usage(kt: Kt, tmp_path: Path) -> None:
    ran = kt("gateway", "run", "--policy-config", str(tmp_path / "nowhere.yaml"), "--port", str(unused_port()))
    assert ran.code == 2
    assert "nowhere.yaml" in ran.err


@pytest.mark.parametrize("noun", ["api", "gateway"])
def test_a_port_in_use_is_one_clear_line(kt: Kt, policy: Path, tmp_path: Path, noun: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        more = ["--policy-config", str(policy)] if noun == "gateway" else []
        ran = kt(noun, "run", "--port", port, "--data-dir", str(tmp_path / "data"), *more)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"kt: port {port} on 127.0.0.1 is in use: ")
    assert len(ran.err.splitlines()) == 1
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("words", [["--port", "0"], ["--port", "70000"], ["--port", "1", "--listen", "h:1"]])
def test_no_address_is_wrong_usage(kt: Kt, words: list[str]) -> None:
    assert kt("api", "run", *words).code == 2


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
        assert isinstance(port, int)
        return port
