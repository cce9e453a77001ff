"""What a gateway's configuration is and was, and how to have it read again: what the admin endpoints see of it."""

from typing import Protocol

from msgspec import Struct

from keeptrusts.core.problem import Problem


class ConfigStatus(Struct):
    """What is in force since when (Unix time), and what became of the last reload. ``at_next_start`` names settings of the file
    that wait; ``problems`` belong to ``last_error``."""

    files: tuple[str, ...]
    fingerprint: str
    loaded_at_s: float
    from_last_good: bool = False
    reloads: int = 0
    failed_reloads: int = 0
    at_next_start: tuple[str, ...] = ()
    last_error: str | None = None
    last_error_at_s: float | None = None
    problems: tuple[Problem, ...] = ()


class ReloadFailed(Exception):
    """The rules in force stay; the message says why, and ``problems`` every place. ``passing``: try again in a moment."""

    def __init__(self, message: str, problems: tuple[Problem, ...] = (), passing: bool = False) -> None:
        super().__init__(message)
        self.problems = problems
        self.passing = passing


class Reloads(Protocol):
    """Whoever can read the configuration again (``reloading.py``)."""

    status: ConfigStatus

    def ask(self, why: str) -> None:
        """The same in the background; what comes of it is in the log and in ``status``."""

    async def reload(self, why: str) -> bool:
        """Takes what the files say now; False when that is in force already. Raises ReloadFailed."""
