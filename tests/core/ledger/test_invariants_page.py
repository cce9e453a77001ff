"""The page about invariants says what the code checks."""

from pathlib import Path

import pytest

from keeptrusts.core.ledger.invariants.findings import NUMBERS, SENTENCES

PAGE = Path(__file__).parents[3] / "docs" / "explanation" / "invariants.md"


@pytest.mark.parametrize("number", NUMBERS)
def test_each_invariant_is_explained_by_its_own_sentence(number: str) -> None:
    sentence = SENTENCES[number].partition(":")[0]  # type: ignore[index]
    assert f"| {number} | {sentence} |" in PAGE.read_text(encoding="utf-8")
