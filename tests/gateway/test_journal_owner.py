"""A journal has one writer: whoever comes second is told so in one line."""

from pathlib import Path

import pytest

from keeptrusts.gateway.journal import Journal, JournalBusy, lock_directory, new_journal


def test_the_journal_of_another_process_is_refused(tmp_path: Path) -> None:
    first = new_journal(tmp_path / "nod_1", "nod_1", "process")
    with pytest.raises(JournalBusy, match="another process has the journal"):
        new_journal(tmp_path / "nod_1", "nod_1", "process")
    with pytest.raises(JournalBusy, match="in use by another process"):
        Journal(tmp_path / "nod_1", "nod_1")
    first.close()


def test_a_new_journal_is_never_seen_without_its_lock(tmp_path: Path) -> None:
    """An adopter that looks at the directory at any moment finds no lock, or one that is held."""
    held = lock_directory(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock"]
    with pytest.raises(JournalBusy):
        lock_directory(tmp_path)
    assert held >= 0


def test_where_no_journal_can_be_made_the_reason_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    with pytest.raises(JournalBusy, match=r"can't make the journal .*: Not a directory"):
        new_journal(tmp_path / "file" / "nod_1", "nod_1", "process")
