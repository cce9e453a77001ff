"""Fields of a decoded Messages request, read by name and kind: what is wrong is refused with the place where it stands."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from keeptrusts.core.refusal import Reason, Refused

Kind = TypeVar("Kind")
Fields = Mapping[str, Any]

_EXPECTED: Mapping[type, str] = {
    str: "a string",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: "an object",
    list: "an array",
}
_ACCEPTED: Mapping[type, tuple[type, ...]] = {float: (int, float)}


def refusal(place: str, message: str) -> Refused:
    """A refusal of what stands at ``place`` (``messages.0.content.1.type``)."""
    return Refused(Reason.INVALID_REQUEST, message, {"param": place})


def wrong(place: str, expected: str) -> Refused:
    """A refusal that says what would be right."""
    return refusal(place, f"`{place}` must be {expected}.")


def within(place: str, name: object) -> str:
    """The place of a field, or of an item, of what stands at ``place`` ("" is the body itself)."""
    return f"{place}.{name}" if place else str(name)


def optional(fields: Fields, name: str, kind: type[Kind], place: str = "") -> Kind | None:
    """A field's value; None when it is null or not there. Raises Refused when it is of another kind."""
    value = fields.get(name)
    return None if value is None else checked(value, kind, within(place, name))


def required(fields: Fields, name: str, kind: type[Kind], place: str = "") -> Kind:
    """A field's value. Raises Refused when it is not there, or of another kind."""
    value = optional(fields, name, kind, place)
    if value is None:
        at = within(place, name)
        raise refusal(at, f"`{at}` is missing: it must be {_EXPECTED[kind]}.")
    return value


def checked(value: Any, kind: type[Kind], place: str) -> Kind:
    """``value``, which must be of that kind. Raises Refused; true and false are no numbers."""
    fits = isinstance(value, _ACCEPTED.get(kind, (kind,)))
    if not fits or (isinstance(value, bool) and kind is not bool):
        raise wrong(place, _EXPECTED[kind])
    right: Kind = value
    return right


def bounded(value: Kind | None, low: int, high: int, place: str) -> Kind | None:
    """``value``, which must lie between the bounds if there is one. Raises Refused."""
    if isinstance(value, int | float) and not low <= value <= high:
        raise wrong(place, f"from {low:,} to {high:,}")
    return value


def objects(values: list[Any], place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each item of an array of objects, with its place. Raises Refused."""
    for number, value in enumerate(values):
        at = within(place, number)
        yield at, checked(value, dict, at)
