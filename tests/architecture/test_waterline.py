"""Below the waterline code only thinks: values in, values out."""

import ast

import pytest

from tests.architecture.impurities import impurities
from tests.architecture.sources import parsed, python_files, shown


@pytest.mark.parametrize("path", python_files("keeptrusts/core"), ids=shown)
def test_the_core_reads_no_clock_draws_no_number_waits_for_nothing_and_opens_nothing(path):
    found = impurities(parsed(path))
    assert not found, f"{shown(path)}: " + "; ".join(map(str, found)) + " (the shell hands in `now` and `draw`)"


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("import datetime\nx = datetime.datetime.now(tz)", "datetime.datetime.now"),
        ("from datetime import datetime\nx = datetime.now(tz)", "datetime.datetime.now"),
        ("from datetime import date as day\nx = day.today()", "datetime.date.today"),
        ("import datetime as dt\nfield(default_factory=dt.datetime.utcnow)", "datetime.datetime.utcnow"),
        ("import time\nx = time.time()", "time.time"),
        ("from time import monotonic as ticks\nx = ticks()", "time.monotonic"),
        ("def f():\n    import random\n    return random.random()", "random.random"),
        ("from uuid import uuid4\nx = uuid4()", "uuid.uuid4"),
        ("with open('f') as file: ...", "open"),
        ("x = map(print, rows)", "print"),
        ("async def f(): ...", "async"),
    ],
)
def test_an_impurity_is_found_under_whatever_name_it_comes(source, name):
    assert name in [found.name for found in impurities(ast.parse(source))]


@pytest.mark.parametrize(
    "source",
    [
        "from datetime import datetime\ndef age(now: datetime, then: datetime): return now - then",
        "class State:\n    open = 'open'\nx = State.open",
        "def draw(random): return random()",
        "import uuid\nx = uuid.UUID(text)",
        "x = call.time",
    ],
)
def test_pure_code_is_left_alone(source):
    assert impurities(ast.parse(source)) == []
