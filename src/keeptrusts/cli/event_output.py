"""Events on their way out: each format as a writer that takes them batch by batch, so that a long list is never held."""

import csv
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, TextIO

from keeptrusts.cli.columns import columns, widths_of
from keeptrusts.cli.event_fields import TABLE_HEADING, TABLE_WIDTHS, chosen, field_value, table_row
from keeptrusts.cli.json_text import json_text
from keeptrusts.cli.printable import printable
from keeptrusts.core.metering.csv_text import DEFAULT_FIELDS, cell

Format = Literal["table", "json", "csv"]
Event = Mapping[str, Any]


class Writer(Protocol):
    """``write`` puts a batch out at once; ``close`` what the format ends with."""

    def write(self, events: Sequence[Event]) -> None: ...

    def close(self) -> None: ...


def writer(form: Format, out: TextIO, fields: Sequence[str] | None, endless: bool = False) -> Writer:
    """The writer of a format. ``fields`` None means the format's own choice; ``endless`` turns JSON into JSON lines."""
    match form:
        case "table":
            return Table(out)
        case "csv":
            return Csv(out, fields or DEFAULT_FIELDS)
        case "json":
            return JsonLines(out, fields) if endless else JsonArray(out, fields)


class Table:
    """Aligned columns. A column grows with what comes, and never shrinks."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._widths: Sequence[int] = TABLE_WIDTHS
        self._heading: Sequence[str] = TABLE_HEADING

    def write(self, events: Sequence[Event]) -> None:
        if not events:
            return
        rows = [table_row(event) for event in events]
        self._widths = widths_of([TABLE_HEADING, *rows], self._widths)
        print(columns(self._heading, rows, self._widths), file=self._out, flush=True)
        self._heading = ()

    def close(self) -> None:
        """Nothing ends a table."""


class Csv:
    """A heading, then a line per event; text that a spreadsheet would run is made inert."""

    def __init__(self, out: TextIO, fields: Sequence[str]) -> None:
        self._out, self._fields = out, fields
        self._lines = csv.writer(out, lineterminator="\n")
        self._lines.writerow(fields)
        out.flush()

    def write(self, events: Sequence[Event]) -> None:
        for event in events:
            values = [field_value(event, name) for name in self._fields]
            self._lines.writerow([cell(printable(value) if isinstance(value, str) else value) for value in values])
        self._out.flush()

    def close(self) -> None:
        """Nothing ends a CSV."""


class JsonArray:
    """One array over all batches, an indented object per event."""

    def __init__(self, out: TextIO, fields: Sequence[str] | None) -> None:
        self._out, self._fields = out, fields
        self._separator = "["

    def write(self, events: Sequence[Event]) -> None:
        for event in events:
            text = json_text(event if self._fields is None else chosen(event, self._fields), 2)
            print(self._separator, "  " + text.replace("\n", "\n  "), sep="\n", end="", file=self._out)
            self._separator = ","

    def close(self) -> None:
        print("[]" if self._separator == "[" else "\n]", file=self._out)


class JsonLines:
    """An object on a line of its own, for streams that have no end."""

    def __init__(self, out: TextIO, fields: Sequence[str] | None) -> None:
        self._out, self._fields = out, fields

    def write(self, events: Sequence[Event]) -> None:
        for event in events:
            print(json_text(event if self._fields is None else chosen(event, self._fields)), file=self._out)
        self._out.flush()

    def close(self) -> None:
        """Nothing ends a stream of lines."""
