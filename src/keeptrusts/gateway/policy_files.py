"""The policy files of a gateway, on disk: read whole or not at all, and looked at to see whether they have changed."""

from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct

from keeptrusts.core.rulebook.from_yaml import TEXT_BYTES_MAX
from keeptrusts.core.rulebook.layers import Layer
from keeptrusts.core.rulebook.rulebook import Rulebook

Stamp = tuple[tuple[int, int, int, int] | None, ...]
"""What tells one state of the files from the next: of each its time, size and place on the disk; None: it is not there."""


class PolicyUnreadable(Exception):
    """A file can't be read: one line that says which, why, and what to do."""


class PolicyAway(PolicyUnreadable):
    """It can't be read now, and by itself it may be again in a moment."""


PolicyTexts = tuple[Layer, ...]
"""The texts of all files at one moment."""


class PolicyFiles:
    """The files, the last on top. Links are followed each time, so that one that is turned to another file is a change."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = tuple(paths)

    @property
    def names(self) -> tuple[str, ...]:
        """What tells these files from those of other gateways."""
        return tuple(str(path.absolute()) for path in self.paths)

    def __str__(self) -> str:
        return ", ".join(map(str, self.paths))

    def stamp(self) -> Stamp:
        """The present state of the files."""
        return tuple(map(_stamp, self.paths))

    def read(self) -> PolicyTexts:
        """The texts. Raises PolicyUnreadable."""
        return tuple(Layer(str(path), read_policy_file(path)) for path in self.paths)


class StartPolicy(Struct, frozen=True):
    """What a gateway is started with. ``stamp`` is the files' state before they were read. ``error`` says what was wrong with
    them, when the texts are not theirs but the last good ones. ``adjusted`` applies what the command line said beside them."""

    files: PolicyFiles
    texts: PolicyTexts
    stamp: Stamp
    error: str | None = None
    adjusted: Callable[[Rulebook], Rulebook] = lambda rulebook: rulebook


def read_policy_file(file: Path) -> str:
    """The text of one policy file. Raises PolicyUnreadable."""
    try:
        with file.open("rb") as opened:
            content = opened.read(TEXT_BYTES_MAX + 1)
    except FileNotFoundError:
        raise PolicyUnreadable(f"no file {file}") from None
    except IsADirectoryError:
        raise PolicyUnreadable(f"{file} is a directory: name the policy file in it") from None
    except OSError as trouble:
        raise PolicyUnreadable(f"cannot read {file}: {trouble.strerror or trouble}") from None
    if len(content) > TEXT_BYTES_MAX:
        raise PolicyUnreadable(f"{file} is over {TEXT_BYTES_MAX} bytes: no policy file is that long")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as bad:
        line = content.count(b"\n", 0, bad.start) + 1
        raise PolicyUnreadable(f"{file} is not UTF-8 text (line {line}, byte {bad.start})") from None


def _stamp(path: Path) -> tuple[int, int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev
