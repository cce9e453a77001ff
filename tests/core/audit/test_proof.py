"""A proof holds for its row, under its key, and for nothing that differs from it in any place."""

from typing import Any

import msgspec
import pytest

from keeptrusts.core.audit.gathering import Gathering
from keeptrusts.core.audit.proof import Proof, faults, prove
from keeptrusts.core.audit.rows import ENTRY, EVENT, read_row
from keeptrusts.core.audit.signature import public_key_of, sign
from keeptrusts.core.audit.statement import Sealed, write_statement

SEED = bytes(32)
KEY = public_key_of(SEED)


def columns(seq: int) -> list[Any]:
    named = dict.fromkeys(EVENT.columns) | {"event_id": f"evt_{seq}", "node_id": "node_a", "journal_seq": seq}
    return [named[name] for name in EVENT.columns]


def proven(number: int = 3, count: int = 5) -> Proof:
    gathering = Gathering(None)
    gathering.add(EVENT, [read_row(EVENT, seq, columns(seq)) for seq in range(1, count + 1)])
    gathering.add(ENTRY, [read_row(ENTRY, 1, ["o", "w", "settle", 1, 1, "p", "evt_1", "a", None, 1])])
    text = write_statement(gathering.statement(1_000, KEY))
    found = prove(Sealed(1, text, sign(SEED, text.encode())), gathering.packed(), "event", number, columns(number))
    assert found is not None
    return found


@pytest.mark.parametrize("count", [1, 2, 5, 8])
def test_every_row_can_be_proven(count: int) -> None:
    for number in range(1, count + 1):
        assert faults(proven(number, count), frozenset([KEY])) == []


def test_a_proof_survives_json() -> None:
    assert faults(msgspec.json.decode(msgspec.json.encode(proven()), type=Proof), frozenset([KEY])) == []


@pytest.mark.parametrize(
    "change",
    [
        {"number": 4},
        {"number": 2**70},
        {"columns": columns(4)},
        {"columns": []},
        {"columns": [[] for _ in EVENT.columns]},
        {"columns": [1.5, "\ud800", *columns(3)[2:]]},
        {"table": "audit"},
        {"table": "wallet"},
        {"row_id": "evt_9"},
        {"checkpoint": 2},
        {"index": 3},
        {"index": -1},
        {"size": 7},
        {"size": 2**60},
        {"path": []},
        {"path": ["zz"]},
        {"signature": "00"},
        {"statement": "{}"},
    ],
)
def test_whatever_is_changed_it_does_not_hold(change: dict[str, Any]) -> None:
    assert len(faults(msgspec.structs.replace(proven(), **change), frozenset([KEY]))) == 1


def test_a_key_that_is_not_trusted_proves_nothing() -> None:
    assert "none of those that you trust" in faults(proven(), frozenset([public_key_of(b"x" * 32)]))[0]


def test_a_number_that_is_not_covered_has_no_proof() -> None:
    proof = proven()
    assert prove(Sealed(1, proof.statement, proof.signature), {}, "event", 3, columns(3)) is None
