"""Planted bugs are caught: a few in every run of the suite, all of them with the long tests and by ``python -m tests.mutations``."""

from collections import Counter

import pytest

from tests.mutations.planted_bugs import BUGS, PlantedBug
from tests.mutations.planting import Greenhouse, planted

QUICK = ("a settled call frees its cost too", "a time-out is free", "a closed lease keeps its money")


@pytest.fixture(scope="module")
def greenhouse(tmp_path_factory: pytest.TempPathFactory) -> Greenhouse:
    return Greenhouse(tmp_path_factory.mktemp("bugs"))


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_what_a_bug_changes_stands_in_the_product(bug: PlantedBug) -> None:
    """Raises TextGone otherwise, and then the list must follow the code."""
    for place, text in planted(bug).items():
        compile(text, str(place), "exec")


def test_every_bug_has_a_name_of_its_own() -> None:
    assert len(BUGS) >= 40
    assert max(Counter(bug.name for bug in BUGS).values()) == 1
    assert set(QUICK) <= {bug.name for bug in BUGS}


@pytest.mark.parametrize("bug", [bug for bug in BUGS if bug.name in QUICK], ids=lambda bug: bug.name)
def test_a_few_bugs_are_caught(greenhouse: Greenhouse, bug: PlantedBug) -> None:
    verdict = greenhouse.try_out(bug)
    assert verdict.caught, f"{bug.name} survives"


@pytest.mark.soak
def test_without_a_bug_nothing_is_found(greenhouse: Greenhouse) -> None:
    verdict = greenhouse.try_out(None)
    assert not verdict.caught, verdict.by


@pytest.mark.soak
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_every_bug_is_caught(greenhouse: Greenhouse, bug: PlantedBug) -> None:
    verdict = greenhouse.try_out(bug)
    assert verdict.caught, f"{bug.name} survives"
