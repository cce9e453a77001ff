"""The few shapes of Markdown that the generated pages are made of."""

import re
from collections.abc import Iterable, Sequence

WRITTEN = "<!-- Written from the code by docs/generate.py: change the code, then run `make docs`. -->"


def opening(title: str, *paragraphs: str) -> list[str]:
    """The first lines of a generated page, as blocks."""
    return [f"# {title}", WRITTEN, *paragraphs]


def joined(blocks: Iterable[str]) -> str:
    """Blocks as a file's text: an empty line between them, one line end at the end."""
    return "\n\n".join(block for block in blocks if block) + "\n"


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; bars and line ends inside its cells are made harmless."""
    lines = [_line(heading), "|" + "---|" * len(heading)]
    return "\n".join([*lines, *(_line([_cell(cell) for cell in row]) for row in rows)])


def code(text: object) -> str:
    """Text as code."""
    return f"`{text}`"


def prose(docstring: str | None) -> str:
    """A docstring as Markdown: double back-quotes become single ones, wrapped lines flow."""
    paragraphs = re.split(r"\n\s*\n", (docstring or "").strip())
    return "\n\n".join(" ".join(paragraph.split()).replace("``", "`") for paragraph in paragraphs)


def anchor(heading: str) -> str:
    """The name under which a heading of the same page is linked to."""
    return "#" + re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-")


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
