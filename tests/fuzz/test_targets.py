"""Every fuzzing target, for a moment: mutated seeds, by Hypothesis. ``make fuzz`` goes on where this ends."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import SEEDS, TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_pass(name: str) -> None:
    for seed in SEEDS[name]:
        TARGETS[name](seed)


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=150)
@given(data=st.data())
def test_mutated_seeds_pass(name: str, data: st.DataObject) -> None:
    mutated = bytearray(data.draw(st.sampled_from(SEEDS[name])))
    for place, byte in data.draw(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=4)):
        at = place % (len(mutated) + 1)
        mutated[at : at + place % 3] = bytes([byte])
    TARGETS[name](bytes(mutated))
