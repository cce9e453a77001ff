"""Many gateway workers on one port: each a node of its own, any of them may die, and all of them leave in good order."""

import asyncio
import os
import signal
import socket
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.books import allocate, balance, events, funded_key, issue_key, nanos, nothing_held, settled_events
from tests.journeys.crowd import chat_bytes, parse_answer
from tests.journeys.policy_files import write_policy
from tests.journeys.processes import KT, Program, alive, descendants, free_port, until
from tests.journeys.product import Product, clean_env, running_product
from tests.journeys.steady_callers import Load, check_rows
from tests.journeys.web import Answer, answers_ready, ask

pytestmark = pytest.mark.xdist_group("journeys-workers")

WORKERS = 4
STREAMS = 24
SLOW = "Talk slowly. [[out=40 gap_ms=40]]"


class Streams:
    """Slow streams on connections of their own, begun together; ``begun`` once each has got its first bytes."""

    def __init__(self, port: int, request: bytes, count: int) -> None:
        self._port, self._request, self._count = port, request, count
        self.begun = threading.Event()
        self.answers: list[Answer] = []
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> "Streams":
        self._thread.start()
        assert self.begun.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive()

    async def _run(self) -> None:
        first = asyncio.Barrier(self._count)

        async def one() -> Answer:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            try:
                writer.write(self._request)
                head = await reader.readuntil(b"data: ")
                await first.wait()
                self.begun.set()
                return parse_answer(head + await reader.read(-1))
            finally:
                writer.close()

        self.answers = await asyncio.gather(*(one() for _ in range(self._count)))


def stream_bytes(headers: dict[str, str], **lines: str) -> bytes:
    """A slow stream on a connection that the client would like to keep."""
    return chat_bytes("gpt-4o-mini", SLOW, {**headers, **lines}, max_tokens=40, stream=True)


def workers_of(product: Product) -> list[int]:
    return [pid for pid in descendants(product.gateway.pid) if alive(pid)]


def journals(data_dir: Path) -> dict[str, bool]:
    """Every journal below a data directory: whether it is retired."""
    return {lock.parent.name: (lock.parent / "retired").exists() for lock in data_dir.glob("gateway/journals/*/lock")}


def test_streams_under_way_are_finished_when_all_workers_are_told_to_stop(tmp_path: Path) -> None:
    with running_product(tmp_path, workers=WORKERS) as product:
        key = funded_key(product, "team_drain")
        request = stream_bytes(key.headers, connection="keep-alive")
        with Streams(product.gateway_port, request, STREAMS) as streams:
            os.kill(product.gateway.pid, signal.SIGTERM)
            until(lambda: nobody_listens(product.gateway_port), "no new connections")
        assert product.gateway.wait() == 0
        assert {answer.status for answer in streams.answers} == {200}
        assert all(b"data: [DONE]" in answer.body for answer in streams.answers)
        rows = settled_events(product, STREAMS, team_id="team_drain")
        assert Counter(row["status"] for row in rows) == {"ok": STREAMS}
        spent = nanos(nothing_held(product, "team_drain")["spent"])
        assert spent == sum(served.cost_nanos for served in product.truth())
        assert nanos(balance(product, "team_drain")["leased"]) == 0
        assert list(journals(product.data_dir).values()) == [True] * WORKERS, "every journal was ended and shipped"


def nobody_listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


def test_a_worker_that_is_replaced_costs_no_call(tmp_path: Path) -> None:
    """Rolling through the workers under load: who is told to stop finishes its calls, new ones go to the others."""
    with running_product(tmp_path, workers=WORKERS) as product:
        allocate(product, "team_crash", "100")
        key = issue_key(product, "team_crash")
        before = workers_of(product)
        assert len(before) == WORKERS
        with Load(product.gateway_port, key.headers) as load:
            for pid in before:
                goal = sum(load.statuses.values()) + 100
                until(lambda goal=goal: sum(load.statuses.values()) >= goal, "calls", 30.0)  # type: ignore[misc]
                os.kill(pid, signal.SIGTERM)
                until(lambda pid=pid: not alive(pid) and len(workers_of(product)) == WORKERS, "it is replaced", 30.0)  # type: ignore[misc]
        assert not set(before) & set(workers_of(product))
        assert load.broken == 0, "a call was lost to a worker that left"
        assert set(load.statuses) == {200}
        rows = settled_events(product, load.statuses[200], 20.0, team_id="team_crash")
        assert Counter(row["status"] for row in rows) == {"ok": load.statuses[200]}


def test_killed_workers_are_started_again_while_the_others_serve(tmp_path: Path) -> None:
    with running_product(tmp_path, workers=WORKERS) as product:
        allocate(product, "team_crash", "100")
        key = issue_key(product, "team_crash")
        with Load(product.gateway_port, key.headers) as load:
            for _ in range(WORKERS):
                victim = workers_of(product)[0]
                goal = sum(load.statuses.values()) + 100
                until(lambda goal=goal: sum(load.statuses.values()) >= goal, "calls", 30.0)  # type: ignore[misc]
                os.kill(victim, signal.SIGKILL)
                goal = sum(load.statuses.values()) + 20
                until(lambda goal=goal: sum(load.statuses.values()) >= goal, "the others serve", 10.0)  # type: ignore[misc]
                assert answers_ready(product.gateway_url)
                until(lambda: len(workers_of(product)) == WORKERS, "it is started again", 20.0)
        known = books_of(product, load)
        check_rows(product, load, *known)
        assert Counter(journals(product.data_dir).values())[False] == 0, "and every journal was retired once all ended"


def test_when_all_workers_are_killed_each_journal_is_recovered_once(tmp_path: Path) -> None:
    with running_product(tmp_path, workers=WORKERS) as product:
        allocate(product, "team_crash", "100")
        key = issue_key(product, "team_crash")
        with Load(product.gateway_port, key.headers) as load:
            for _ in range(3):
                goal = len(product.truth()) + 150
                until(lambda goal=goal: len(product.truth()) >= goal, "calls served", 30.0)  # type: ignore[misc]
                for pid in [product.gateway.pid, *workers_of(product)]:
                    os.kill(pid, signal.SIGKILL)
                product.gateway.wait()
                product.start_gateway()
            goal = len(product.truth()) + 150
            until(lambda: len(product.truth()) >= goal, "calls served", 30.0)
        known = books_of(product, load)
        recovered = product.gateway.log.read_text().count("Recovering node")
        assert recovered <= 3 * WORKERS, "a journal was recovered twice"
        check_rows(product, load, *known)
        assert all(journals(product.data_dir).values())


def books_of(product: Product, load: Load) -> tuple[Any, Any]:
    """Provider's truth and rows, once every call that anybody knows of has one."""
    truth = product.truth()
    asked = {served.request_id for served in truth} | set(load.answered)
    rows: list[Any] = []

    def whole() -> bool:
        rows[:] = events(product, team_id="team_crash")
        return asked <= {row["request_id"] for row in rows}

    until(whole, "every call has its row", 20.0)
    return truth, rows


def test_told_twice_it_stops_at_once_and_the_next_start_recovers(tmp_path: Path) -> None:
    with running_product(tmp_path) as product:
        key = funded_key(product, "team_twice")
        port, request = product.gateway_port, stream_bytes(key.headers)
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(request)
            assert client.recv(100).startswith(b"HTTP/1.1 200")
            os.kill(product.gateway.pid, signal.SIGTERM)
            product.gateway.wait_for_line("1 calls are under way")
            os.kill(product.gateway.pid, signal.SIGTERM)
            assert product.gateway.wait(3.0) == 1
        assert "stopped at once" in product.gateway.output
        assert "Traceback" not in product.gateway.output
        product.start_gateway()
        [row] = settled_events(product, 1, team_id="team_twice")
        assert row["status"] in ("interrupted", "recovered")
        nothing_held(product, "team_twice")
        assert product.gateway.stop() == 0
        assert nanos(balance(product, "team_twice")["leased"]) == 0


def test_an_idle_gateway_ends_within_a_second(tmp_path: Path) -> None:
    with running_product(tmp_path) as product:
        key = funded_key(product, "team_idle")
        with socket.create_connection(("127.0.0.1", product.gateway_port)) as kept:
            kept.sendall(chat_bytes("gpt-4o-mini", "Say a word.", {**key.headers, "connection": "keep-alive"}))
            assert kept.recv(100).startswith(b"HTTP/1.1 200")
            os.kill(product.gateway.pid, signal.SIGTERM)
            assert product.gateway.wait(2.0) == 0
            while kept.recv(4096):
                pass  # a kept connection is closed, not reset
        assert nanos(balance(product, "team_idle")["leased"]) == 0


def test_a_paused_worker_keeps_its_journal(tmp_path: Path) -> None:
    """Its lock is held for as long as it exists: nobody may take its money away and hand it out again."""
    with running_product(tmp_path) as product:
        key = funded_key(product, "team_paused")
        assert product.chat(key).status == 200
        [paused] = journals(product.data_dir)
        os.kill(product.gateway.pid, signal.SIGSTOP)
        try:
            port = free_port()
            command = [*product.gateway.command]
            command[command.index("--port") + 1] = str(port)
            with Program(command, tmp_path / "second.log", product.env, tmp_path) as second:
                second.wait_for(lambda: answers_ready(f"http://127.0.0.1:{port}"), "ready")
                assert journals(product.data_dir)[paused] is False
                assert "Recovering" not in second.output
                assert second.stop() == 0
        finally:
            os.kill(product.gateway.pid, signal.SIGCONT)
        assert product.chat(key).status == 200
        assert len(settled_events(product, 2, team_id="team_paused")) == 2
        assert product.gateway.stop() == 0
        assert nanos(balance(product, "team_paused")["leased"]) == 0


def test_workers_of_kt_up_come_and_go_with_it(tmp_path: Path) -> None:
    api_port, gateway_port = free_port(), free_port()
    command = [KT, "up", "--data-dir", str(tmp_path / "data"), "--workers", "3"]
    command += ["--api-port", str(api_port), "--gateway-port", str(gateway_port)]
    url = f"http://127.0.0.1:{gateway_port}"
    with Program(command, tmp_path / "up.log", clean_env(tmp_path), tmp_path) as up:
        up.wait_for_line("(3 workers)")
        family = [pid for pid in descendants(up.pid) if b"gateway" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        assert len(family) == 3
        os.kill(family[1], signal.SIGKILL)
        up.wait_for_line("ended (killed by SIGKILL)")
        assert answers_ready(url)
        up.wait_for(lambda: sum(alive(pid) for pid in descendants(up.pid)) == 4, "it is started again")
        family = descendants(up.pid)
        assert up.stop(signal.SIGINT) == 0
        until(lambda: not any(alive(pid) for pid in family), "nothing is left")
        assert "Traceback" not in up.output


def test_workers_of_a_killed_supervisor_finish_their_calls_and_leave_the_port(tmp_path: Path) -> None:
    """They hear of its end twice, from the kernel and by the pipe: that is one reason to stop, not a second signal."""
    with running_product(tmp_path, workers=2) as product:
        key = funded_key(product, "team_orphans")
        family = workers_of(product)
        with Streams(product.gateway_port, stream_bytes(key.headers), STREAMS) as streams:
            product.gateway.kill()
            until(lambda: nobody_listens(product.gateway_port), "no new connections")
        assert all(b"data: [DONE]" in answer.body for answer in streams.answers)
        until(lambda: not any(alive(pid) for pid in family), "the workers gone", 15.0)
        assert nanos(balance(product, "team_orphans")["leased"]) == 0
        product.start_gateway()
        assert product.gateway.stop() == 0


def test_what_is_wrong_is_said_once_and_nothing_is_left(tmp_path: Path) -> None:
    rules = {"version": "1", "providers": {"targets": [{"id": "sim", "provider": "simulated"}]}}
    rules["api"] = {"url": f"http://127.0.0.1:{free_port()}", "token_env": "NOT_SET_HERE"}  # type: ignore[assignment]
    policy = write_policy(rules, tmp_path / "policy.yaml")
    command = [KT, "gateway", "run", "--policy-config", str(policy), "--port", str(free_port()), "--workers", "3"]
    with Program([*command, "--data-dir", str(tmp_path)], tmp_path / "log", clean_env(tmp_path), tmp_path) as program:
        assert program.wait(30) == 1
        assert "NOT_SET_HERE is not set" in program.output
        assert "Traceback" not in program.output
        assert not descendants(program.pid)


@pytest.mark.parametrize("workers", ["0", "-1", "65", "many"])
def test_an_absurd_number_of_workers_is_wrong_usage(tmp_path: Path, workers: str) -> None:
    policy = write_policy({"version": "1"}, tmp_path / "policy.yaml")
    command = [KT, "gateway", "run", "--policy-config", str(policy), "--workers", workers]
    with Program(command, tmp_path / "log", clean_env(tmp_path), tmp_path) as program:
        assert program.wait(30) == 2
        assert "--workers" in program.output


def test_the_workers_share_the_connections(tmp_path: Path) -> None:
    """A burst does not end up with whoever was awake."""
    with running_product(tmp_path, workers=WORKERS) as product:
        until(lambda: product.gateway.output.count("Gateway ready") == WORKERS, "all of them ready")
        kept = [socket.create_connection(("127.0.0.1", product.gateway_port)) for _ in range(200)]
        try:
            for connection in kept:
                connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
            assert all(connection.recv(100).startswith(b"HTTP/1.1 200") for connection in kept)
            held = [established(pid, product.gateway_port) for pid in workers_of(product)]
            assert sum(held) == 200
            assert min(held) >= 25, f"{held}: evenly would be 50 each, also on a machine that is busy otherwise"
        finally:
            for connection in kept:
                connection.close()


def established(pid: int, port: int) -> int:
    """How many established connections of this local port the process has."""
    inodes = set()
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        name = os.readlink(fd)
        if name.startswith("socket:["):
            inodes.add(name[8:-1])
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(line[1].endswith(f":{port:04X}") and line[3] == "01" and line[9] in inodes for line in lines)


def test_a_damaged_journal_keeps_no_money_for_ever(tmp_path: Path) -> None:
    """What is whole is booked, what nobody can prove is in suspense, a person accounts for it, and the books hold."""
    with running_product(tmp_path) as product:
        key = funded_key(product, "team_damaged")
        for _ in range(4):
            assert product.chat(key).status == 200
        settled_events(product, 4, team_id="team_damaged")
        product.gateway.kill()
        [segment] = product.data_dir.glob("gateway/journals/*/*.journal")
        data = bytearray(segment.read_bytes())
        data[len(data) // 2] ^= 1
        segment.write_bytes(data)
        product.start_gateway()
        assert "is damaged" in product.gateway.output
        assert [path.read_bytes() for path in segment.parent.glob("*.damaged")] == [bytes(data)]
        assert len(settled_events(product, 4, team_id="team_damaged")) == 4, "the store had them"
        found = balance(product, "team_damaged")
        assert nanos(found["suspense"]) > 0
        assert "damaged" in product.kt("ledger", "suspense", "list")
        [item] = product.admin("GET", "/v1/ledger/suspense").json["data"]
        assert nanos(item["amount"]) == nanos(found["suspense"])
        product.kt("ledger", "suspense", "resolve", item["lease_id"], "--spent", "0", "--note", "nothing was under way")
        after = nothing_held(product, "team_damaged")
        assert nanos(after["spent"]) == sum(served.cost_nanos for served in product.truth())
        assert "The ledger holds." in product.kt("ledger", "verify", "--data-dir", str(product.data_dir))


def test_a_node_that_is_retired_while_it_lives_ends_and_comes_back_as_another(tmp_path: Path) -> None:
    with running_product(tmp_path, workers=2) as product:
        key = funded_key(product, "team_retired")
        assert product.chat(key).status == 200
        settled_events(product, 1, team_id="team_retired")
        found = product.admin("GET", "/v1/gateways").json["data"]
        [holder] = [node for node in found if node["leases"]]
        assert product.admin("POST", f"/v1/gateways/{holder['id']}/retire", {}).error["code"] == "node_alive"
        product.kt("ledger", "node", "retire", holder["id"], "--force")
        product.gateway.wait_for_line("was retired by an operator")
        product.gateway.wait_for_line("starting it again")
        assert nanos(balance(product, "team_retired")["suspense"]) > 0
        until(lambda: len(workers_of(product)) == 2, "another in its place", 20.0)
        assert product.chat(key).status == 200
        assert "The ledger holds." in product.kt("ledger", "verify", "--data-dir", str(product.data_dir))


def test_a_journal_has_one_writer(tmp_path: Path) -> None:
    """Two on one data directory have a journal each; `kt up` twice is refused."""
    with running_product(tmp_path) as product:
        up = [KT, "up", "--data-dir", str(tmp_path / "up"), "--api-port", str(free_port())]
        first = [*up, "--gateway-port", str(free_port())]
        with Program(first, tmp_path / "first.log", product.env, tmp_path) as running:
            running.wait_for_line("Keeptrusts is ready")
            second = [KT, "up", "--data-dir", str(tmp_path / "up"), "--api-port", str(free_port())]
            with Program(
                [*second, "--gateway-port", str(free_port())], tmp_path / "second.log", product.env, tmp_path
            ) as refused:
                assert refused.wait(30) == 1
                [line] = refused.output.splitlines()
                assert "another `kt up`" in line
            assert running.stop(signal.SIGINT) == 0
        assert ask("GET", f"{product.gateway_url}/readyz").status == 200
