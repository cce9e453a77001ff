"""Rows on their way into a checkpoint: gathered table by table, then stated."""

from collections.abc import Iterable, Mapping, Sequence

from keeptrusts.core.audit.merkle import leaf_hash, tree_root
from keeptrusts.core.audit.rows import AUDIT, EVENT, FORM, TABLES, CoveredTable, Row, pack, row_leaf
from keeptrusts.core.audit.spans import Span, between, spans_of, without
from keeptrusts.core.audit.statement import (
    GENESIS,
    Awaited,
    Calls,
    Cover,
    NodeCalls,
    Sealed,
    SoFar,
    Statement,
    chained,
    read_statement,
)

AWAIT_MS = 3_600_000
"""How long a number that was skipped may still get its row; no transaction of ours lives nearly as long."""
AWAITED_MAX = 1_000
"""Spans of skipped numbers that one table watches; beyond them the oldest are given up."""


class Gathering:
    """What came since ``latest``, the checkpoint before (None: this is the first). Raises BadStatement for one that can't
    be read: nothing may be built on it."""

    def __init__(self, latest: Sealed | None) -> None:
        self._latest = latest
        self._before = None if latest is None else read_statement(latest.text)
        self._rows: dict[str, list[Row]] = {table.name: [] for table in TABLES}

    def awaited(self, table: CoveredTable) -> list[Span]:
        """Numbers that may have got a row since the checkpoint before."""
        return [(gap.first, gap.last) for gap in self._cover_before(table).awaits]

    def top(self, table: CoveredTable) -> int:
        """The highest number that was looked at before; rows above it are new."""
        return self._cover_before(table).top

    def add(self, table: CoveredTable, rows: Iterable[Row]) -> None:
        """More rows of a table, in the order of their numbers."""
        self._rows[table.name] += rows

    def is_empty(self) -> bool:
        """Whether there is nothing to state."""
        return not any(self._rows.values())

    def packed(self) -> Mapping[str, bytes]:
        """Number and content of every row, by table, to be kept beside the statement."""
        return {name: pack(rows) for name, rows in self._rows.items() if rows}

    def statement(self, made_at_ms: int, key: str) -> Statement:
        """The statement over everything gathered, to be signed with the seed of ``key``."""
        before, latest = self._before, self._latest
        cost_nanos = sum(row.cost_nanos for row in self._rows[EVENT.name])
        audit_chain = GENESIS if before is None else before.audit_chain
        for row in self._rows[AUDIT.name]:
            audit_chain = chained(audit_chain, row.content)
        rows_before = {} if before is None else before.so_far.rows
        return Statement(
            form=FORM,
            number=1 if latest is None else latest.number + 1,
            previous=GENESIS if latest is None else latest.hash,
            made_at_ms=made_at_ms,
            key=key,
            root=root_of(self._rows).hex(),
            tables={table.name: self._cover(table, made_at_ms) for table in TABLES},
            calls=calls_of(self._rows[EVENT.name]),
            cost_nanos=cost_nanos,
            audit_chain=audit_chain,
            so_far=SoFar(
                {t.name: rows_before.get(t.name, 0) + len(self._rows[t.name]) for t in TABLES},
                cost_nanos + (0 if before is None else before.so_far.cost_nanos),
            ),
        )

    def _cover_before(self, table: CoveredTable) -> Cover:
        none = Cover(0, 0, ())
        return none if self._before is None else self._before.tables.get(table.name, none)

    def _cover(self, table: CoveredTable, now_ms: int) -> Cover:
        before = self._cover_before(table)
        numbers = spans_of(row.number for row in self._rows[table.name])
        top = max(before.top, numbers[-1][1] if numbers else 0)
        awaits = [
            Awaited(first, last, gap.since_ms)
            for gap in before.awaits
            if now_ms - gap.since_ms < AWAIT_MS
            for first, last in without([(gap.first, gap.last)], numbers)
        ]
        awaits += [Awaited(first, last, now_ms) for first, last in between(numbers, before.top + 1, top)]
        return Cover(len(self._rows[table.name]), top, numbers, tuple(awaits[-AWAITED_MAX:]))


def root_of(rows: Mapping[str, Sequence[Row]]) -> bytes:
    """The root of the tree over these rows, given by table."""
    return tree_root(
        [row_leaf(table.name, row.number, row.content) for table in TABLES for row in rows.get(table.name, ())]
    )


def calls_of(events: Iterable[Row]) -> Calls:
    """The calls among these events, in the order of their nodes and journals."""
    calls = sorted((row.node_id, row.journal_seq, row.content) for row in events if row.journal_seq > 0)
    nodes: dict[str, NodeCalls] = {}
    for node_id, seq, _ in calls:
        so_far = nodes.get(node_id, NodeCalls(node_id, seq, seq, 0))
        nodes[node_id] = NodeCalls(node_id, so_far.first, seq, so_far.calls + 1)
    return Calls(tree_root([leaf_hash(content) for _, _, content in calls]).hex(), tuple(nodes.values()))
