"""Long work gives way."""

import asyncio

import pytest

from keeptrusts.control.turns import in_turns

pytestmark = pytest.mark.anyio


async def test_others_run_between_two_turns_and_nothing_is_left_out() -> None:
    seen: list[str] = []

    async def another() -> None:
        for _ in range(2):
            seen.append("another")
            await asyncio.sleep(0)

    task = asyncio.create_task(another())
    async for some in in_turns([1, 2, 3, 4, 5], 2):
        seen += [str(some)]
    await task
    assert seen == ["[1, 2]", "another", "[3, 4]", "another", "[5]"]


async def test_of_nothing_there_is_no_turn() -> None:
    assert [some async for some in in_turns([], 2)] == []
