"""`kt up --demo`: teams and keys are made once, their secrets kept private, and the trickle of calls is bounded."""

import json
import threading
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from keeptrusts.cli.api_client import Api
from keeptrusts.cli.connection import Connection
from keeptrusts.cli.demo import BUDGETS, KEYS, kept_keys, prepare_demo
from keeptrusts.cli.demo_traffic import SCRIPT, run
from tests.cli.fake_api import TOKEN, FakeApi, wallet


def test_it_furnishes_what_is_missing_once(api: FakeApi, tmp_path: Path) -> None:
    client = Api(Connection(api.url, TOKEN, "the test"))
    file = prepare_demo(client, tmp_path)
    assert {it["team_id"]: Decimal(it["allocated"].text) for it in api.wallets} == BUDGETS
    assert [it["name"] for it in api.tokens] == [key.name for key in KEYS]
    assert all(it["team_id"] and it["attribution"]["application"] for it in api.tokens)
    assert set(kept_keys(file).values()) == {"kt_gk_the-secret"}
    assert file.stat().st_mode & 0o777 == 0o600
    before = len(api.tokens)
    prepare_demo(client, tmp_path)
    assert len(api.tokens) == before
    assert [path for method, path, *_ in api.asked if method == "POST"].count("/v1/wallets/allocate") == len(BUDGETS)


def test_a_budget_that_somebody_set_is_left_alone(api: FakeApi, tmp_path: Path) -> None:
    api.wallets = [wallet("team_search", "7")]
    prepare_demo(Api(Connection(api.url, TOKEN, "the test")), tmp_path)
    assert [it["allocated"].text for it in api.wallets if it["team_id"] == "team_search"] == ["7"]


def test_keys_that_cannot_be_read_are_made_anew(tmp_path: Path) -> None:
    assert kept_keys(tmp_path / "none") == {}
    (tmp_path / "broken").write_text("{")
    assert kept_keys(tmp_path / "broken") == {}


def test_the_script_calls_with_every_key_and_meets_a_refusal() -> None:
    assert {call.key for call in SCRIPT} == {key.name for key in KEYS}
    may = {key.name: key.models for key in KEYS}
    assert any(call.model not in may[call.key] for call in SCRIPT)


def test_the_trickle_is_bounded_and_survives_a_gateway_that_is_away() -> None:
    got: list[tuple[str | None, str]] = []

    class Gateway(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Quiet."""

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            got.append((self.headers["Authorization"], body["model"]))
            self.send_response(402)
            self.send_header("Content-Length", "0")
            self.end_headers()

    keys = {key.name: f"secret of {key.name}" for key in KEYS}
    server = ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        run(server.server_port, keys, calls_max=15, interval_s=0)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    expected = [*SCRIPT, *SCRIPT[:3]]
    assert got == [(f"Bearer secret of {call.key}", call.model) for call in expected]
    run(server.server_port, keys, calls_max=2, interval_s=0)
    assert len(got) == 15
