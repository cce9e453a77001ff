"""``kt up``: one command and the product runs; when the command is gone, however it went, nothing of it is left."""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.journeys.processes import KT, Program, alive, descendants, free_port, until
from tests.journeys.product import clean_env
from tests.journeys.web import answers_ready, ask

pytestmark = pytest.mark.xdist_group("journeys-up")


class Up:
    """A running ``kt up`` with everything in one directory."""

    def __init__(self, directory: Path, api_port: int, gateway_port: int, program: Program) -> None:
        self.directory = directory
        self.api_url = f"http://127.0.0.1:{api_port}"
        self.gateway_url = f"http://127.0.0.1:{gateway_port}"
        self.program = program
        program.wait_for(lambda: self.serves and self._curl_line(), "ready, and said so")
        self.family = descendants(program.pid)

    @property
    def serves(self) -> bool:
        return answers_ready(self.api_url) and answers_ready(self.gateway_url)

    @property
    def token(self) -> str:
        """The administrator's token, from where ``kt up`` keeps it."""
        [found] = [p for p in self.directory.rglob("*") if p.is_file() and "token" in p.name]
        assert found.stat().st_mode & 0o777 == 0o600
        return found.read_text().strip()

    def call(self) -> subprocess.CompletedProcess[str]:
        """The printed curl line, as a newcomer pastes it."""
        return subprocess.run(
            ["bash", "-c", self._curl_line()], capture_output=True, text=True, check=False, timeout=30
        )

    def child(self, name: str) -> int:
        """The pid of the supervised process whose command line has this word."""
        [pid] = [
            pid
            for pid in descendants(self.program.pid)
            if name in Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        ]
        return pid

    def nothing_left(self) -> bool:
        return not any(alive(pid) for pid in self.family)

    def _curl_line(self) -> str:
        lines = self.program.output.splitlines()
        starts = [number for number, line in enumerate(lines) if line.strip().startswith("curl ")]
        if not starts:
            return ""
        first = last = starts[0]
        while lines[last].rstrip().endswith("\\"):
            last += 1
        return "\n".join(lines[first : last + 1])


@contextmanager
def kt_up(directory: Path, **more_env: str) -> Iterator[Up]:
    api_port, gateway_port = free_port(), free_port()
    command = [KT, "up", "--data-dir", str(directory / "data")]
    command += ["--api-port", str(api_port), "--gateway-port", str(gateway_port)]
    with Program(command, directory / "up.log", {**clean_env(directory), **more_env}, directory) as program:
        up = None
        try:
            up = Up(directory / "data", api_port, gateway_port, program)
            yield up
        finally:
            if program.ended is None:
                with suppress(subprocess.TimeoutExpired):
                    program.stop(signal.SIGINT)
            program.kill_all()
            if up is not None:
                until(up.nothing_left, "the children of a killed supervisor gone", 15.0)


def test_the_printed_curl_line_is_answered_by_the_simulated_provider(tmp_path: Path) -> None:
    with kt_up(tmp_path) as up:
        assert "simulated" in up.program.output
        assert up.token in up.program.output
        done = up.call()
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        assert answer["choices"][0]["message"]["content"]
        assert answer["usage"]["total_tokens"] > 0
        rows = until(lambda: read_events(up), "the call's event")
        assert [row["usage"]["total_tokens"] for row in rows] == [answer["usage"]["total_tokens"]]


def read_events(up: Up) -> list[dict[str, dict[str, int]]]:
    answer = ask("GET", f"{up.api_url}/v1/events", headers={"Authorization": f"Bearer {up.token}"})
    found = answer.json["events"]
    assert isinstance(found, list)
    return found


def test_ctrl_c_ends_everything_in_order(tmp_path: Path) -> None:
    with kt_up(tmp_path) as up:
        assert up.call().returncode == 0
        code = up.program.stop(signal.SIGINT)
        assert code in (0, 130)
        assert up.nothing_left()
        assert "Traceback" not in up.program.output


def test_a_ctrl_c_of_the_terminal_that_reaches_the_whole_group_ends_everything_too(tmp_path: Path) -> None:
    with kt_up(tmp_path) as up:
        assert up.program.interrupt() in (0, 130)
        assert up.nothing_left()
        assert "Traceback" not in up.program.output


def test_a_killed_supervisor_takes_its_children_with_it(tmp_path: Path) -> None:
    with kt_up(tmp_path) as up:
        assert up.call().returncode == 0
        os.kill(up.program.pid, signal.SIGKILL)
        up.program.wait()
        until(up.nothing_left, "the children gone", 15.0)
        assert not up.serves


def test_a_killed_gateway_is_started_again_and_has_forgotten_nothing(tmp_path: Path) -> None:
    with kt_up(tmp_path) as up:
        assert up.call().returncode == 0
        killed = up.child("gateway")
        os.kill(killed, signal.SIGKILL)
        until(lambda: not alive(killed), "the gateway dead")
        until(lambda: up.serves, "a new gateway ready", 20.0)
        assert up.child("gateway") != killed
        done = up.call()
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["usage"]["total_tokens"] > 0
        until(lambda: len(read_events(up)) == 2, "both calls' events")
        up.family = descendants(up.program.pid)


def test_the_administrators_token_outlives_a_restart(tmp_path: Path) -> None:
    with kt_up(tmp_path) as up:
        first = up.token
        assert up.program.stop(signal.SIGINT) in (0, 130)
    with kt_up(tmp_path) as up:
        assert up.token == first
        assert ask("GET", f"{up.api_url}/v1/tokens", headers={"Authorization": f"Bearer {first}"}).status == 200


def test_a_token_of_the_environment_is_taken_instead(tmp_path: Path) -> None:
    mine = "kt_ak_of-my-own-choosing-0123456789abcdef"
    with kt_up(tmp_path, KEEPTRUSTS_API_TOKEN=mine) as up:
        assert ask("GET", f"{up.api_url}/v1/tokens", headers={"Authorization": f"Bearer {mine}"}).status == 200
        assert up.call().returncode == 0


@pytest.mark.parametrize("taken", ["--api-port", "--gateway-port"])
def test_a_port_in_use_is_one_clear_line(tmp_path: Path, taken: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ports = {"--api-port": free_port(), "--gateway-port": free_port(), taken: port}
        command = [KT, "up", "--data-dir", str(tmp_path / "data")]
        command += [word for name, number in ports.items() for word in (name, str(number))]
        with Program(command, tmp_path / "up.log", clean_env(tmp_path), tmp_path) as program:
            assert program.wait(30) not in (0, None)
            said = [line for line in program.output.splitlines() if str(port) in line]
            assert len(said) == 1, program.output
            assert "in use" in said[0]
            assert "Traceback" not in program.output
