"""Fields of the nested objects of a Responses request, each by its place: ``input[2].content[0].text``."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from keeptrusts.core.dialects.openai_fields import Fields, fields_of, items_of, refused

_T = TypeVar("_T")

Read = Callable[[Any, str], _T]
"""Reads a value, given its place (see ``openai_fields``)."""


def needed(owner: Fields, name: str, read: Read[_T], place: str) -> _T:
    """A field that must be there. Raises Refused(INVALID_REQUEST)."""
    if owner.get(name) is None:
        raise refused(f"{place}.{name}", "is missing.")
    return read(owner[name], f"{place}.{name}")


def optional(owner: Fields, name: str, read: Read[_T], place: str = "") -> _T | None:
    """A field that may be missing or null. Raises Refused(INVALID_REQUEST)."""
    value = owner.get(name)
    return None if value is None else read(value, f"{place}.{name}" if place else name)


def objects(value: Any, place: str) -> Iterator[tuple[str, Fields]]:
    """The members of an array of objects, each with its place. Raises Refused(INVALID_REQUEST)."""
    for index, member in enumerate(items_of(value, place)):
        yield f"{place}[{index}]", fields_of(member, f"{place}[{index}]")


def listed(names: Mapping[str, Any]) -> str:
    """The names that a table knows, for a message."""
    return ", ".join(f"`{name}`" for name in names)
