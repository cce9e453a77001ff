"""What a checkpoint states follows from the rows alone, whatever order they were recorded in; and late rows are not missed."""

import json
from hashlib import sha256
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeptrusts.core.audit.gathering import AWAIT_MS, Gathering
from keeptrusts.core.audit.rows import AUDIT, ENTRY, EVENT, Row, read_row, unpack
from keeptrusts.core.audit.signature import holds, public_key_of, sign
from keeptrusts.core.audit.statement import BadStatement, Sealed, Statement, read_statement, write_statement

KEY = public_key_of(bytes(32))

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)


def event(number: int, node: str = "node_a", seq: int = 1, **more: Any) -> Row:
    columns = dict.fromkeys(EVENT.columns) | {"event_id": f"evt_{node}_{seq}", "node_id": node, "journal_seq": seq}
    columns |= {"cost_nanos": 7} | more
    return read_row(EVENT, number, [columns[name] for name in EVENT.columns])


def sealed(statement: Statement) -> Sealed:
    text = write_statement(statement)
    return Sealed(statement.number, text, sign(bytes(32), text.encode()))


def state(latest: Sealed | None, *rows: Row, at_ms: int = 1_000) -> Statement:
    gathering = Gathering(latest)
    gathering.add(EVENT, rows)
    return gathering.statement(at_ms, KEY)


@given(TEXTS, TEXTS)
def test_a_rows_content_is_the_hash_of_plain_json(actor: str, after: str) -> None:
    """Anybody can recompute it, in any language."""
    row = read_row(AUDIT, 5, ["org", 1, actor, "a.b", "x", None, after])
    text = json.dumps(["audit", "org", 1, actor, "a.b", "x", None, after], ensure_ascii=False, separators=(",", ":"))
    assert row.content == sha256(text.encode()).digest()


def test_a_truth_value_is_the_number_that_other_engines_keep() -> None:
    assert event(1, stream=True, cache_hit=False).content == event(1, stream=1, cache_hit=0).content


def test_nothing_and_an_empty_text_differ_and_so_do_neighbours() -> None:
    contents = {
        read_row(ENTRY, 1, ["o", "w", "settle", 1, 1, period, event_id, "a", None, 1]).content
        for period, event_id in (("", None), ("x", "y"), ("xy", ""), ("", "xy"), ("x,y", None))
    }
    assert len(contents) == 5


def test_a_ledger_built_anew_has_the_same_root_of_calls() -> None:
    """F8: numbered anew, in another order, with alerts elsewhere."""
    calls = [("node_b", 2), ("node_a", 5), ("node_a", 3)]
    alert = {"type": "budget_alert", "seq": 0}
    was = state(None, *(event(n, node, seq) for n, (node, seq) in enumerate(calls, 1)), event(4, **alert))
    again = state(None, event(1, **alert), *(event(n, node, seq) for n, (node, seq) in enumerate(sorted(calls), 2)))
    assert was.calls == again.calls
    assert was.root != again.root
    assert [msgspec.to_builtins(node) for node in was.calls.nodes] == [["node_a", 3, 5, 2], ["node_b", 2, 2, 1]]


def test_a_statement_goes_on_from_the_one_before() -> None:
    first = sealed(state(None, event(1), event(2, seq=2)))
    second = state(first, event(3, seq=3))
    assert (second.number, second.previous) == (2, first.hash)
    assert (second.so_far.rows["event"], second.so_far.cost_nanos) == (3, 21)


def test_a_number_that_was_skipped_is_awaited_and_its_late_row_covered() -> None:
    """PostgreSQL: a transaction that began earlier may commit a lower number later."""
    first = sealed(state(None, event(1), event(4, seq=4)))
    gathering = Gathering(first)
    assert gathering.awaited(EVENT) == [(2, 3)]
    assert gathering.top(EVENT) == 4
    second = sealed(state(first, event(3, seq=3), event(5, seq=5)))
    statement = read_statement(second.text)
    assert statement.tables["event"].numbers == ((3, 3), (5, 5))
    assert Gathering(second).awaited(EVENT) == [(2, 2)]


def test_nobody_waits_for_a_number_for_ever() -> None:
    first = sealed(state(None, event(2)))
    assert Gathering(first).awaited(EVENT) == [(1, 1)]
    later = sealed(state(first, event(3, seq=3), at_ms=1_000 + AWAIT_MS))
    assert Gathering(later).awaited(EVENT) == []


def test_a_table_without_news_keeps_its_top() -> None:
    first = sealed(state(None, event(1)))
    gathering = Gathering(first)
    gathering.add(AUDIT, [read_row(AUDIT, 1, ["org", 1, "admin", "a.b", "x", None, None])])
    second = sealed(gathering.statement(2_000, KEY))
    assert Gathering(second).top(EVENT) == 1


def test_what_is_kept_of_rows_can_be_read_back() -> None:
    gathering = Gathering(None)
    gathering.add(EVENT, [event(1), event(9, seq=2)])
    assert list(unpack(gathering.packed()["event"])) == [(1, event(1).content), (9, event(9, seq=2).content)]
    with pytest.raises(ValueError, match="cut off"):
        list(unpack(b"123"))


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"form":1}', "\ud800"])
def test_what_is_no_statement_is_refused(text: str) -> None:
    with pytest.raises(BadStatement):
        read_statement(text)


def test_a_statement_written_otherwise_is_refused() -> None:
    """One statement has one text: no second one with another hash says the same."""
    text = write_statement(state(None, event(1)))
    assert read_statement(text) == state(None, event(1))
    for other in (text + " ", text.replace(",", ", ", 1), text.replace('{"form"', '{"x":1,"form"', 1)):
        with pytest.raises(BadStatement):
            read_statement(other)


def test_a_signature_holds_for_its_key_and_its_text_alone() -> None:
    """The first vector of RFC 8032, section 7.1."""
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    key = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert public_key_of(seed) == key
    signature = sign(seed, b"")
    assert signature.startswith("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155")
    assert holds(key, signature, b"")
    assert not holds(key, signature, b"x")
    assert not holds(KEY, signature, b"")
    assert not any(holds(*pair, b"") for pair in (("", ""), ("zz", signature), (key, "00"), (key[:-2], signature)))
