"""Fields of a request in OpenAI's dialects: each is what it must be, or the call is refused with the field's name.

A field that is null says nothing, as in OpenAI's API. Places are written as OpenAI writes them: ``messages[2].content``.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from keeptrusts.core.refusal import Reason, Refused

Fields = Mapping[str, Any]


def refused(param: str, message: str) -> Refused:
    """The refusal of a call for its field ``param``, named at the start of the message."""
    return Refused(Reason.INVALID_REQUEST, f"`{param}` {message}", {"param": param})


def text(value: Any, param: str) -> str:
    """A string, perhaps empty."""
    if not isinstance(value, str):
        raise refused(param, "must be a string.")
    return value


def name(value: Any, param: str) -> str:
    """A string that is not empty."""
    if not isinstance(value, str) or not value:
        raise refused(param, "must be a string that is not empty.")
    return value


def flag(value: Any, param: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise refused(param, "must be true or false.")
    return value


def fields_of(value: Any, param: str) -> Fields:
    """A JSON object."""
    if not isinstance(value, Mapping):
        raise refused(param, "must be an object.")
    return value


def items_of(value: Any, param: str) -> Sequence[Any]:
    """A JSON array."""
    if not isinstance(value, list):
        raise refused(param, "must be an array.")
    return value


def one_of(value: Any, param: str, words: Collection[str]) -> str:
    """One of these words."""
    if not isinstance(value, str) or value not in words:
        raise refused(param, f"must be one of {', '.join(words)}.")
    return value


def whole(low: int, high: int) -> Callable[[Any, str], int]:
    """Reads a whole number from ``low`` to ``high``."""

    def read(value: Any, param: str) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise refused(param, f"must be a whole number from {low:,} to {high:,}.")
        return value

    return read


def number(low: float, high: float) -> Callable[[Any, str], float]:
    """Reads a number from ``low`` to ``high``."""

    def read(value: Any, param: str) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            raise refused(param, f"must be a number from {low:g} to {high:g}.")
        return float(value)

    return read


def _stop(value: Any, param: str) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise refused(param, "must be a string or an array of strings.")
    return tuple(value)


_SETTINGS: Mapping[str, Callable[[Any, str], Any]] = {
    "temperature": number(0, 2),
    "top_p": number(0, 1),
    "top_k": whole(0, 1_000_000),  # not OpenAI's own, but many that speak its dialect know it, and so do other dialects
    "stop": _stop,
    "seed": whole(-(2**63), 2**63 - 1),
    "n": whole(1, 128),
    "presence_penalty": number(-2, 2),
    "frequency_penalty": number(-2, 2),
    "user": text,
    "stream": flag,
}
"""Fields whose names and meanings are those of the neutral form."""

SETTINGS = _SETTINGS.keys()

limit = whole(1, 10_000_000)
"""Reads a number of tokens that an answer may have."""


def read_settings(fields: Fields) -> dict[str, Any]:
    """The settings that chat and completions share, as arguments of ``Conversation``."""
    settings = {field: read(fields[field], field) for field, read in _SETTINGS.items() if fields.get(field) is not None}
    if settings.get("stream"):
        settings["include_usage"] = _wants_usage(fields.get("stream_options"))
    return settings


def _wants_usage(options: Any) -> bool:
    if options is None:
        return False
    wanted = fields_of(options, "stream_options").get("include_usage")
    return wanted is not None and flag(wanted, "stream_options.include_usage")


def read_model(fields: Fields) -> str:
    """The name of the model that is asked for."""
    if "model" not in fields:
        raise refused("model", "is missing.")
    return name(fields["model"], "model")


def refuse_unsayable(fields: Fields, known: Collection[str], unsayable: Mapping[str, str], idle: Fields) -> None:
    """Refuses what asks for something that no other dialect can be told.

    ``unsayable`` says why, field by field; ``idle`` has values of them that ask for nothing, besides null.
    """
    for field, value in fields.items():
        if value is None or field in known:
            continue
        if field not in unsayable:
            raise refused(field, "is not a parameter that this model's provider could be told. Leave it out.")
        if value not in idle.get(field, ()):
            raise refused(field, unsayable[field])
