"""The faults that the engine matters for, on PostgreSQL: a few trials each."""

from pathlib import Path

import pytest

from tests.soak.short_form import strike

pytestmark = [pytest.mark.soak, pytest.mark.xdist_group("soak-postgres")]


@pytest.mark.parametrize(
    ("name", "nodes", "trials"),
    [
        ("F1 cap race", 2, 1),
        ("F2 kill -9 of a node", 1, 2),
        ("F3 kill -9 of everything", 1, 1),
        ("F6 store away", 1, 2),
        ("F7 older store put back", 1, 1),
        ("F11 node and its disk gone", 1, 1),
        ("F9 ambiguous commit", 0, 100),
        ("F9 answers cut between API and PostgreSQL", 1, 4),
    ],
)
def test_on_postgres(name: str, nodes: int, trials: int, tmp_path: Path) -> None:
    strike(name, "postgres", nodes, trials, tmp_path)
