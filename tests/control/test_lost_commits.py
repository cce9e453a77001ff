"""A commit whose answer is lost is asked for again by its id: nothing happens twice, and nothing is missing."""

import pytest

from tests.control.lost_commits import SLICE, lose_commits

pytestmark = pytest.mark.anyio


async def test_lost_commits_double_no_grant_and_no_batch() -> None:
    found = await lose_commits(60)
    assert found.leased_out == found.grants * SLICE
    assert found.events == found.settled == found.calls
    assert found.account.posted == found.calls
    assert found.account.leased == found.leased_out - found.settled
    assert found.account.unleased == 0
