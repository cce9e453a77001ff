"""How an operation says no to whoever asked: what kind of no, a code for programs, and a sentence for people."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

DenialKind = Literal["invalid", "not_found", "conflict"]

NO_DETAILS: Mapping[str, Any] = MappingProxyType({})


class Denial(Exception):
    """An operation that was not done; nothing has changed. ``message`` holds no secret and says what would be right."""

    def __init__(self, kind: DenialKind, code: str, message: str, details: Mapping[str, Any] = NO_DETAILS) -> None:
        super().__init__(message)
        self.kind = kind
        self.code = code
        self.message = message
        self.details = details


def invalid(message: str, code: str = "invalid_request", **details: Any) -> Denial:
    """The request can't be right, whatever the state of things."""
    return Denial("invalid", code, message, details)


def not_found(what: str, code: str = "not_found") -> Denial:
    """There is no such thing."""
    return Denial("not_found", code, what)


def conflict(message: str, code: str = "conflict", **details: Any) -> Denial:
    """The request is at odds with how things stand."""
    return Denial("conflict", code, message, details)
