"""What a supervisor says stands among the lines of what it runs, and is written as they are."""

import json
import subprocess
import sys

import pytest

from keeptrusts.cli.failure import Failure
from keeptrusts.cli.log_options import supervisors_voice


def test_it_speaks_plainly_where_lines_are_text() -> None:
    said: list[str] = []
    assert supervisors_voice({"KEEPTRUSTS_LOG_FORMAT": "text"}, said.append) == said.append
    supervisors_voice({}, said.append)("gateway 1 ended")
    assert said == ["gateway 1 ended"]


def test_it_speaks_json_where_lines_are_json() -> None:
    program = (
        "from keeptrusts.cli.log_options import supervisors_voice;"
        "supervisors_voice({'KEEPTRUSTS_LOG_FORMAT': 'json'}, print)('gateway 1 ended')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    line = json.loads(done.stdout)
    assert (line["logger"], line["message"]) == ("keeptrusts::supervisor", "gateway 1 ended")


def test_a_level_that_is_none_is_wrong_usage() -> None:
    with pytest.raises(Failure, match="KEEPTRUSTS_LOG_LEVEL is one of"):
        supervisors_voice({"KEEPTRUSTS_LOG_FORMAT": "json", "KEEPTRUSTS_LOG_LEVEL": "loud"}, print)
