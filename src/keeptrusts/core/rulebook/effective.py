"""The document that several files make together, as YAML, each line with the file and line that it is from."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from keeptrusts.core.rulebook.from_yaml import Compiled
from keeptrusts.core.rulebook.places import Path, Places
from keeptrusts.core.rulebook.plain_rules import HIDDEN, SECRET_KEYS, without_credentials
from keeptrusts.core.rulebook.yaml_scalars import plain_scalar

PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./+-]*")
COMMENT_COLUMN = 60


def effective_lines(compiled: Compiled) -> Iterator[str]:
    """The merged document, secrets hidden; nothing when there is none."""
    if compiled.document is not None:
        yield from _mapping(compiled.document, (), compiled.places, "")


def _mapping(
    mapping: dict[str, Any], path: Path, places: Places, indent: str, first: str | None = None
) -> Iterator[str]:
    for number, (key, value) in enumerate(mapping.items()):
        lead = first if first is not None and number == 0 else indent
        yield from _entry(f"{lead}{_word(key)}:", value, (*path, key), places, indent)


def _entry(head: str, value: Any, path: Path, places: Places, indent: str) -> Iterator[str]:
    if isinstance(value, dict) and value:
        yield _with_origin(head, path, places)
        yield from _mapping(value, path, places, indent + "  ")
    elif isinstance(value, list) and value and any(isinstance(item, dict | list) for item in value):
        yield _with_origin(head, path, places)
        for i, item in enumerate(value):
            yield from _item(item, (*path, i), places, indent + "  ")
    else:
        yield _with_origin(f"{head} {_flow(value, str(path[-1]))}", path, places)


def _item(item: Any, path: Path, places: Places, indent: str) -> Iterator[str]:
    if isinstance(item, dict) and item:
        yield from _mapping(item, path, places, indent + "  ", f"{indent}- ")
    else:
        yield _with_origin(f"{indent}- {_flow(item, '')}", path, places)


def _with_origin(text: str, path: Path, places: Places) -> str:
    place = places.of_key(path)
    if place is None:
        return text
    file, line = places.sheets.origin(place.line)
    return f"{text.ljust(COMMENT_COLUMN)}  # {file}:{line}"


def _flow(value: Any, key: str) -> str:
    match value:
        case dict():
            return "{" + ", ".join(f"{_word(name)}: {_flow(inner, name)}" for name, inner in value.items()) + "}"
        case list():
            return "[" + ", ".join(_flow(item, key) for item in value) + "]"
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | Decimal():
            return str(value)
        case _:
            return json.dumps(HIDDEN) if key in SECRET_KEYS else _word(without_credentials(str(value)))


def _word(text: str) -> str:
    """The text as YAML reads it back: bare where that means the same."""
    return text if PLAIN.fullmatch(text) and plain_scalar(text) == text else json.dumps(text)
