"""Bodies are bounded in what they hold, wherever their quotes and brackets stand."""

import json

import pytest

from keeptrusts.core.calls.json_size import MAX_STRINGS, MAX_VALUES, refuse_too_many
from keeptrusts.core.refusal import Reason, Refused

PROSE = 'He said "no", [sic]; {so be it}, and \\ "yes" \\\\" again. '

TOO_MANY = {
    "letters": ["a"] * (MAX_STRINGS + 1),
    "letters behind backslashes": ["\\"] * (MAX_STRINGS + 1),
    "quotes": ['"'] * (MAX_STRINGS + 1),
    "lists": [[]] * (MAX_STRINGS + 1),
    "objects": [{}] * (MAX_STRINGS + 1),
    "names": {f"{n:x}": 1 for n in range(MAX_STRINGS + 1)},
    "numbers": [1] * (MAX_VALUES + 2),
    "some of each": ["a", {}, []] * (MAX_STRINGS // 3 + 2),
}
ENOUGH = {
    "a long text": [PROSE * 200_000],
    "many texts": ["hello " * 3] * (MAX_STRINGS - 10),
    "many lists": [[]] * (MAX_STRINGS - 10),
    "a large embedding": [[1] * 8_000] * 37,
    "quotes in texts": ['"' * 4_000_000],
    "backslashes in texts": ["\\" * 4_000_001],
}


@pytest.mark.parametrize("name", TOO_MANY)
def test_too_many_values_are_refused(name: str) -> None:
    with pytest.raises(Refused) as refused:
        refuse_too_many(json.dumps({"input": TOO_MANY[name]}).encode())
    assert refused.value.reason is Reason.BODY_TOO_LARGE


@pytest.mark.parametrize("name", ENOUGH)
def test_long_texts_are_not_many_values(name: str) -> None:
    refuse_too_many(json.dumps({"input": ENOUGH[name]}).encode())
