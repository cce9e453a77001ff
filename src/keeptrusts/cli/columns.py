"""Rows as aligned columns, plain enough for a pipe: two spaces between, no rules, no colours, never cut."""

from collections.abc import Sequence

GAP = "  "


def columns(heading: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[int] = ()) -> str:
    """The heading and the rows, each column as wide as its widest cell, or as ``widths`` when that is wider.

    An empty heading leaves its line out.
    """
    lines = [list(row) for row in ([heading, *rows] if heading else rows)]
    wide = widths_of(lines, widths)
    return "\n".join(
        GAP.join(cell.ljust(width) for cell, width in zip(line, wide, strict=True)).rstrip() for line in lines
    )


def widths_of(rows: Sequence[Sequence[str]], at_least: Sequence[int] = ()) -> list[int]:
    """How wide each column has to be."""
    found = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [max(pair) for pair in zip(found, at_least, strict=True)] if at_least else found
