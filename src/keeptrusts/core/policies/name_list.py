"""Names as people list them, in which a ``*`` stands for anything."""

from collections.abc import Iterable
from fnmatch import fnmatchcase


class NameList:
    """Whether a name is among those listed."""

    def __init__(self, listed: Iterable[str]) -> None:
        names = tuple(listed)
        self._exact = frozenset(name for name in names if "*" not in name)
        # Only the star is special: a name may hold the other signs of such patterns.
        self._patterns = tuple(name.replace("[", "[[]").replace("?", "[?]") for name in names if "*" in name)

    def __contains__(self, name: str) -> bool:
        return name in self._exact or any(fnmatchcase(name, pattern) for pattern in self._patterns)
