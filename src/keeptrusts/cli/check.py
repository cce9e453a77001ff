"""One thing that `kt doctor` looked at, and what it found."""

from typing import Literal, NamedTuple

Status = Literal["ok", "warn", "fail"]


class Check(NamedTuple):
    """``advice`` says what to do where something is wrong. Neither text ever holds a secret."""

    name: str
    status: Status
    found: str
    advice: str = ""


def ok(name: str, found: str) -> Check:
    """Nothing is wrong."""
    return Check(name, "ok", found)


def warn(name: str, found: str, advice: str) -> Check:
    """It works, but not as well as it should, or not for long."""
    return Check(name, "warn", found, advice)


def fail(name: str, found: str, advice: str) -> Check:
    """It does not work."""
    return Check(name, "fail", found, advice)
