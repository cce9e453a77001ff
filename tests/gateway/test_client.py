"""The way to a client: what it can't take any more must not hold up its call."""

from collections.abc import Iterator
from typing import Any

import pytest

from keeptrusts.core.refusal import Reason, Refused
from keeptrusts.gateway.client import STALLED_S, Client
from tests.gateway.hand_loop import HandLoop


@pytest.fixture
def loop() -> Iterator[HandLoop]:
    loop = HandLoop()
    yield loop
    loop.close()
    assert loop.broken == []


class Cycle:
    """uvicorn's side of a request: its connection, and whether the client takes what is written."""

    def __init__(self, loop: HandLoop) -> None:
        self._loop = loop
        self.transport = self
        self.flow = self
        self.write_paused = False
        self.disconnected = False
        self.response_started = False
        self.default_headers: list[tuple[bytes, bytes]] = []
        self.keep_alive = True
        self.written = b""
        self.aborted = False

    def is_closing(self) -> bool:
        return self.aborted

    def write(self, data: bytes) -> None:
        self.written += data

    def abort(self) -> None:
        self.aborted = True

    async def drain(self) -> None:
        await self._loop.create_future()


@pytest.fixture
def cycle(loop: HandLoop) -> Cycle:
    return Cycle(loop)


def client_of(cycle: Any) -> Client:
    return Client({}, cycle)


def test_a_client_that_takes_nothing_of_its_stream_is_given_up(loop: HandLoop, cycle: Cycle) -> None:
    """Else it would hold its call's money and its provider's connection for as long as it likes."""
    client = client_of(cycle)
    loop.done(client.begin(b""))
    loop.done(client.more(b"taken"))
    cycle.write_paused = True
    more = loop.do(client.more(b"not taken"))
    loop.advance(STALLED_S - 1.0)
    assert not more.done()
    loop.advance(2.0)
    assert more.done()
    assert cycle.aborted
    assert b"not taken" not in cycle.written
    loop.done(client.more(b"nor this"))
    assert b"nor this" not in cycle.written


def test_an_answer_that_has_begun_is_broken_off_and_not_followed_by_another(loop: HandLoop, cycle: Cycle) -> None:
    client = client_of(cycle)
    loop.done(client.begin(b""))
    before = cycle.written
    loop.done(client.refuse(Refused(Reason.INTERNAL, "broken")))
    assert cycle.written == before
    assert cycle.aborted
