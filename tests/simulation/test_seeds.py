"""A few worlds in every run of the suite. Whoever breaks one is told its seed and how to play it again."""

import pytest

from tests.simulation.run import play

SHORT = range(1, 25)
LONG_EVENTS = 1_000_000


@pytest.mark.parametrize("seed", SHORT)
def test_nothing_is_overspent_lost_or_doubled(seed: int) -> None:
    outcome = play(seed, calls=80)
    assert outcome.violation is None, outcome.tell()


@pytest.mark.soak
def test_a_million_events() -> None:
    events, seed = 0, 1_000
    while events < LONG_EVENTS:
        outcome = play(seed)
        assert outcome.violation is None, outcome.tell()
        events += outcome.steps
        seed += 1
