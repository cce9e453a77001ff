"""What is wrong with a file that a person wrote: every problem, each with its place and what would be right."""

from typing import Literal

from msgspec import Struct

Severity = Literal["error", "warning"]


class Problem(Struct, frozen=True):
    """One finding. ``path`` is the place in the document (``consumer_groups[0].name``), lines and columns count from 1.

    ``file`` is named where several files make the document."""

    code: str
    message: str
    path: str
    line: int | None = None
    column: int | None = None
    suggestion: str | None = None
    severity: Severity = "error"
    file: str | None = None
