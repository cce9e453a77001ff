"""What `kt up` decides before it starts anything, what it runs, and what it tells."""

import shlex
import socket
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from keeptrusts.cli.failure import Failure
from keeptrusts.cli.stack import Stack, children, greeting, prepare_stack
from tests.supervisor.registrar import free_port


class Asked:
    """`kt up` with ports of its own; ``said`` is what it told beforehand."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.api_port, self.gateway_port = free_port(), free_port()
        self.said: list[str] = []

    def prepare(self, policy: Path | None = None, demo: bool = False, **environ: str) -> Stack:
        return prepare_stack(self.home, self.api_port, self.gateway_port, policy, demo, environ, self.said.append)


@pytest.fixture
def up(tmp_path: Path) -> Asked:
    (tmp_path / "home").mkdir()
    return Asked(tmp_path / "home")


def test_the_first_start_writes_a_private_policy_file_with_a_key_of_its_own(up: Asked, tmp_path: Path) -> None:
    stack = up.prepare()
    file = up.home / "policy-config.yaml"
    assert file.stat().st_mode & 0o777 == 0o600
    assert stack.policy.simulated
    assert stack.policy.key
    assert stack.policy.key.startswith("kt_cg_")
    assert stack.policy.api_url == f"http://localhost:{up.api_port}"
    assert up.prepare().policy == stack.policy
    assert up.said == []


def test_a_provider_key_at_the_first_start_is_used_and_told(up: Asked) -> None:
    stack = up.prepare(OPENAI_API_KEY="sk-x")
    assert not stack.policy.simulated
    assert any("openai" in line and "paid for" in line for line in greeting(stack))
    assert "sk-x" not in (up.home / "policy-config.yaml").read_text()


def test_a_provider_key_that_comes_later_switches_nothing_and_is_told(up: Asked) -> None:
    up.prepare()
    before = (up.home / "policy-config.yaml").read_text()
    assert up.prepare(OPENAI_API_KEY="sk-x").policy.simulated
    assert (up.home / "policy-config.yaml").read_text() == before
    [line] = up.said
    assert "OPENAI_API_KEY is set" in line
    assert "how to switch" in line


def test_our_own_file_follows_the_api_to_another_port_and_says_so(up: Asked) -> None:
    before = up.prepare()
    up.api_port = free_port()
    after = up.prepare()
    assert after.policy.api_url == f"http://localhost:{up.api_port}"
    assert after.policy.key == before.policy.key
    assert len(up.said) == 1


def test_somebody_elses_file_is_left_as_it_is_and_a_wrong_api_is_told(up: Asked, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    text = "version: '1'\napi:\n  url: http://localhost:1\n"
    file.write_text(text)
    stack = up.prepare(file)
    assert file.read_text() == text
    assert not stack.own_policy
    [line] = up.said
    assert "http://localhost:1," in line
    file.write_text("version: '1'\n")
    up.prepare(file)
    assert "names no api" in up.said[-1]


def test_a_policy_file_that_is_not_there(up: Asked, tmp_path: Path) -> None:
    with pytest.raises(Failure, match=r"cannot read .*nowhere\.yaml: No such file"):
        up.prepare(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize("which", ["api_port", "gateway_port"])
def test_a_busy_port_stops_it_before_anything_is_written(up: Asked, which: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        setattr(up, which, other.getsockname()[1])
        with pytest.raises(Failure, match="is in use"):
            up.prepare()
    assert list(up.home.iterdir()) == []


def test_one_port_for_both_is_refused(up: Asked) -> None:
    up.gateway_port = up.api_port
    with pytest.raises(Failure, match="cannot share"):
        up.prepare()


def test_the_demo_never_calls_a_provider_that_costs_money(up: Asked) -> None:
    assert up.prepare(demo=True, OPENAI_API_KEY="sk-x").policy.simulated, "also when a key is at hand"
    (up.home / "policy-config.yaml").write_text("providers:\n  targets:\n    - provider: openai\n")
    with pytest.raises(Failure, match="costs money"):
        up.prepare(demo=True)


def test_the_token_is_in_the_childrens_environment_and_on_no_command_line(up: Asked) -> None:
    stack = up.prepare()
    api, gateway = children(stack, {"KEEPTRUSTS_API_TOKEN": stack.token.value})
    assert (api.ready_port, gateway.ready_port) == (up.api_port, up.gateway_port)
    for child in (api, gateway):
        assert stack.token.value not in " ".join(child.argv)
        assert child.environ["KEEPTRUSTS_API_TOKEN"] == stack.token.value
        assert stack.token.value not in repr(child) + repr(stack)


def test_only_the_api_is_told_where_the_ledger_is(up: Asked) -> None:
    api, gateway = children(
        up.prepare(), {"KEEPTRUSTS_DATABASE_URL": "postgresql://h/d", "KEEPTRUSTS_KEY_PEPPER": "5a"}
    )
    assert api.environ.keys() - gateway.environ.keys() == {"KEEPTRUSTS_DATABASE_URL", "KEEPTRUSTS_KEY_PEPPER"}


def test_the_greeting_of_a_first_start(up: Asked) -> None:
    stack = up.prepare()
    lines = greeting(stack)
    text = "\n".join(lines)
    for part in (stack.api_url, stack.gateway_url, stack.token.value, str(up.home / "admin-token"), "simulated"):
        assert part in text
    [curl] = [line.strip() for line in lines if line.strip().startswith("curl ")]
    words = shlex.split(curl)
    assert f"{stack.gateway_url}/v1/chat/completions" in words
    assert f"X-Consumer-Group: {stack.policy.key}" in words
    assert f"  export KEEPTRUSTS_API_URL={stack.api_url}" in lines, "the API is not where kt looks first"
    assert any(line.startswith("  export KEEPTRUSTS_API_TOKEN=") for line in lines)


def test_later_greetings_do_not_show_the_token(up: Asked) -> None:
    up.prepare()
    again = up.prepare()
    assert again.token.value not in "\n".join(greeting(again))


def test_at_the_usual_place_nothing_has_to_be_exported(up: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(up.home.parent))
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    home = up.home.rename(up.home.parent / ".keeptrusts")
    stack = replace(Asked(home).prepare(), api_port=8080)
    assert not any("export" in line for line in greeting(stack))


def test_where_the_shell_does_not_find_kt_it_is_told_the_place(up: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert any(f"export PATH={Path(sys.executable).parent}" in line for line in greeting(up.prepare()))
