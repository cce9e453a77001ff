"""What has a programme of its own: the simulation and the edits of a ledger. Here they get their lines in the table."""

import re
import subprocess
import sys
from collections.abc import Iterator

from tests.journeys.processes import ROOT
from tests.soak.scenario import Ground, Scenario
from tests.soak.trial import Trial

HOUR_S = 3_600.0


def _said(*command: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, timeout=HOUR_S, check=False
    )
    return done.returncode, done.stdout + done.stderr


def _first_number(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    return int(found.group(1).replace(",", "")) if found else 0


def simulated_events(ground: Ground) -> Iterator[Trial]:
    """Gateways, network, crashes and control plane from seeds; every invariant after every step. Counted by its events."""
    code, said = _said(
        "tests.simulation", "--events", str(ground.trials), "--first", str(ground.draw.randint(1, 10**6))
    )
    events, calls = _first_number(r"([\d,]+) events", said), _first_number(r"([\d,]+) calls", said)
    problems = () if code == 0 else (f"python -m tests.simulation: {said.strip()[-400:]}",)
    yield Trial(count=max(1, events), calls=calls, problems=problems)


def edited_ledgers(ground: Ground) -> Iterator[Trial]:
    """Single edits of a ledger by somebody who may do everything to its database: each found, and its row named."""
    code, said = _said("tests.tampering", str(ground.trials))
    yield Trial(
        count=ground.trials, problems=() if code == 0 else (f"python -m tests.tampering: {said.strip()[-400:]}",)
    )


SCENARIOS = (
    Scenario("F25", "simulated events", simulated_events, 1_000_000, 20_000, engines=("memory",), nodes=(0,)),
    Scenario("F20", "ledger edited", edited_ledgers, 1_000, 30, engines=("sqlite",), nodes=(0,)),
)
