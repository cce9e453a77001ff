"""Reads a document that may be wrong anywhere: what is well-formed is found, the rest is left to the types to complain of."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from keeptrusts.core.problem import Problem, Severity
from keeptrusts.core.rulebook.places import Path, Places, path_text


class Survey:
    """A document as plain values with their places, and the problems that rules across entries find in it."""

    def __init__(self, document: dict[str, Any], places: Places) -> None:
        self.document = document
        self.places = places
        self.problems: list[Problem] = []

    def value(self, *path: str | int) -> Any:
        """What stands at ``path``; None when nothing does."""
        value: Any = self.document
        for part in path:
            if isinstance(part, str) and isinstance(value, dict):
                value = value.get(part)
            elif isinstance(part, int) and isinstance(value, list) and part < len(value):
                value = value[part]
            else:
                return None
        return value

    def items(self, *path: str | int) -> Iterator[Path]:
        """The paths of the items of the list at ``path``."""
        value = self.value(*path)
        if isinstance(value, list):
            yield from ((*path, i) for i in range(len(value)))

    def text(self, *path: str | int) -> str | None:
        """The text at ``path``; None when anything else stands there."""
        value = self.value(*path)
        return value if isinstance(value, str) else None

    def number(self, *path: str | int) -> int | Decimal | None:
        """The number at ``path``; None when anything else stands there."""
        value = self.value(*path)
        return value if isinstance(value, int | Decimal) and not isinstance(value, bool) else None

    def first_given(self, parent: Path, *keys: str) -> Path | None:
        """The path of the first of these keys that the mapping at ``parent`` has."""
        mapping = self.value(*parent)
        return next(((*parent, key) for key in keys if isinstance(mapping, dict) and key in mapping), None)

    def error(self, code: str, path: Path, message: str, suggestion: str | None = None) -> None:
        """Note an error at the value at ``path``."""
        self._note(code, path, message, suggestion, "error")

    def warning(self, code: str, path: Path, message: str, suggestion: str | None = None) -> None:
        """Note what is allowed and probably not meant."""
        self._note(code, path, message, suggestion, "warning")

    def at(self, path: Path) -> str:
        """``line 3, column 5``: where the value at ``path`` stands, for a message that names a second place."""
        place = self.places.of_value(path)
        if place is None:
            return path_text(path)
        file, line = self.places.sheets.origin(place.line)
        return f"line {line}, column {place.column}" + (f" of {file}" if self.places.sheets.several else "")

    def _note(self, code: str, path: Path, message: str, suggestion: str | None, severity: Severity) -> None:
        line, column = self.places.of_value(path) or (None, None)
        self.problems.append(Problem(code, message, path_text(path), line, column, suggestion, severity))
