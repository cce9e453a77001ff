"""L8: the tables of facts only ever grow, and what guards them is in its place."""

from collections.abc import Iterable

from keeptrusts.core.ledger.invariants.findings import Finding


def gaps(table: str, found: Iterable[tuple[int, int]]) -> list[Finding]:
    """Rows that are missing: ``found`` holds the numbers on both sides of each gap. Numbers are given in order, from 1."""
    return [
        Finding("L8", f"{table} {before + 1}", f"{after - before - 1} rows are gone before number {after}")
        for before, after in found
    ]


def altered_schema(differences: Iterable[tuple[str, str, str]]) -> list[Finding]:
    """The kind, name and change of whatever in the schema is not as this release made it."""
    return [Finding("L8", f"{kind} {name}", f"{what} in the database's schema") for kind, name, what in differences]
