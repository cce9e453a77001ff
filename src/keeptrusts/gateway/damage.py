"""A journal that is damaged in the middle: what is whole before the damage stays a journal, the rest is kept aside as it is."""

import os
from pathlib import Path

from keeptrusts.core.ledger.journal_format import DamagedJournal, read_groups
from keeptrusts.gateway.journal import segment_start, segments

DAMAGE_MARK = "damaged"
"""A file in the journal's directory that says what was found. It is there before anything is moved, and stays: whoever goes
on with a half-done separation must not take what is left for the whole."""

ASIDE_SUFFIX = ".damaged"


def is_damaged(directory: Path) -> bool:
    """Whether damage was found in this journal, now or before."""
    return (directory / DAMAGE_MARK).exists()


def mark_damaged(directory: Path, what: str) -> None:
    """Notes that damage was found, before anything is done about it."""
    (directory / DAMAGE_MARK).write_text(what + "\n")


def set_damage_aside(directory: Path) -> None:
    """Cuts the journal off before its first damaged byte; what follows is kept in files that end in ``.damaged``.

    One that was cut off already, or half, is brought to the same end.
    """
    paths = segments(directory)
    if not paths:
        return
    seq, chain = segment_start(paths[0])
    for place, path in enumerate(paths):
        data = path.read_bytes()
        end = 0
        try:
            if segment_start(path) != (seq, chain):
                raise DamagedJournal(0, "the segment does not follow the one before it")
            for group in read_groups(data, seq, chain):
                _ = group.records
                seq, chain, end = group.last_seq + 1, group.chain, group.end_offset
            if end < len(data) and path != paths[-1]:
                raise DamagedJournal(end, "the segment ends in the middle of a write")
        except DamagedJournal:
            for later in reversed(paths[place + 1 :]):
                later.rename(_aside(later))
            _cut(path, data[:end])
            return


def _cut(path: Path, whole: bytes) -> None:
    if not _aside(path).exists():
        os.link(path, _aside(path))
    if not whole:
        path.unlink()
        return
    temporary = path.with_name(f"{path.name}.new")
    with temporary.open("wb") as file:
        file.write(whole)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _aside(path: Path) -> Path:
    return path.with_name(path.name + ASIDE_SUFFIX)
