"""JSON as we print and send it: amounts as plain exact numbers, which the standard encoder cannot write."""

import json
from collections.abc import Mapping
from decimal import Decimal


def json_text(value: object, indent: int = 0) -> str:
    """``value`` as JSON, a Decimal written digit by digit without an exponent; ``indent`` 0 means one line.

    Raises TypeError for what JSON has no word for, floats among them: a float here is an amount that lost its cents.
    """
    return _text(value, indent, "\n" if indent else "")


def _text(value: object, indent: int, newline: str) -> str:
    inner = newline + " " * indent
    match value:
        case Mapping():
            pairs = [f"{json.dumps(str(name))}: {_text(item, indent, inner)}" for name, item in value.items()]
            return _enclosed("{", pairs, "}", newline, inner)
        case list() | tuple():
            return _enclosed("[", [_text(item, indent, inner) for item in value], "]", newline, inner)
        case Decimal():
            return format(value, "f")
        case None | bool() | int() | str():
            return json.dumps(value)
        case _:
            raise TypeError(f"no JSON for {type(value).__name__}")


def _enclosed(opening: str, items: list[str], closing: str, newline: str, inner: str) -> str:
    if not items:
        return opening + closing
    return opening + inner + (", " if not newline else "," + inner).join(items) + newline + closing
