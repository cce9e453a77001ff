"""F20: whatever a superuser edits in the database is found, and the row is named. The long form: python -m tests.tampering 1000"""

from pathlib import Path

import pytest

from tests.tampering import ATTACKS, run_trials

pytestmark = pytest.mark.anyio

TRIALS = 6 * len(ATTACKS)


async def test_every_single_edit_is_found_and_named(tmp_path: Path) -> None:
    misses = await run_trials(tmp_path / "data", TRIALS, seed=20)
    assert misses == []
