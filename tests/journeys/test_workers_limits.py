"""Workers of one port count together: exactly, whoever of them serves, and whoever dies."""

import os
import signal
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.journeys.crowd import ask_together, chat_bytes
from tests.journeys.policy_files import Policy, write_policy
from tests.journeys.processes import KT, Program, alive, descendants, free_port, until
from tests.journeys.product import READY_LINE, clean_env
from tests.journeys.web import Answer

pytestmark = pytest.mark.xdist_group("journeys-workers-limits")

WORKERS = 4
MODEL = "simulated-model"


def lonely(groups: list[dict[str, object]], **more: object) -> Policy:
    """A gateway without a control plane, whose provider takes its time for a stream."""
    simulated = {"output_tokens": 50, "token_interval_ms": 1_000}
    target = {"id": "sim", "provider": "simulated", "model": MODEL, "simulated": simulated}
    return {"version": "1", "providers": {"targets": [target]}, "consumer_groups": groups, **more}


def group(name: str, **limits: int) -> dict[str, object]:
    return {"name": name, "api_key": key(name)["X-Consumer-Group"], "rate_limits": limits}


def key(name: str) -> dict[str, str]:
    return {"X-Consumer-Group": f"kt_cg_{name}_0123456789abcdef"}


class Port:
    """A port and the program that serves it."""

    def __init__(self, number: int, program: Program) -> None:
        self.number = number
        self.program = program

    def workers(self) -> list[int]:
        return [pid for pid in descendants(self.program.pid) if alive(pid)]

    def ask(self, name: str, count: int = 1, **lines: str) -> list[Answer]:
        """So many calls of a group, all at once, each on a connection of its own."""
        request = chat_bytes(MODEL, "Be brief.", {**key(name), **lines}, max_tokens=1)
        return ask_together([self.number], [request] * count)

    def statuses(self, name: str, count: int, **lines: str) -> Counter[int]:
        return Counter(answer.status for answer in self.ask(name, count, **lines))


@contextmanager
def serving(directory: Path, policy: Policy, workers: int = WORKERS) -> Iterator[Port]:
    port = free_port()
    file = write_policy(policy, directory / "policy.yaml")
    command = [KT, "gateway", "run", "--policy-config", str(file), "--port", str(port)]
    command += ["--workers", str(workers), "--data-dir", str(directory / "data")]
    with Program(command, directory / "gateway.log", clean_env(directory), directory) as program:
        program.wait_for(lambda: program.output.count(READY_LINE) >= workers, "every worker ready")
        yield Port(port, program)


def test_workers_share_every_limit_exactly(tmp_path: Path) -> None:
    groups = [group("requests", rpm=37), group("tokens", tpm=300), group("rest")]
    policy = lonely(
        groups,
        rate_limits={"per_model": {"rpd": 1_000}},
        user_rate_limit={"max_requests": 11, "window_seconds": 60},
        ip_rate_limit={"max_requests": 200, "window_seconds": 60, "trust_proxy_depth": 1},
    )
    with serving(tmp_path, policy) as port:
        users = [chat_bytes(MODEL, "Hi.", {**key("requests"), "x-user-id": f"u{n}"}, max_tokens=1) for n in range(10)]
        answers = ask_together([port.number], users * 9)
        assert Counter(answer.status for answer in answers) == {200: 37, 429: 53}
        assert {answer.error["details"]["scope"] for answer in answers if answer.status == 429} == {"group requests"}
        again = port.ask("requests")[0]
        assert 1 <= int(again.headers["retry-after"]) <= 61
        assert again.headers["x-ratelimit-remaining-requests"] == "0"
        assert again.headers["x-ratelimit-limit-requests"] == "37"
        assert again.headers["x-ratelimit-reset-requests"] == "1m1s"
        # One user is one user at whichever worker.
        assert port.statuses("rest", 40, **{"x-user-id": "ann"}) == {200: 11, 429: 29}
        assert port.statuses("rest", 5, **{"x-user-id": "bob"}) == {200: 5}
        # A client's own word for its address counts for nothing but what the trusted proxy adds.
        flood = [
            chat_bytes(MODEL, "Hi.", {**key("rest"), "x-user-id": f"v{n}", "x-forwarded-for": f"10.0.0.{n}, 192.0.2.9"})
            for n in range(210)
        ]
        found = Counter(answer.status for answer in ask_together([port.number], flood))
        assert found == {200: 200, 429: 10}
        unknown = [chat_bytes(MODEL, "Hi.", {"X-Consumer-Group": "kt_cg_guess", "x-forwarded-for": "192.0.2.9"})] * 3
        assert {answer.status for answer in ask_together([port.number], unknown)} == {429}


def test_places_of_a_killed_worker_come_back(tmp_path: Path) -> None:
    with serving(tmp_path, lonely([group("busy", concurrent_requests=8)]), workers=2) as port, ExitStack() as kept:
        slow = chat_bytes(MODEL, "Take your time.", key("busy"), max_tokens=50, stream=True)
        streams = []
        for _ in range(8):
            stream = kept.enter_context(socket.create_connection(("127.0.0.1", port.number)))
            stream.sendall(slow)
            assert stream.recv(4_096).startswith(b"HTTP/1.1 200")
            streams.append(stream)
        refused = port.ask("busy")[0]
        assert (refused.status, refused.error["details"]["limit"]) == (429, "concurrent_requests")
        os.kill(port.workers()[0], signal.SIGKILL)
        until(lambda: port.program.output.count(READY_LINE) == 3, "it is started again", 20.0)
        lost = sum(ended(stream) for stream in streams)
        assert lost
        slow_too = chat_bytes(MODEL, "Me too.", key("busy"), max_tokens=50, stream=True)
        found = []
        for _ in range(lost + 1):
            stream = kept.enter_context(socket.create_connection(("127.0.0.1", port.number)))
            stream.sendall(slow_too)
            found.append(stream.recv(12))
        assert found == [b"HTTP/1.1 200"] * lost + [b"HTTP/1.1 429"], "the dead worker's places, and no more"


def ended(stream: socket.socket) -> bool:
    """Whether the other end is gone."""
    stream.setblocking(False)
    try:
        while stream.recv(65_536):
            continue
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True
    return True
