"""The journal on disk: nothing that it announces happens before it is written, and nothing at all after it failed."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from keeptrusts.core.ledger.journal_format import GENESIS, read_groups
from keeptrusts.gateway import journal as journal_module
from keeptrusts.gateway.journal import Journal, JournalBusy, JournalFailed, segment_start, segments
from tests.gateway.hand_loop import HandLoop


@pytest.fixture
def loop() -> Iterator[HandLoop]:
    loop = HandLoop()
    yield loop
    loop.close()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path, "nod_1")
    yield journal
    journal.close()


def groups_on_disk(directory: Path) -> list[list[bytes]]:
    """The records of every group, read as a stranger would."""
    found: list[list[bytes]] = []
    seq, chain = 1, GENESIS
    for segment in segments(directory):
        assert segment_start(segment) == (seq, chain), "a segment's name says what it continues"
        for group in read_groups(segment.read_bytes(), seq, chain):
            found.append(list(group.records))
            seq, chain = group.last_seq + 1, group.chain
    return found


def in_loop(loop: HandLoop, action: Callable[[], Any]) -> Any:
    """Runs a plain function inside one turn of the loop."""

    async def act() -> Any:
        return action()

    return loop.done(act())


def fails(*_: object) -> int:
    raise OSError(28, "No space left on device")


def test_what_was_appended_in_one_turn_is_written_in_one_group_before_what_it_announces(
    loop: HandLoop, journal: Journal, tmp_path: Path
) -> None:
    seen: list[list[list[bytes]]] = []

    def turn() -> None:
        journal.append(b"one")
        journal.then(lambda _: seen.append(groups_on_disk(tmp_path)), None, pytest.fail)
        journal.append(b"two")
        assert seen == []

    in_loop(loop, turn)
    assert seen == [[[b"one", b"two"]]]


def test_with_nothing_to_write_nothing_waits(loop: HandLoop, journal: Journal) -> None:
    seen: list[str] = []
    in_loop(loop, lambda: journal.then(seen.append, "now", pytest.fail))
    loop.done(journal.written())
    assert seen == ["now"]


def test_a_failed_write_is_told_to_all_who_wait_and_nothing_is_written_after_it(
    loop: HandLoop, journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_loop(loop, lambda: journal.append(b"good"))
    told: list[BaseException] = []
    with monkeypatch.context() as broken:
        broken.setattr(os, "write", fails)

        def turn() -> None:
            journal.append(b"lost")
            journal.then(lambda _: pytest.fail("sent"), None, told.append)

        in_loop(loop, turn)
    assert [type(error) for error in told] == [JournalFailed]
    in_loop(loop, lambda: journal.append(b"after"))
    with pytest.raises(JournalFailed):
        loop.done(journal.written())
    assert groups_on_disk(tmp_path) == [[b"good"]]


def test_after_a_failed_write_nothing_is_sent_that_it_should_have_announced(
    loop: HandLoop, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request whose connection is made later asks when the write has failed already."""
    with monkeypatch.context() as broken:
        broken.setattr(os, "write", fails)
        in_loop(loop, lambda: journal.append(b"reserve"))
    told: list[BaseException] = []
    in_loop(loop, lambda: journal.then(lambda _: pytest.fail("sent"), None, told.append))
    assert len(told) == 1
    with pytest.raises(JournalFailed):
        loop.done(journal.written())


def test_a_write_that_the_system_takes_in_pieces_is_finished(
    loop: HandLoop, journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:7]))
    in_loop(loop, lambda: journal.append(b"a record that is longer than seven bytes"))
    assert groups_on_disk(tmp_path) == [[b"a record that is longer than seven bytes"]]


def test_a_write_that_broke_off_leaves_what_was_before_it(
    loop: HandLoop, journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_loop(loop, lambda: journal.append(b"good"))
    write = os.write
    pieces = iter([write, fails])
    monkeypatch.setattr(os, "write", lambda descriptor, data: next(pieces)(descriptor, data[:9]))
    in_loop(loop, lambda: journal.append(b"this one breaks"))
    assert journal.failure is not None
    assert groups_on_disk(tmp_path) == [[b"good"]]


def test_one_consequence_that_breaks_does_not_keep_the_others(loop: HandLoop, journal: Journal) -> None:
    seen: list[str] = []

    def breaks(_: object) -> None:
        raise ValueError("broken")

    def turn() -> None:
        journal.append(b"record")
        journal.then(breaks, None, breaks)
        journal.then(seen.append, "served", pytest.fail)

    in_loop(loop, turn)
    assert seen == ["served"]


def test_closing_writes_what_is_pending_and_lets_go_of_the_lock(loop: HandLoop, tmp_path: Path) -> None:
    journal = Journal(tmp_path, "nod_1")

    def turn() -> None:
        journal.append(b"last")
        journal.close()

    in_loop(loop, turn)
    assert groups_on_disk(tmp_path) == [[b"last"]]
    Journal(tmp_path, "nod_1").close()


# Segments


def test_a_closed_journal_takes_nothing_more(loop: HandLoop, tmp_path: Path) -> None:
    """Another process may hold its lock by now: a call that ends too late must not write beside it."""
    journal = Journal(tmp_path, "nod_1")
    in_loop(loop, lambda: journal.append(b"in time"))
    journal.close()
    sent: list[str] = []

    async def too_late() -> None:
        journal.append(b"too late")
        journal.then(sent.append, "request", lambda _: None)
        with pytest.raises(JournalFailed):
            await journal.written()

    loop.done(too_late())
    assert groups_on_disk(tmp_path) == [[b"in time"]]
    assert sent == []


def test_a_full_segment_is_followed_by_one_that_can_be_read_alone(
    loop: HandLoop, journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "SEGMENT_BYTES", 200)
    journal.opening = lambda: [b"who I am", b"my lease"]
    for number in range(12):
        in_loop(loop, lambda number=number: journal.append(b"record %d " % number * 5))  # type: ignore[misc]
    written = groups_on_disk(tmp_path)
    assert len(segments(tmp_path)) > 3
    assert [group[-1] for group in written] == [b"record %d " % number * 5 for number in range(12)]
    for segment in segments(tmp_path)[1:]:
        first = next(iter(read_groups(segment.read_bytes(), *segment_start(segment))))
        assert first.records[:2] == (b"who I am", b"my lease")
    assert written[0] == [b"record 0 " * 5], "the first segment begins with what its node writes"


# The lock


def test_a_second_process_on_one_journal_is_refused(tmp_path: Path, journal: Journal) -> None:
    with pytest.raises(JournalBusy):
        Journal(tmp_path, "nod_1")


def test_the_lock_ends_with_its_process_even_by_kill_9(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from keeptrusts.gateway.journal import lock_directory;"
        "lock_directory(Path(sys.argv[1])); print('locked', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"locked\n"
        with pytest.raises(JournalBusy):
            Journal(tmp_path, "nod_1")
        holder.send_signal(signal.SIGKILL)
        holder.wait(10)
    Journal(tmp_path, "nod_1").close()


# Synced to disk


class Disk:
    """fdatasync as the test wants it: how often, when it returns, and whether it fails."""

    def __init__(self) -> None:
        self.syncs = 0
        self.fails = False
        self.gate = asyncio.Event()

    async def run(self, _: object, sync: Callable[[int], None], descriptor: int) -> None:
        await self.gate.wait()
        self.syncs += 1
        if self.fails:
            raise OSError(5, "Input/output error")
        sync(descriptor)


@pytest.fixture
def disk(loop: HandLoop, monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    monkeypatch.setattr(loop, "run_in_executor", disk.run)
    return disk


@pytest.fixture
def safe(tmp_path: Path, disk: Disk) -> Iterator[Journal]:
    journal = Journal(tmp_path, "nod_1", "power")
    yield journal
    journal.close()


def started(loop: HandLoop, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    return loop.do(work)


def test_nothing_is_announced_before_it_is_synced(loop: HandLoop, safe: Journal, disk: Disk) -> None:
    in_loop(loop, lambda: safe.append(b"record"))
    waiting = started(loop, safe.written())
    assert not waiting.done()
    disk.gate.set()
    loop.turn()
    assert waiting.done()
    assert disk.syncs == 1


def test_what_comes_during_a_sync_waits_for_the_next(loop: HandLoop, safe: Journal, disk: Disk) -> None:
    in_loop(loop, lambda: safe.append(b"first"))
    in_loop(loop, lambda: safe.append(b"second"))
    disk.gate.set()
    loop.turn()
    assert disk.syncs == 2
    assert groups_on_disk(safe.directory) == [[b"first"], [b"second"]]


def test_who_waits_during_a_sync_without_writing_is_woken_and_leaves_no_empty_group(
    loop: HandLoop, safe: Journal, disk: Disk
) -> None:
    """An empty group would change the chain but no number, and the store would take it for another history."""
    in_loop(loop, lambda: safe.append(b"first"))
    sent: list[str] = []
    in_loop(loop, lambda: safe.then(sent.append, "sent", pytest.fail))
    waiting = started(loop, safe.written())
    disk.gate.set()
    loop.turn()
    assert waiting.done()
    assert sent == ["sent"]
    assert groups_on_disk(safe.directory) == [[b"first"]]
    assert disk.syncs == 1


def test_one_who_is_cancelled_while_waiting_does_not_take_the_others_along(
    loop: HandLoop, safe: Journal, disk: Disk
) -> None:
    in_loop(loop, lambda: safe.append(b"record"))
    gone, stays = started(loop, safe.written()), started(loop, safe.written())
    gone.cancel()
    loop.turn()
    disk.gate.set()
    loop.turn()
    assert gone.cancelled()
    assert stays.result() is None


def test_a_failed_sync_is_a_failed_journal(loop: HandLoop, safe: Journal, disk: Disk) -> None:
    """The kernel may have thrown the pages away: a second try would lie."""
    disk.fails = True
    told: list[BaseException] = []

    def turn() -> None:
        safe.append(b"record")
        safe.then(lambda _: pytest.fail("sent"), None, told.append)

    in_loop(loop, turn)
    disk.gate.set()
    loop.turn()
    assert [type(error) for error in told] == [JournalFailed]
    in_loop(loop, lambda: safe.append(b"after"))
    with pytest.raises(JournalFailed):
        loop.done(safe.written())
    assert disk.syncs == 1


def test_the_names_of_new_segments_are_synced_too(
    loop: HandLoop, safe: Journal, disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    in_loop(loop, lambda: safe.append(b"record"))
    disk.gate.set()
    loop.turn()
    assert synced == [tmp_path, tmp_path.parent]
