"""The journal reaches the store once and in order, whatever the store remembers and however the segments fall."""

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeptrusts.core.ledger.journal_format import GENESIS, DamagedJournal, encode_group, read_groups
from keeptrusts.core.ledger.records import encode_record
from keeptrusts.core.link import Shipped
from keeptrusts.gateway import journal as journal_module
from keeptrusts.gateway.journal import Journal, segment_name, segments
from keeptrusts.gateway.journal_reader import JournalReader
from keeptrusts.gateway.link import LinkDown, LinkRefused, SequenceGap
from keeptrusts.gateway.shipper import KEEP_S, KEEP_SEGMENTS, RecordsGone, Shipper
from tests.gateway.fake_control import FakeControl, FakeLink
from tests.gateway.hand_loop import HandLoop
from tests.ledger_node import event

NODE = "nod_1"


@pytest.fixture
def loop() -> Iterator[HandLoop]:
    loop = HandLoop()
    yield loop
    loop.close()
    assert loop.broken == []


class Ship:
    """A journal, its shipper, and the store that it ships to."""

    def __init__(self, loop: HandLoop, directory: Path) -> None:
        directory.mkdir(exist_ok=True)
        self.loop = loop
        self.control = FakeControl()
        self.link = FakeLink(self.control)
        self.journal = Journal(directory, NODE)
        self.shipper = Shipper(self.journal, self.link)
        self.made = 0

    def write(self, calls: int) -> None:
        """One group of so many rows."""

        async def append() -> None:
            for _ in range(calls):
                self.made += 1
                self.journal.append(encode_record(event(f"call-{self.made}")))
            await self.journal.written()

        self.loop.done(append())

    def shipped(self) -> list[str]:
        return [event.call_id for event in self.control.events]

    def all_made(self) -> list[str]:
        return [f"call-{number}" for number in range(1, self.made + 1)]


@pytest.fixture
def ship(loop: HandLoop, tmp_path: Path) -> Iterator[Ship]:
    ship = Ship(loop, tmp_path / "journal")
    yield ship
    ship.journal.close()


def small_segments(monkeypatch: pytest.MonkeyPatch, size: int = 100) -> None:
    monkeypatch.setattr(journal_module, "SEGMENT_BYTES", size)


# In the background


def test_what_is_written_is_shipped_within_a_tenth_of_a_second(loop: HandLoop, ship: Ship) -> None:
    async def start() -> None:
        ship.shipper.start()

    loop.done(start())
    ship.write(2)
    loop.advance(0.1)
    assert ship.shipped() == ["call-1", "call-2"]
    ship.write(1)
    loop.advance(0.1)
    assert ship.shipped() == ["call-1", "call-2", "call-3"]
    loop.done(ship.shipper.finish(1.0, 1.0))


def test_groups_that_come_close_together_travel_together(loop: HandLoop, ship: Ship) -> None:
    async def start() -> None:
        ship.shipper.start()

    loop.done(start())
    for _ in range(10):
        ship.write(1)
    loop.advance(0.1)
    assert ship.shipped() == ship.all_made()
    assert len(ship.control.shipments) == 1
    loop.done(ship.shipper.finish(1.0, 1.0))


@pytest.mark.parametrize("trouble", ["down", "refuses_ships"])
def test_a_store_in_trouble_is_tried_until_it_takes_the_backlog(
    loop: HandLoop, ship: Ship, trouble: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def start() -> None:
        ship.shipper.start()

    loop.done(start())
    setattr(ship.control, trouble, True)
    for _ in range(5):
        ship.write(3)
        loop.advance(3.0)
    assert ship.shipped() == []
    assert len(caplog.records) == 1, "once, not with every try"
    setattr(ship.control, trouble, False)
    loop.advance(3.0)
    assert ship.shipped() == ship.all_made()
    loop.done(ship.shipper.finish(1.0, 1.0))


def test_finishing_ships_the_rest_within_its_bound_or_says_that_it_could_not(loop: HandLoop, ship: Ship) -> None:
    ship.write(4)
    assert loop.done(ship.shipper.finish(1.0, 1.0))
    assert ship.shipped() == ship.all_made()
    ship.write(1)
    ship.control.down = True
    finishing = loop.do(ship.shipper.finish(1.0, 1.0))
    loop.advance(1.1)
    assert finishing.result() is False


def test_finishing_in_the_middle_of_a_shipment_neither_loses_nor_doubles(loop: HandLoop, ship: Ship) -> None:
    """The shipment under way may have arrived: it is sent again, and applied once."""

    class Slow(FakeLink):
        async def ship(self, groups: bytes, first_seq: int, previous_chain: bytes) -> Shipped:
            shipped = await super().ship(groups, first_seq, previous_chain)
            await asyncio.sleep(1.0)
            return shipped

    shipper = Shipper(ship.journal, Slow(ship.control))

    async def start() -> None:
        shipper.start()

    loop.done(start())
    ship.write(3)
    loop.advance(0.5)
    finishing = loop.do(shipper.finish(5.0, 5.0))
    loop.advance(2.0)
    assert finishing.result() is True
    assert ship.shipped() == ship.all_made()


def test_a_journal_that_cannot_be_read_back_stops_the_admitting(loop: HandLoop, ship: Ship) -> None:
    """What can't be shipped must not be added to."""
    ship.write(1)
    ship.write(1)
    [segment] = segments(ship.journal.directory)
    data = bytearray(segment.read_bytes())
    data[20] ^= 1
    segment.write_bytes(bytes(data))
    assert loop.done(ship.shipper.finish(1.0, 1.0)) is False
    assert ship.journal.failure is not None
    assert ship.shipped() == []


# What the store remembers


@pytest.mark.parametrize("remembered", range(8))
def test_a_store_that_lost_its_latest_batches_gets_them_again(
    loop: HandLoop, ship: Ship, remembered: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was restored from a backup, or a standby took over."""
    small_segments(monkeypatch)
    for _ in range(7):
        ship.write(2)
    older = FakeControl()
    for number in range(remembered):
        reader = JournalReader(ship.journal.directory)
        reader.skip_to(2 * number)
        data, first, chain, _ = reader.read(1)
        older.apply("", data, first, chain)
    loop.done(ship.shipper.ship_pending())
    ship.write(2)
    shipper = Shipper(ship.journal, FakeLink(older))
    shipper._reader.skip_to(14)
    loop.done(shipper.ship_pending())
    assert [event.call_id for event in older.events] == ship.all_made()


def test_a_store_that_wants_what_is_gone_is_told_so_and_nothing_is_shipped_past_the_hole(
    loop: HandLoop, ship: Ship, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_segments(monkeypatch)
    for _ in range(6):
        ship.write(2)
    loop.done(ship.shipper.ship_pending())
    for segment in segments(ship.journal.directory)[:2]:
        segment.unlink()
    fresh = FakeControl()
    task = loop.do(Shipper(ship.journal, FakeLink(fresh)).ship_pending())
    assert isinstance(task.exception(), RecordsGone)
    assert fresh.events == []


def test_a_store_that_asks_for_the_same_record_for_ever_is_not_asked_in_a_frenzy(loop: HandLoop, ship: Ship) -> None:
    class Confused(FakeLink):
        asked = 0

        async def ship(self, groups: bytes, first_seq: int, previous_chain: bytes) -> Shipped:
            self.asked += 1
            raise SequenceGap(0)

    ship.write(1)
    confused = Confused(ship.control)
    task = loop.do(Shipper(ship.journal, confused).ship_pending())
    assert isinstance(task.exception(), LinkDown)
    assert confused.asked == 2


def test_a_refusal_ends_the_attempt_and_keeps_the_place(loop: HandLoop, ship: Ship) -> None:
    ship.write(1)
    ship.control.refuses_ships = True
    task = loop.do(ship.shipper.ship_pending())
    assert isinstance(task.exception(), LinkRefused)
    ship.control.refuses_ships = False
    loop.done(ship.shipper.ship_pending())
    assert ship.shipped() == ["call-1"]


# Segments


def test_shipped_segments_are_forgotten_when_they_are_many_and_old(
    loop: HandLoop, ship: Ship, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_segments(monkeypatch)
    for _ in range(KEEP_SEGMENTS + 6):
        ship.write(2)
    loop.done(ship.shipper.ship_pending())
    kept = segments(ship.journal.directory)
    assert len(kept) == KEEP_SEGMENTS + 6, "young ones stay: a call under way may have begun in them"
    long_ago = time.time() - KEEP_S - 1
    for segment in kept:
        os.utime(segment, (long_ago, long_ago))
    ship.write(2)
    loop.done(ship.shipper.ship_pending())
    assert len(segments(ship.journal.directory)) == KEEP_SEGMENTS + 1
    ship.write(2)
    loop.done(ship.shipper.ship_pending())
    assert ship.shipped() == ship.all_made()


def test_what_is_not_shipped_is_never_forgotten(loop: HandLoop, ship: Ship, monkeypatch: pytest.MonkeyPatch) -> None:
    small_segments(monkeypatch)
    for _ in range(KEEP_SEGMENTS + 6):
        ship.write(2)
    long_ago = time.time() - KEEP_S - 1
    for segment in segments(ship.journal.directory):
        os.utime(segment, (long_ago, long_ago))
    ship.control.down = True
    task = loop.do(ship.shipper.ship_pending())
    assert isinstance(task.exception(), LinkDown)
    ship.control.down = False
    loop.done(ship.shipper.ship_pending())
    assert ship.shipped() == ship.all_made()


# Reading back


def test_an_empty_directory_has_nothing_to_read(tmp_path: Path) -> None:
    reader = JournalReader(tmp_path)
    assert reader.read(100) == (b"", 1, GENESIS, 1)
    reader.skip_to(5)
    assert reader.finished_segments() == []


groups = st.lists(st.lists(st.binary(max_size=60), min_size=1, max_size=3), min_size=1, max_size=12)


def write_segments(directory: Path, found: list[list[bytes]], breaks: set[int]) -> bytes:
    """The groups, in segments that begin at ``breaks``; returns them all as one stretch of bytes."""
    everything, seq, chain, path = b"", 1, GENESIS, Path()
    for number, records in enumerate(found):
        if number == 0 or number in breaks:
            path = directory / segment_name(seq, chain)
        data, chain = encode_group(records, seq, chain)
        with path.open("ab") as file:
            file.write(data)
        everything, seq = everything + data, seq + len(records)
    return everything


@settings(max_examples=60, deadline=None)
@given(
    found=groups, breaks=st.sets(st.integers(1, 11)), limits=st.lists(st.integers(1, 400), min_size=1), seek=st.data()
)
def test_a_reader_gives_every_group_once_however_it_is_asked(
    tmp_path_factory: pytest.TempPathFactory,
    found: list[list[bytes]],
    breaks: set[int],
    limits: list[int],
    seek: st.DataObject,
) -> None:
    directory = tmp_path_factory.mktemp("journal")
    everything = write_segments(directory, found, breaks)
    reader = JournalReader(directory)
    read, turn = b"", 0
    while True:
        data, first_seq, chain, next_seq = reader.read(limits[turn % len(limits)])
        if not data:
            break
        turn += 1
        assert reader.read(10**6)[1] == first_seq, "reading consumes nothing"
        reader.read(limits[turn % len(limits)])
        data, first_seq, chain, next_seq = reader.read(limits[turn % len(limits)])
        assert [*read_groups(data, first_seq, chain)][-1].last_seq == next_seq - 1
        reader.advance()
        read += data
    assert read == everything
    last = seek.draw(st.integers(0, sum(map(len, found))))
    reader.rewind()
    reader.skip_to(last)
    assert reader.next_seq <= last + 1


def test_a_segment_that_ends_torn_before_another_is_damage(tmp_path: Path) -> None:
    write_segments(tmp_path, [[b"one"], [b"two"], [b"three"]], {2})
    first = segments(tmp_path)[0]
    first.write_bytes(first.read_bytes()[:-3])
    reader = JournalReader(tmp_path)
    reader.read(1)
    reader.advance()
    with pytest.raises(DamagedJournal):
        reader.read(1)


def test_a_write_under_way_is_not_read_before_it_is_whole(tmp_path: Path) -> None:
    whole = write_segments(tmp_path, [[b"one"], [b"two"]], set())
    [segment] = segments(tmp_path)
    reader = JournalReader(tmp_path)
    first_end = next(iter(read_groups(whole, 1, GENESIS))).end_offset
    for cut in range(first_end, len(whole)):
        segment.write_bytes(whole[:cut])
        assert reader.read(10**6)[0] == whole[:first_end]
    segment.write_bytes(whole)
    assert reader.read(10**6)[0] == whole


# What waits


def test_what_waits_for_the_store_is_known_to_the_byte(loop: HandLoop, ship: Ship) -> None:
    """Bytes on disk and not shipped: they rise with each write, fall with each shipment, and come back with a gap."""

    def on_disk() -> int:
        return sum(path.stat().st_size for path in segments(ship.journal.directory))

    ship.write(3)
    assert ship.journal.unshipped_bytes == on_disk() > 0
    loop.done(ship.shipper.ship_pending())
    assert ship.journal.unshipped_bytes == 0
    before = on_disk()
    ship.write(2)
    assert ship.journal.unshipped_bytes == on_disk() - before
    ship.control.applied.clear()
    loop.done(ship.shipper.ship_pending())
    assert ship.journal.unshipped_bytes == 0
