"""A few trials of each fault against the real processes on SQLite. `make soak` runs them by the hundred.

What takes seconds is in every run of the suite; the rest, minutes on a busy machine, with ``-m soak``.
"""

from pathlib import Path

import pytest

from tests.soak.short_form import strike

pytestmark = pytest.mark.xdist_group("soak-sqlite")


@pytest.mark.parametrize(
    ("name", "nodes", "trials"),
    [
        ("F1 cap race", 2, 2),
        ("F2 kill -9 of a node", 1, 4),
        ("F3 kill -9 of everything", 1, 1),
        ("F4 power cut, durability power", 0, 30),
        ("F9 ambiguous commit", 0, 150),
        ("F16 batches doubled, late, missing", 0, 2),
    ],
)
def test_on_sqlite(name: str, nodes: int, trials: int, tmp_path: Path) -> None:
    strike(name, "sqlite", nodes, trials, tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize(
    ("name", "nodes", "trials"),
    [
        ("F2 kill -9 of a node", 4, 6),
        ("F3 kill -9 of the API in a transaction", 1, 2),
        ("F4 journal ends at any byte", 0, 1),
        ("F5 journal's disk full, failing, slow", 1, 3),
        ("F5 ledger's disk full, failing", 1, 2),
        ("F6 store away", 1, 2),
        ("F7 older store put back", 1, 1),
        ("F8 store destroyed, rebuilt", 1, 1),
        ("F9 answers cut between gateway and API", 1, 6),
        ("F10 node asleep beyond max_stale_s", 1, 1),
        ("F11 node and its disk gone", 1, 2),
        ("F12 clocks jump", 1, 1),
        ("F13 provider goes wrong", 1, 10),
        ("F14 client goes away", 1, 3),
        ("F15 second attempts", 1, 3),
        ("F17 rules change under running calls", 1, 3),
        ("F21 journal damaged", 1, 3),
        ("F21 ledger without its -wal", 1, 1),
        ("F22 too little of everything", 1, 2),
        ("F23 two processes", 1, 1),
    ],
)
def test_more_on_sqlite(name: str, nodes: int, trials: int, tmp_path: Path) -> None:
    strike(name, "sqlite", nodes, trials, tmp_path)
