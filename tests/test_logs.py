"""Log lines: text or JSON, with what they say of a call, and without any secret."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest

from keeptrusts.logs import HIDDEN, BadLogSettings, Redaction, secrets_in, start_logging


@pytest.fixture
def own_logging() -> Iterator[None]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    uvicorn = logging.getLogger("uvicorn").level
    yield
    root.handlers[:] = before
    root.setLevel(level)
    logging.getLogger("uvicorn").setLevel(uvicorn)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("key kt_gk_live0123456789abcdef is unknown", f"key kt_gk_{HIDDEN} is unknown"),
        ("kt_cg_engineering_abc123", f"kt_cg_{HIDDEN}"),
        ("token kt_ak_0123456789", f"token kt_ak_{HIDDEN}"),
        ("sk-proj-abcDEF123456", f"sk-proj-{HIDDEN}"),
        ("sk-ant-api03-abcDEF123456", f"sk-ant-{HIDDEN}"),
        ("sk-1234567890abcdef", f"sk-{HIDDEN}"),
        ("Authorization: Bearer abcdefgh.ijkl", f"Authorization: Bearer {HIDDEN}"),
        ("AKIAIOSFODNN7EXAMPLE", f"AKIA{HIDDEN}"),
        ("postgres://user:hunter2@db/x", f"postgres://user:{HIDDEN}@db/x"),
        ("http://localhost:8080/v1", "http://localhost:8080/v1"),
        ("access keys begin with kt_ak_", "access keys begin with kt_ak_"),
        ("the task-force asked", "the task-force asked"),
        ("model gpt-4o of team_a", "model gpt-4o of team_a"),
    ],
)
def test_what_looks_like_a_secret_is_hidden_and_nothing_else(text: str, shown: str) -> None:
    assert Redaction([]).of(text) == shown


def test_what_the_environment_keeps_secret_is_hidden_whatever_it_looks_like() -> None:
    environ = {"MY_PROVIDER_KEY": "pass phrase with blanks", "HOME": "/home/somebody", "SHORT_TOKEN": "abc"}
    redaction = Redaction(secrets_in(environ))
    assert redaction.of("it said: pass phrase with blanks!") == f"it said: {HIDDEN}!"
    assert redaction.of("/home/somebody abc") == "/home/somebody abc"


def test_a_line_of_json_has_its_fields_and_no_secret(own_logging: None, capsys: pytest.CaptureFixture[str]) -> None:
    start_logging({"KEEPTRUSTS_LOG_FORMAT": "json", "OPENAI_API_KEY": 'odd "secret" value'})
    log = logging.getLogger("keeptrusts::gateway")
    try:
        raise ValueError('odd "secret" value')
    except ValueError:
        log.exception("Call %s failed with kt_gk_0123456789", "evt_1", extra={"request_id": "req_1"})
    out = capsys.readouterr().out
    line = json.loads(out)
    assert (line["level"], line["logger"], line["request_id"]) == ("error", "keeptrusts::gateway", "req_1")
    assert line["message"] == f"Call evt_1 failed with kt_gk_{HIDDEN}"
    assert "ValueError" in line["exception"]
    assert "odd " not in out


def test_a_line_of_text_is_as_it_always_was_and_names_its_request(
    own_logging: None, capsys: pytest.CaptureFixture[str]
) -> None:
    start_logging({})
    log = logging.getLogger("keeptrusts::gateway")
    log.info("Gateway ready")
    log.debug("not shown")
    log.error("Call failed", extra={"request_id": "a b"})
    ready, failed = capsys.readouterr().out.splitlines()
    assert ready == "INFO keeptrusts::gateway Gateway ready"
    assert failed == 'ERROR keeptrusts::gateway Call failed request_id="a b"'


def test_whoever_is_quoted_in_a_line_writes_no_lines_of_his_own(
    own_logging: None, capsys: pytest.CaptureFixture[str]
) -> None:
    start_logging({})
    logging.getLogger("x").error("it said %s", "a\r\nINFO x forged", extra={"model": "b\nINFO x forged"})
    assert capsys.readouterr().out.splitlines() == [r'ERROR x it said a\r\nINFO x forged model="b\nINFO x forged"']


def test_the_least_level_is_what_the_environment_says(own_logging: None, capsys: pytest.CaptureFixture[str]) -> None:
    start_logging({"KEEPTRUSTS_LOG_LEVEL": "Warning"})
    logging.getLogger("keeptrusts::gateway").info("not shown")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["KEEPTRUSTS_LOG_FORMAT", "KEEPTRUSTS_LOG_LEVEL"])
def test_a_setting_that_is_none_is_named_with_what_would_be_right(name: str) -> None:
    with pytest.raises(BadLogSettings, match=f"{name} is one of .*, not 'xml'"):
        start_logging({name: "xml"})


def test_a_process_with_a_bad_setting_does_not_start() -> None:
    command = [sys.executable, "-m", "keeptrusts.cli.main", "api", "run", "--log-format", "xml"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "text" in done.stderr
    assert "Traceback" not in done.stderr
