"""Holds rows against the checkpoints that cover them, one checkpoint after the other, and names whatever differs."""

from collections.abc import Iterable, Mapping, Sequence

from keeptrusts.core.audit.findings import OFFENCES_MAX, Fault, Offence, Report
from keeptrusts.core.audit.gathering import calls_of, root_of
from keeptrusts.core.audit.merkle import tree_root
from keeptrusts.core.audit.rows import AUDIT, EVENT, TABLES, CoveredTable, Row, rows_root_leaves, unpack
from keeptrusts.core.audit.signature import holds
from keeptrusts.core.audit.spans import LEAST, MOST, Span, between, spans_of, union, without
from keeptrusts.core.audit.statement import GENESIS, BadStatement, Sealed, Statement, chained, read_statement

CHECKPOINT = "checkpoint"
ROWS_LIST = "checkpoint_rows"

Numbered = Mapping[int, bytes]


class Inspection:
    """One walk along the chain: ``open`` a checkpoint, read the rows that it asks for, ``compare`` them; then the rows
    outside of all checkpoints, and the witnesses.

    ``trusted`` are the public keys whose signature counts; None: every statement's own. ``strangers`` are the numbers of
    rows, by table, that belong to an organization without checkpoints.
    """

    def __init__(self, trusted: frozenset[str] | None, strangers: Mapping[str, frozenset[int]]) -> None:
        self._trusted = trusted
        self._strangers = {table: set(numbers) for table, numbers in strangers.items()}
        self._offences: list[Offence] = []
        self._count = 0
        self._checkpoints = 0
        self._covered = {table.name: 0 for table in TABLES}
        self._cost_nanos = 0
        self._signers: dict[str, None] = {}
        self._spans: dict[str, tuple[Span, ...]] = {table.name: () for table in TABLES}
        self._awaits: dict[str, tuple[Span, ...]] = {table.name: () for table in TABLES}
        self._gone: dict[bytes, Offence] = {}
        self._hashes: dict[int, str] = {}
        self._number = 0
        self._sound: tuple[Sealed, Statement] | None = None
        """The checkpoint before, if it could be believed."""
        self._before: tuple[Sealed, Statement] | None = None
        self._listed: dict[str, Numbered] | None = None
        self._list_holds = False
        self._last: Sealed | None = None

    # One checkpoint

    def open(self, number: int, sealed: Sealed | None, packed: Mapping[str, bytes]) -> Mapping[str, tuple[Span, ...]]:
        """The next checkpoint (None: only its list of rows is there), and the numbers, by table, whose rows it covers."""
        if number > self._number + 1:
            self._missing(self._number + 1, number - 1)
        follows = number == self._number + 1
        self._number = number
        self._before, self._sound = (self._sound if follows else None), None
        if sealed is None:
            self._missing(number, number)
        else:
            self._checkpoints += 1
            self._last = sealed
            self._hashes[number] = sealed.hash
            statement = self._believed(number, sealed)
            if statement is not None:
                self._link(sealed, statement, first=number == 1, follows=follows)
                self._sound = (sealed, statement)
        return self._spans_of(packed)

    def _believed(self, number: int, sealed: Sealed) -> Statement | None:
        """The statement, unless it or its signature was altered."""
        try:
            statement = read_statement(sealed.text)
        except BadStatement as error:
            self._damaged(number, f"its statement is not one: {error}")
            return None
        if not holds(statement.key, sealed.signature, sealed.text.encode()):
            self._damaged(number, "its statement or its signature was changed: the signature does not hold")
            return None
        self._signers[statement.key] = None
        if statement.number != number:
            self._damaged(number, f"it was made as checkpoint {statement.number}")
            return None
        if self._trusted is not None and statement.key not in self._trusted:
            what = f"it is signed by key {statement.key[:16]}..., which is none of those that you trust"
            self._offend("unknown_signer", CHECKPOINT, number, None, number, f"checkpoint {number}: {what}")
        return statement

    def _damaged(self, number: int, why: str) -> None:
        self._offend("damaged", CHECKPOINT, number, None, number, f"checkpoint {number}: {why}")

    def _missing(self, first: int, last: int) -> None:
        which = f"checkpoint {first} is" if first == last else f"checkpoints {first} to {last} are"
        self._offend("gone", CHECKPOINT, first, None, first, f"{which} gone")

    def _link(self, sealed: Sealed, statement: Statement, first: bool, follows: bool) -> None:
        """The statement against the one before it, if that can be believed."""
        if not first and self._before is None:
            return
        previous = None if self._before is None else self._before[1]
        if statement.previous != (GENESIS if self._before is None else self._before[0].hash):
            message = f"checkpoint {sealed.number} was not made after the checkpoint {sealed.number - 1} that is there"
            self._offend("unlinked", CHECKPOINT, sealed.number, None, sealed.number, message)
            return
        rows = {name: cover.rows for name, cover in statement.tables.items()}
        before = {} if previous is None else previous.so_far.rows
        cost = statement.cost_nanos + (0 if previous is None else previous.so_far.cost_nanos)
        sums = {name: before.get(name, 0) + count for name, count in rows.items()}
        if statement.so_far.rows != sums or statement.so_far.cost_nanos != cost:
            self._damaged(sealed.number, "its sums so far are not those of the checkpoint before and its own")

    def _spans_of(self, packed: Mapping[str, bytes]) -> Mapping[str, tuple[Span, ...]]:
        """The numbers that the signed statement names; those of the list where there is no statement to believe."""
        listed: dict[str, Numbered] | None
        try:
            listed = {table.name: dict(unpack(packed.get(table.name, b""))) for table in TABLES}
            root = tree_root(rows_root_leaves(packed)).hex()
        except ValueError:
            listed, root = None, ""
        self._listed = listed
        self._list_holds = False
        if self._sound is not None:
            statement = self._sound[1]
            named = {name for name, cover in statement.tables.items() if cover.rows}
            self._list_holds = root == statement.root and packed.keys() == named
            spans = {name: cover.numbers for name, cover in statement.tables.items()}
            self._awaits = {
                name: tuple((gap.first, gap.last) for gap in cover.awaits) for name, cover in statement.tables.items()
            }
        else:
            spans = {name: spans_of(sorted(numbers)) for name, numbers in (listed or {}).items()}
        for name, these in spans.items():
            self._spans[name] = union((*self._spans.get(name, ()), *these))
        return spans

    def compare(self, found: Mapping[str, Sequence[Row]]) -> None:
        """The rows that ``open`` asked for, by table, in the order of their numbers."""
        offences = self._count
        statement = None if self._sound is None else self._sound[1]
        if statement is not None and not self._list_holds:
            # Rows that give the signed root are right, whatever became of their list.
            self._offend(
                "damaged", ROWS_LIST, self._number, None, self._number,
                f"checkpoint {self._number}: the list of its rows was changed",
            )  # fmt: skip
            if root_of(found).hex() == statement.root:
                self._agree(statement, found)
                return
        if self._listed is not None:
            for table in TABLES:
                self._compare_table(table, self._listed[table.name], found.get(table.name, ()))
        if statement is not None and self._list_holds and offences == self._count:
            self._agree(statement, found)

    def _compare_table(self, table: CoveredTable, listed: Numbered, found: Sequence[Row]) -> None:
        rows: dict[int, list[Row]] = {}
        for row in found:
            rows.setdefault(row.number, []).append(row)
        if len(rows) == len(found) == len(listed) and all(listed.get(row.number) == row.content for row in found):
            return
        number_by_content = {content: number for number, content in listed.items()}
        for number, content in listed.items():
            standing = rows.get(number, [])
            true = [row for row in standing if row.content == content]
            for row in standing:
                if row in true:
                    continue
                if true:
                    self._row("inserted", table, row, "shares its number with the row that was covered", self._number)
                elif (was := number_by_content.get(row.content)) is not None:
                    self._row(
                        "renumbered", table, row, f"stands where row {was} stood: rows were reordered", self._number
                    )
                elif not row.content:
                    self._row("edited", table, row, "was changed: it can't be read any more", self._number)
                else:
                    self._row("edited", table, row, "was changed after it was covered", self._number)
            if not standing:
                self._lost(table, number, content)
        for number in rows.keys() - listed.keys():
            for row in rows[number]:
                self._row("inserted", table, row, "is not in the list of the rows that were covered", self._number)

    def _lost(self, table: CoveredTable, number: int, content: bytes) -> None:
        where = f"{table.name} {number}"
        if number in self._strangers.get(table.name, ()):
            self._strangers[table.name].discard(number)
            message = f"{where} was changed after it was covered: it names another organization"
            self._offend("edited", table.name, number, None, self._number, message)
            return
        offence = self._offend("gone", table.name, number, None, self._number, f"{where} is gone: it was deleted")
        self._gone[content] = offence

    def _agree(self, statement: Statement, found: Mapping[str, Sequence[Row]]) -> None:
        """Rows that are all as they were, against the sums of their statement."""
        for name, rows in found.items():
            self._covered[name] += len(rows)
        events = found.get(EVENT.name, ())
        self._cost_nanos += sum(row.cost_nanos for row in events)
        wrong = []
        if {name: cover.rows for name, cover in statement.tables.items()} != {n: len(r) for n, r in found.items()}:
            wrong.append("how many rows it covers")
        if statement.cost_nanos != sum(row.cost_nanos for row in events):
            wrong.append("what they cost")
        if statement.calls != calls_of(events):
            wrong.append("the root of its calls")
        if self._number == 1 or self._before is not None:
            audit_chain = GENESIS if self._before is None else self._before[1].audit_chain
            for row in found.get(AUDIT.name, ()):
                audit_chain = chained(audit_chain, row.content)
            if audit_chain != statement.audit_chain:
                wrong.append("the chain of the audit trail")
        if wrong:
            self._damaged(self._number, f"it is wrong about {', '.join(wrong)}, and was signed so")

    # Everything else

    def within(self, table: CoveredTable) -> tuple[Span, ...]:
        """Numbers among the covered ones in which no row may be."""
        spans = self._spans[table.name]
        if not spans:
            return ()
        return without(between(spans, LEAST, spans[-1][1]), union(self._awaits.get(table.name, ())))

    def beyond(self, table: CoveredTable) -> tuple[Span, ...]:
        """Numbers whose rows the next checkpoint will cover."""
        spans = self._spans[table.name]
        top = spans[-1][1] + 1 if spans else LEAST
        return (*without(self._awaits.get(table.name, ()), spans), (top, MOST))

    def intruders(self, table: CoveredTable, rows: Iterable[Row]) -> None:
        """Rows that were found ``within``."""
        for row in rows:
            was = self._gone.get(row.content)
            if was is not None and was.table == table.name:
                what = f"was row {was.number} when checkpoint {was.checkpoint} covered it"
                self._row("renumbered", table, row, what, was.checkpoint)
            else:
                self._row("inserted", table, row, "is in no checkpoint: it was put among rows that are covered", None)

    def witnessed(self, number: int, seen: str, by: str) -> None:
        """Somebody saw that checkpoint with that hash."""
        kept = self._hashes.get(number)
        if kept == seen:
            return
        is_there = "there is none" if kept is None else f"the one that is there has {kept[:16]}..."
        message = (
            f"checkpoint {number} was seen by {by} with hash {seen[:16]}..., and {is_there}: "
            "this ledger is an older copy, was restored, or was made anew"
        )
        self._offend("unseen", CHECKPOINT, number, None, number, message)

    def report(self, uncovered: Mapping[str, int]) -> Report:
        """The end. ``uncovered`` counts the rows ``beyond``, by table."""
        for name, numbers in self._strangers.items():
            for number in sorted(numbers):
                message = f"{name} {number} names an organization that has no checkpoints: it was changed or inserted"
                self._offend("inserted", name, number, None, None, message)
        return Report(
            checkpoints=self._checkpoints,
            covered=self._covered,
            uncovered=uncovered,
            cost_nanos=self._cost_nanos,
            latest=None if self._last is None else self._last.number,
            latest_hash=None if self._last is None else self._last.hash,
            signers=tuple(self._signers),
            pinned=self._trusted is not None,
            offence_count=self._count,
            offences=tuple(self._offences),
        )

    def _row(self, fault: Fault, table: CoveredTable, row: Row, what: str, checkpoint: int | None) -> None:
        shown = f"{table.name} {row.number}" + (f" ({row.row_id})" if row.row_id else "")
        self._offend(fault, table.name, row.number, row.row_id or None, checkpoint, f"{shown} {what}")

    def _offend(
        self, fault: Fault, table: str, number: int, row_id: str | None, checkpoint: int | None, message: str
    ) -> Offence:
        offence = Offence(fault, table, number, row_id, checkpoint, message)
        self._count += 1
        if len(self._offences) < OFFENCES_MAX:
            self._offences.append(offence)
        return offence
