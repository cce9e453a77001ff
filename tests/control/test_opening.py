"""One call opens everything, and what it cannot open it refuses in one line."""

import os
from pathlib import Path

import pytest

from keeptrusts.control.context import Actor
from keeptrusts.control.opening import open_control
from keeptrusts.control.tokens import Wish, create, get
from keeptrusts.core.identity.gateway_key import ACCESS_PREFIX, has_valid_checksum, key_digest
from keeptrusts.store.data_dir import DataDirUnusable

pytestmark = pytest.mark.anyio

WISH = Wish("gateway", "key", None, None, None, None, None, None, None, {}, None)


async def test_an_admin_token_is_made_on_the_first_start_and_kept(tmp_path: Path) -> None:
    async with open_control(tmp_path / "data", None) as control:
        first = control.admin_digest
    file = tmp_path / "data" / "admin-token"
    token = file.read_text().strip()
    assert token.startswith(ACCESS_PREFIX)
    assert has_valid_checksum(token)
    assert os.stat(file).st_mode & 0o777 == 0o600
    async with open_control(tmp_path / "data", None) as control:
        assert control.admin_digest == first == key_digest(control.pepper, token)


async def test_a_given_token_is_taken_instead_and_not_written_down(tmp_path: Path) -> None:
    async with open_control(tmp_path / "data", "given") as control:
        assert control.admin_digest == key_digest(control.pepper, "given")
    assert not (tmp_path / "data" / "admin-token").exists()


async def test_a_second_process_on_the_same_data_is_refused(tmp_path: Path) -> None:
    async with open_control(tmp_path / "data", None):
        with pytest.raises(DataDirUnusable, match="another API process"):
            async with open_control(tmp_path / "data", None):
                pass


async def test_what_was_kept_is_there_after_a_restart_and_secrets_are_nowhere(tmp_path: Path) -> None:
    async with open_control(tmp_path / "data", None) as control:
        row, secret = await create(control, Actor("admin", "admin"), WISH)
    async with open_control(tmp_path / "data", None) as control:
        assert await get(control, row.token_id) == row
    stored = b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir())
    assert secret.encode() not in stored


async def test_a_ledger_whose_pepper_was_lost_says_so(tmp_path: Path) -> None:
    async with open_control(tmp_path / "data", None):
        pass
    (tmp_path / "data" / "key-pepper").unlink()
    with pytest.raises(DataDirUnusable, match="another key pepper"):
        async with open_control(tmp_path / "data", None):
            pass
