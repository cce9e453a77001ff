"""The data directory belongs to one API process, and its secrets to nobody else."""

import os
from pathlib import Path

import pytest

from keeptrusts.store.data_dir import DataDir, DataDirUnusable


def test_a_second_process_is_refused_in_one_line(tmp_path: Path) -> None:
    first = DataDir(tmp_path / "data")
    with pytest.raises(DataDirUnusable, match="in use by another API process"):
        DataDir(tmp_path / "data")
    first.close()
    DataDir(tmp_path / "data").close()


def test_a_place_that_is_no_directory_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataDirUnusable, match="can't be used"):
        DataDir(tmp_path / "file")


def test_a_secret_is_made_once_and_readable_by_its_owner_alone(tmp_path: Path) -> None:
    home = DataDir(tmp_path / "data")
    assert home.secret("token", lambda: "first") == "first"
    assert home.secret("token", lambda: "second") == "first"
    assert os.stat(tmp_path / "data" / "token").st_mode & 0o777 == 0o600
    assert os.stat(tmp_path / "data").st_mode & 0o777 == 0o700
    home.close()


def test_the_pepper_stays(tmp_path: Path) -> None:
    home = DataDir(tmp_path / "data")
    pepper = home.pepper()
    assert len(pepper) == 32
    assert home.pepper() == pepper
    home.close()


def test_an_emptied_secret_is_not_replaced_behind_ones_back(tmp_path: Path) -> None:
    """A new pepper would silently make every issued key unknown."""
    home = DataDir(tmp_path / "data")
    (tmp_path / "data" / "key-pepper").write_text("")
    with pytest.raises(DataDirUnusable, match="is empty"):
        home.pepper()
    home.close()
