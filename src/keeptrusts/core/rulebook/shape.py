"""What the format allows at a path of the file: which entry stands there, and which words a value may be."""

import types
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from keeptrusts.core.rulebook.places import Path
from keeptrusts.core.rulebook.policy_file.entry import fields_by_key


def entry_at(root: type[BaseModel], path: Path) -> type[BaseModel] | None:
    """The entry type whose keys stand directly under ``path``; None where no entry of fixed keys stands."""
    return next((kind for kind in _kinds_at(root, path) if _is_entry(kind)), None)


def field_at(root: type[BaseModel], path: Path) -> FieldInfo | None:
    """The field that the last key of ``path`` sets."""
    if not path or not isinstance(path[-1], str):
        return None
    entry = entry_at(root, path[:-1])
    return fields_by_key(entry).get(path[-1]) if entry else None


def choices_at(root: type[BaseModel], path: Path) -> tuple[str, ...]:
    """The words that the value at ``path`` may be, when it is one of a fixed list."""
    return tuple(str(word) for kind in _kinds_at(root, path) if get_origin(kind) is Literal for word in get_args(kind))


def entries_under(root: type[BaseModel]) -> list[type[BaseModel]]:
    """``root`` and every entry type that can stand anywhere in it, each once."""
    found = [root]
    for entry in found:  # grows while it is walked
        kinds = [kind for field in entry.model_fields.values() for kind in _alternatives(field.annotation)]
        for kind in kinds:
            if get_origin(kind) is list:
                kinds += _alternatives(get_args(kind)[0])
            elif _is_entry(kind) and kind not in found:
                found.append(kind)
    return found


def shape_text(path: Path) -> str:
    """The path with every index left open: ``consumer_groups[].name``."""
    return "".join("[]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def _kinds_at(root: type[BaseModel], path: Path) -> list[Any]:
    kinds: list[Any] = [root]
    for part in path:
        kinds = [inner for kind in kinds for inner in _below(kind, part)]
    return kinds


def _below(kind: Any, part: str | int) -> list[Any]:
    if isinstance(part, str) and _is_entry(kind):
        field = fields_by_key(kind).get(part)
        return _alternatives(field.annotation) if field else []
    if isinstance(part, int) and get_origin(kind) is list:
        return _alternatives(get_args(kind)[0])
    return []


def _alternatives(annotation: Any) -> list[Any]:
    while hasattr(annotation, "__metadata__"):  # Annotated
        annotation = annotation.__origin__
    if get_origin(annotation) in (Union, types.UnionType):
        return [inner for arg in get_args(annotation) for inner in _alternatives(arg)]
    return [annotation]


def _is_entry(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
