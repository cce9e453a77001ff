"""SQL of a selection of events: its WHERE, with every value bound."""

from keeptrusts.core.metering.dimensions import DIMENSIONS, UNASSIGNED
from keeptrusts.core.metering.selection import Selection

COLUMNS = {**DIMENSIONS, "request_id": "request_id", "id": "event_id", "usage_source": "usage_source"}


class Where:
    """Gathers conditions and the arguments that they bind, in one numbering."""

    def __init__(self, org_id: str) -> None:
        self.args: list[str | int] = [org_id]
        self._conditions = ["org_id = $1"]

    def bind(self, value: str | int) -> str:
        """A placeholder for ``value``."""
        self.args.append(value)
        return f"${len(self.args)}"

    def add(self, condition: str) -> None:
        """One more condition, of constants and placeholders only."""
        self._conditions.append(condition)

    def __str__(self) -> str:
        return " AND ".join(self._conditions)


def where_of(selection: Selection, org_id: str, time_by_index: bool = True) -> Where:
    """The selection as a WHERE. ``time_by_index`` False keeps the engine from finding rows by their time: a list whose
    newest rows are wanted is read from its end, not gathered and sorted."""
    where = Where(org_id)
    at = "at_ns" if time_by_index else "+at_ns"
    where.add(f"{at} >= {where.bind(selection.since_ns)} AND {at} < {where.bind(selection.until_ns)}")
    if selection.type is not None:
        where.add(f"type = {where.bind(selection.type)}")
    for name, values in selection.equals.items():
        column = COLUMNS[name]
        present = [value for value in values if value != UNASSIGNED]
        either = [f"{column} IN ({', '.join(where.bind(value) for value in present)})"] if present else []
        if UNASSIGNED in values:
            either.append(f"{column} IS NULL")
        where.add(f"({' OR '.join(either)})" if either else "1 = 0")
    return where
