"""The soak's scenarios as tests: a few trials each, from a seed that a failure prints."""

import random
from pathlib import Path

import pytest

from tests.soak.engines import unavailable
from tests.soak.matrix import SCENARIOS
from tests.soak.scenario import Ground, Scenario

SEED = random.SystemRandom().getrandbits(32)


def scenario(name: str) -> Scenario:
    """The scenario with this fault and title."""
    return next(found for found in SCENARIOS if found.name == name)


def strike(name: str, engine: str, nodes: int, trials: int, directory: Path) -> None:
    """Runs so many trials and holds each against what must be true of all of them."""
    wanted = scenario(name)
    if why_not := wanted.unavailable() or unavailable(engine):
        pytest.skip(why_not)
    ground = Ground(engine, nodes, directory / "site", trials, random.Random(SEED))
    struck = 0
    for trial in wanted.run(ground):
        assert trial.passed, f"{name} on {engine}, {nodes} nodes, seed {SEED}: {trial}"
        struck += trial.count
    assert struck >= trials
