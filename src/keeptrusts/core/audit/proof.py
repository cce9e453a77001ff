"""A proof that one row is covered: the row, its way up the tree, and the statement that is signed over the root."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from keeptrusts.core.audit.merkle import inclusion_path, root_over
from keeptrusts.core.audit.rows import FORM, TABLES, read_row, row_leaf, rows_root_leaves, unpack
from keeptrusts.core.audit.signature import holds
from keeptrusts.core.audit.statement import BadStatement, Sealed, read_statement


class Proof(Struct, frozen=True):
    """``columns`` are the row's, in their order, without its number. ``path`` are hashes as hex, the lowest first; ``index``
    is the leaf's place among ``size``. ``row_id`` and ``checkpoint`` are for people: they follow from the rest."""

    table: str
    number: int
    row_id: str
    columns: list[Any]
    index: int
    size: int
    path: list[str]
    checkpoint: int
    statement: str
    signature: str


def prove(sealed: Sealed, packed: Mapping[str, bytes], table: str, number: int, columns: list[Any]) -> Proof | None:
    """The proof of a row of a checkpoint, whose rows' contents are ``packed``; None when it does not cover that number."""
    places = [(each.name, covered) for each in TABLES for covered, _ in unpack(packed.get(each.name, b""))]
    if (table, number) not in places:
        return None
    index = places.index((table, number))
    leaves = rows_root_leaves(packed)
    (of,) = [each for each in TABLES if each.name == table]
    return Proof(
        table=table,
        number=number,
        row_id=read_row(of, number, columns).row_id,
        columns=columns,
        index=index,
        size=len(leaves),
        path=[beside.hex() for beside in inclusion_path(leaves, index)],
        checkpoint=sealed.number,
        statement=sealed.text,
        signature=sealed.signature,
    )


def faults(proof: Proof, trusted: frozenset[str]) -> list[str]:
    """Why the proof does not hold for whoever trusts these keys; nothing: it does."""
    try:
        statement = read_statement(proof.statement)
    except BadStatement as error:
        return [f"its statement is not one: {error}"]
    if not holds(statement.key, proof.signature, proof.statement.encode()):
        return ["the signature does not hold"]
    if statement.key not in trusted:
        return [f"it is signed by key {statement.key}, which is none of those that you trust"]
    tables = [table for table in TABLES if table.name == proof.table]
    if statement.form != FORM or not tables or len(proof.columns) != len(tables[0].columns):
        return ["it speaks of a row as another release of Keeptrusts knows it"]
    if not -(2**63) <= proof.number < 2**63:
        return ["no row has such a number"]
    try:
        row = read_row(tables[0], proof.number, proof.columns)
        path = [bytes.fromhex(beside) for beside in proof.path]
    except (ValueError, TypeError, OverflowError) as error:
        return [f"it can't be read: {error}"]
    root = root_over(row_leaf(proof.table, row.number, row.content), proof.index, proof.size, path)
    if root is None or root.hex() != statement.root or proof.size != sum(c.rows for c in statement.tables.values()):
        return ["the row is not one that was signed: it, its number or its path was changed"]
    if (row.row_id, statement.number) != (proof.row_id, proof.checkpoint):
        return [f"it says {proof.row_id!r} and checkpoint {proof.checkpoint}, and proves another row or checkpoint"]
    return []
