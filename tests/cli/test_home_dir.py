"""The data directory of `kt up`: private, one supervisor at a time, and a token that outlives restarts."""

import os
from pathlib import Path

import pytest

from keeptrusts.cli.failure import Failure
from keeptrusts.cli.home_dir import admin_token, open_home, write_private
from keeptrusts.core.identity.gateway_key import has_valid_checksum


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_it_is_made_for_its_owner_alone_and_held_by_one(tmp_path: Path) -> None:
    home = tmp_path / "deep" / "home"
    lock = open_home(home)
    assert mode(home) == 0o700
    with pytest.raises(Failure, match=rf"another `kt up` \(process {os.getpid()}\) runs on ") as second:
        open_home(home)
    assert second.value.exit_code == 1
    os.close(lock)
    os.close(open_home(home))


def test_a_place_that_cannot_be_a_directory_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Failure, match="file cannot be used"):
        open_home(tmp_path / "file")


def test_the_token_is_made_once_and_kept(tmp_path: Path) -> None:
    first = admin_token(tmp_path, {})
    assert first.fresh
    assert first.value.startswith("kt_ak_")
    assert has_valid_checksum(first.value)
    assert first.source == str(tmp_path / "admin-token")
    assert mode(tmp_path / "admin-token") == 0o600
    assert first.value not in repr(first)
    again = admin_token(tmp_path, {})
    assert (again.value, again.fresh) == (first.value, False)


def test_a_token_of_the_environment_is_taken_and_not_kept(tmp_path: Path) -> None:
    it = admin_token(tmp_path, {"KEEPTRUSTS_API_TOKEN": " mine "})
    assert (it.value, it.source, it.fresh) == ("mine", "KEEPTRUSTS_API_TOKEN", False)
    assert list(tmp_path.iterdir()) == []


def test_an_emptied_token_file_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "admin-token").touch()
    with pytest.raises(Failure, match="holds no token"):
        admin_token(tmp_path, {})


def test_a_private_file_is_private_from_its_first_byte_and_replaces_another(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("old")
    file.chmod(0o644)
    write_private(file, "new")
    assert (file.read_text(), mode(file)) == ("new", 0o600)
    assert [it.name for it in tmp_path.iterdir()] == ["secret"]
