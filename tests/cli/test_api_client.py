"""How commands reach the API: with which token, and what they say when they do not. A token is never shown."""

import json
import socket
from pathlib import Path

import pytest

from keeptrusts.cli.api_client import Api
from keeptrusts.cli.connection import Connection, find_connection
from keeptrusts.cli.failure import Failure
from keeptrusts.cli.json_text import json_text
from tests.cli.conftest import Kt
from tests.cli.fake_api import TOKEN, FakeApi, wallet


def test_after_kt_up_the_command_line_works_at_once(
    kt: Kt, api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The admin token in the default data directory is taken when the environment has none."""
    monkeypatch.setenv("KEEPTRUSTS_API_URL", api.url)
    (tmp_path / ".keeptrusts").mkdir()
    (tmp_path / ".keeptrusts" / "admin-token").write_text(TOKEN + "\n")
    api.wallets = [wallet("team_x", "1")]
    assert kt("spend", "--all").code == 0


def test_the_local_admin_token_goes_to_no_other_machine(tmp_path: Path) -> None:
    (tmp_path / "admin-token").write_text(TOKEN)
    with pytest.raises(Failure, match="for this machine alone"):
        find_connection({"KEEPTRUSTS_API_URL": "https://api.example.com"}, tmp_path)


def test_a_token_in_the_environment_wins(tmp_path: Path) -> None:
    (tmp_path / "admin-token").write_text("kept")
    it = find_connection({"KEEPTRUSTS_API_TOKEN": "given", "KEEPTRUSTS_API_URL": "http://h:1/base/"}, tmp_path)
    assert (it.token, it.token_source, it.url, it.prefix) == (
        "given",
        "KEEPTRUSTS_API_TOKEN",
        "http://h:1/base",
        "/base",
    )
    assert find_connection({"KEEPTRUSTS_API_TOKEN": ""}, tmp_path).token == "kept"
    assert "given" not in repr(it)


def test_without_any_token_both_ways_to_one_are_named(kt: Kt) -> None:
    ran = kt("spend", "--all")
    assert ran.code == 2
    assert "export KEEPTRUSTS_API_TOKEN" in ran.err
    assert "`kt up`" in ran.err


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8080",
        "ftp://h",
        "http://",
        "http://h:99999",
        "http://h:x",
        "http://h/?a=b",
        "http://u:p@h",
        "http://h\x07",
    ],
)
def test_an_address_that_is_none(tmp_path: Path, url: str) -> None:
    with pytest.raises(Failure, match="KEEPTRUSTS_API_URL must look like http://localhost:8080"):
        find_connection({"KEEPTRUSTS_API_URL": url, "KEEPTRUSTS_API_TOKEN": "x"}, tmp_path)


@pytest.mark.parametrize("token", ["two words", "line\nbreak", "é"])
def test_a_token_that_cannot_be_sent_is_not_shown(tmp_path: Path, token: str) -> None:
    with pytest.raises(Failure, match="in KEEPTRUSTS_API_TOKEN cannot be sent") as refused:
        find_connection({"KEEPTRUSTS_API_TOKEN": token}, tmp_path)
    assert token not in refused.value.message


def test_an_api_that_does_not_run_is_named_with_what_to_do(kt: Kt, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    monkeypatch.setenv("KEEPTRUSTS_API_URL", url)
    monkeypatch.setenv("KEEPTRUSTS_API_TOKEN", TOKEN)
    ran = kt("spend", "--all")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        f"kt: cannot reach the Keeptrusts API at {url} (connection refused): "
        "start it with `kt up`, or set KEEPTRUSTS_API_URL to where it runs\n"
    )


def test_an_api_that_does_not_answer_in_time(api: FakeApi) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(Failure, match="no answer in time") as refused,
    ):
        Api(Connection(f"http://127.0.0.1:{silent.getsockname()[1]}", TOKEN, "x"), timeout_s=0.05).get("wallets")
    assert refused.value.exit_code == 2


def test_a_refused_token_is_told_by_its_source_and_never_shown(
    kt: Kt, at: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEEPTRUSTS_API_TOKEN", "kt_ak_wrong")
    ran = kt("spend", "--all")
    assert ran.code == 1
    assert "token from KEEPTRUSTS_API_TOKEN" in ran.err
    assert "This token is not known here." in ran.err
    assert "kt_ak_wrong" not in ran.err


@pytest.mark.parametrize(
    ("status", "body", "code", "said"),
    [
        (400, b'{"error": {"message": "since is no time", "code": "bad_time"}}', 1, "(400 bad_time): since is no time"),
        (403, b'{"error": {"message": "a\\u001b[2Jb"}}', 1, r"(403): a\x1b[2Jb"),
        (500, b"<html>", 1, "answered 500 without saying why"),
        (500, b'{"error": "text"}', 1, "answered 500 without saying why"),
        (404, b"[]", 1, "answered 404 without saying why"),
        (200, b"<html>hello", 2, "is not the Keeptrusts API (the answer is not JSON)"),
        (200, b"[" * 100_000, 2, "is not the Keeptrusts API (the answer is not JSON)"),
        (200, b"[]", 2, "has no data"),
        (200, b'{"data": [{"team_id": 4}]}', 2, "of different versions"),
    ],
)
def test_whatever_it_answers_there_is_one_clear_line(
    kt: Kt, at: FakeApi, status: int, body: bytes, code: int, said: str
) -> None:
    at.fails_with = (status, body)
    ran = kt("spend", "--all")
    assert (ran.code, ran.out) == (code, "")
    assert said in ran.err
    assert len(ran.err.splitlines()) == 1


def test_somebody_who_does_not_speak_http(kt: Kt, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    def talk(listener: socket.socket) -> None:
        client, _ = listener.accept()
        with client:
            client.recv(1_000)
            client.sendall(b"220 mail.example.com ESMTP\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setenv("KEEPTRUSTS_API_URL", f"http://127.0.0.1:{listener.getsockname()[1]}")
        monkeypatch.setenv("KEEPTRUSTS_API_TOKEN", TOKEN)
        talker = threading.Thread(target=talk, args=(listener,))
        talker.start()
        ran = kt("spend", "--all")
        talker.join()
    assert ran.code == 2
    assert "is not the Keeptrusts API" in ran.err


def test_json_is_written_exactly() -> None:
    from decimal import Decimal

    value = {"a": [Decimal("1E-9"), Decimal("500.00"), 3, True, None], "b\n": "é\x9b", "c": {}, "d": []}
    assert json_text(value) == '{"a": [0.000000001, 500.00, 3, true, null], "b\\n": "\\u00e9\\u009b", "c": {}, "d": []}'
    assert json.loads(json_text(value, 2), parse_float=Decimal) == value
    with pytest.raises(TypeError):
        json_text({"cost": 0.1})
